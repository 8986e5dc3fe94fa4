"""From bytes and strings of any encoding to texts worth keeping as captions and keywords."""

import re
import unicodedata
from collections.abc import Iterable

from xmodal.ingest.identity import clean_text
from xmodal.metadata.facts import Told

# No one wrote more than this by hand; what is longer is a log, a prompt or a broken file.
CAPTION_CHARS = 2_000
NAME_CHARS = 200
MAX_TEXTS = 500

_BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ufeff\ufffe\uffff]")

# What cameras, phones and programs write into a description when nobody described anything.
_BY_MACHINES = """
    ascii
    binary comment
    charset="ascii"
    charset=ascii
    cof
    dav
    default
    edf
    exif jpeg picture
    exif_jpeg_picture
    hdrpl
    image description
    jpeg picture
    lead technologies inc. v1.01
    minolta dsc
    nor
    oznor
    ozhdr
    oznorwo
    ptr
    rhdr
    samsung
    sdr
    sony dsc
    untitled
    user comments
"""
_MACHINES = frozenset(line.strip() for line in _BY_MACHINES.strip().splitlines())
_NOT_WRITTEN = re.compile(
    r"""
      (dcim|[a-z]:|https?:|file:)?[\\/]\S*            # a path or an address
    | \S+\.(jpe?g|png|heic|heif|tiff?|gif|webp|dng|mp4|mov)
    | (img|dsc[fn]?|pxl|mvimg|image|photo|p|_mg|_dsc)[ _-]?\d[\d _-]*
    | (created|generated|edited|processed)\ (with|by|in|using)\ .*
    | [{\[<].*[}\]>]                                  # JSON or XML that an app left
    | \w+[=:][^\s,;]*([,;]\s*\w+[=:][^\s,;]*)+;?      # settings
    | [0-9a-f-]{16,}
    | (\w+[ ]){0,3}digital\ (still\ )?camera
    """,
    re.IGNORECASE | re.VERBOSE,
)


def decode(data: bytes, encoding: str | None = None) -> str:
    """The text of ``data``: by its byte-order mark, as ``encoding``, as UTF-8, or as Windows-1252.

    What fits none of them is replaced by U+FFFD; nothing is raised.

    >>> decode("Zürich".encode()), decode("Zürich".encode("latin-1"))
    ('Zürich', 'Zürich')
    """
    for mark, marked in _BOMS:
        if data.startswith(mark):
            return data[len(mark) :].decode(marked, "replace")
    for tried in (encoding, "utf-8"):
        if tried:
            try:
                return data.decode(tried)
            except UnicodeDecodeError:
                pass
    return data.decode("cp1252", "replace")


def clean(text: str, limit: int = CAPTION_CHARS) -> str:
    """Without control characters and lone surrogates, in NFC, white space collapsed, cut.

    >>> clean(" a\\x00 dog\\udcff\\n on the beach ")
    'a dog\ufffd on the beach'
    """
    # Twice the limit before the expensive steps: white space may shrink what follows.
    text = text[: 4 * limit].split("\x00\x00")[0]
    text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return clean_text(_CONTROLS.sub("", text))[:limit].rstrip()


def captions(texts: Iterable[str], source: str) -> tuple[Told, ...]:
    """Those of ``texts`` that somebody wrote; a camera's defaults and file names are left out."""
    cleaned = (clean(text) for text in texts)
    return _told((text for text in cleaned if _is_written(text)), source)


def names(texts: Iterable[str], source: str) -> tuple[Told, ...]:
    """Keywords, people or places: short texts with a letter, a digit or a pictogram in them.

    >>> [told.text for told in names(["Anna", "🐕", "--", " "], "xmp")]
    ['Anna', '🐕']
    """
    cleaned = (clean(text, 2 * NAME_CHARS) for text in texts)
    kept = (text for text in cleaned if len(text) <= NAME_CHARS and _says_something(text))
    return _told(kept, source)


def name_of(text: str) -> str | None:
    """The name of a camera or a lens, None when there is nothing but signs.

    >>> name_of("Canon EOS 5D\\x00\\x00"), name_of("----")
    ('Canon EOS 5D', None)
    """
    found = clean(text, NAME_CHARS)
    return found if any(c.isalnum() for c in found) else None


def _says_something(text: str) -> bool:
    signs = (c.isalnum() or (unicodedata.category(c) == "So" and c != "\ufffd") for c in text)
    return any(signs)


def _told(texts: Iterable[str], source: str) -> tuple[Told, ...]:
    once = dict.fromkeys(texts)
    return tuple(Told(text, source) for text in list(once)[:MAX_TEXTS])


def _is_written(text: str) -> bool:
    if not any(c.isalpha() for c in text) or text.casefold() in _MACHINES:
        return False
    # A decoder's replacements tell that this was never text.
    if text.count("\ufffd") * 4 > len(text):
        return False
    return _NOT_WRITTEN.fullmatch(text) is None
