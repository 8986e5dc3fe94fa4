"""Writes pictures with EXIF, IPTC and XMP, as cameras and catalogue programs do."""

import json
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from PIL import Image
from PIL.ExifTags import IFD

Tags = Mapping[int, Any]
NONE: Tags = MappingProxyType({})
Records = Iterable[tuple[int, int, bytes]]

_NAMESPACES = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "dc": "http://purl.org/dc/elements/1.1/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "aux": "http://ns.adobe.com/exif/1.0/aux/",
    "tiff": "http://ns.adobe.com/tiff/1.0/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "lr": "http://ns.adobe.com/lightroom/1.0/",
    "digiKam": "http://www.digikam.org/ns/1.0/",
    "mwg-rs": "http://www.metadataworkinggroup.com/schemas/regions/",
    "Iptc4xmpCore": "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "MP": "http://ns.microsoft.com/photo/1.2/",
    "MPRI": "http://ns.microsoft.com/photo/1.2/t/RegionInfo#",
    "MPReg": "http://ns.microsoft.com/photo/1.2/t/Region#",
}


def exif_bytes(tags: Tags = NONE, shot: Tags = NONE, gps: Tags = NONE) -> bytes:
    """An EXIF block: tags of the picture, of the shot, and of its position."""
    exif = Image.Exif()
    exif.update(tags)
    for number, directory in ((IFD.Exif, shot), (IFD.GPSInfo, gps)):
        if directory:
            exif.get_ifd(number).update(directory)
    return exif.tobytes()


def xmp_bytes(inside: str, attributes: str = "") -> bytes:
    """An XMP packet with these properties, as elements and as attributes."""
    spaces = " ".join(f'xmlns:{name}="{uri}"' for name, uri in _NAMESPACES.items())
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF {spaces}>'
        f'<rdf:Description rdf:about="" {attributes}>{inside}</rdf:Description>'
        '</rdf:RDF></x:xmpmeta>\n\n<?xpacket end="w"?>'
    ).encode()


def bag(name: str, *entries: str) -> str:
    """A property whose value is a list; an entry may be XML."""
    inner = "".join(
        entry if entry.startswith("<rdf:li") else f"<rdf:li>{entry}</rdf:li>" for entry in entries
    )
    return f"<{name}><rdf:Bag>{inner}</rdf:Bag></{name}>"


def alternatives(name: str, **texts: str) -> str:
    """A property whose value is a text in several languages; ``x_default`` is the default."""
    inner = "".join(
        f'<rdf:li xml:lang="{language.replace("_", "-")}">{text}</rdf:li>'
        for language, text in texts.items()
    )
    return f"<{name}><rdf:Alt>{inner}</rdf:Alt></{name}>"


def takeout(**fields: Any) -> str:
    """The JSON that Google Takeout puts beside a picture that was taken 2019-07-14 12:34:56 UTC."""
    taken = {"timestamp": "1563107696", "formatted": "14.07.2019, 12:34:56 UTC"}
    record = {"title": "IMG_1.jpg", "photoTakenTime": taken, **fields}
    return json.dumps(record, ensure_ascii=False)


def iptc_block(records: Records) -> bytes:
    """An IIM block inside Photoshop's resource, as it stands in a JPEG's APP13 segment."""
    block = b"".join(
        struct.pack(">BBBH", 0x1C, record, number, len(value)) + value
        for record, number, value in records
    )
    padded = block + b"\x00" * (len(block) % 2)
    resource = b"8BIM\x04\x04\x00\x00" + struct.pack(">I", len(block)) + padded
    payload = b"Photoshop 3.0\x00" + resource
    return b"\xff\xed" + struct.pack(">H", len(payload) + 2) + payload


def write_picture(path: Path, iptc: Records = (), color: str = "red", **options: Any) -> Path:
    """A small picture; ``exif`` and ``xmp`` are bytes that Pillow writes into it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (48, 40), color).save(path, **options)
    if records := list(iptc):
        data = path.read_bytes()
        path.write_bytes(data[:2] + iptc_block(records) + data[2:])
    return path
