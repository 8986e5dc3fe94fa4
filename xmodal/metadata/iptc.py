"""IPTC-IIM, the oldest of the three: captions, keywords and places of news agencies."""

from collections.abc import Mapping

from xmodal.metadata.facts import Metadata
from xmodal.metadata.texts import captions, decode, names
from xmodal.metadata.times import parse_time
from xmodal.sources import IPTC

Records = Mapping[tuple[int, int], bytes | list[bytes]]

_CHARSET = (1, 90)
_TITLE, _KEYWORDS, _HEADLINE, _CAPTION = (2, 5), (2, 25), (2, 105), (2, 120)
_DATE, _TIME = (2, 55), (2, 60)
_PLACES = ((2, 92), (2, 90), (2, 95), (2, 101))  # sublocation, city, province, country
# ISO 2022 escape sequences, as IIM 4.1 lists them.
_ENCODINGS = {b"\x1b%G": "utf-8", b"\x1b.A": "latin-1", b"\x1b-A": "latin-1"}


def read_iptc(records: Records) -> Metadata:
    """What the records say; ``records`` are Pillow's, by number of record and data set."""
    declared = records.get(_CHARSET, b"")
    charset = declared[0] if isinstance(declared, list) else declared
    encoding = _ENCODINGS.get(charset.strip())

    def texts(*numbers: tuple[int, int]) -> list[str]:
        found: list[str] = []
        for number in numbers:
            value = records.get(number, [])
            values = value if isinstance(value, list) else [value]
            found += [decode(each, encoding) for each in values]
        return found

    date, time = ("".join(texts(number)[:1]) for number in (_DATE, _TIME))
    return Metadata(
        captions=captions(texts(_CAPTION, _TITLE, _HEADLINE), IPTC),
        keywords=names((w for text in texts(_KEYWORDS) for w in text.split(";")), IPTC),
        places=names(texts(*_PLACES), IPTC),
        taken=parse_time(f"{date} {time}") or parse_time(date),
    )
