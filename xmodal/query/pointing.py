"""Showing where in a text something is: the text in one line, a caret below the character."""

import unicodedata

# Columns shown before and after the character.
_AROUND = 60


def pointer(text: str, position: int) -> str:
    """Two lines, the second with a caret below ``text[position]``, or below the end.

    Widths are a terminal's: wide letters take two columns, combining ones none. Long texts are cut
    on both sides; what is no printable character becomes a dot.

    >>> print(pointer("海 date:x", 7))
      海 date:x
              ^
    >>> pointer("", 0)
    ''
    """
    if not text.strip():
        return ""
    start, end = max(0, position - _AROUND), min(len(text), position + _AROUND)
    before = ("…" if start else "") + _visible(text[start:position])
    after = _visible(text[position:end]) + ("…" if end < len(text) else "")
    return f"  {before}{after}\n  {' ' * _columns(before)}^"


def _visible(text: str) -> str:
    return "".join(
        letter if letter.isprintable() else " " if letter.isspace() else "·" for letter in text
    )


def _columns(text: str) -> int:
    """How many columns of a terminal the text takes."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    none = sum(unicodedata.category(letter) in ("Mn", "Me") for letter in text)
    return len(text) + wide - none
