"""The tables of a library, as SQLAlchemy models; docs/architecture.md explains each choice.

Everything here is portable SQL: what only SQLite knows (pragmas, backup) lives in
``store/sqlite.py``.
"""

from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

# The states of files whose pictures searches find. ``offline``: the drive they lie on is away.
LIVE = ("present", "offline")
# SQLite only auto-numbers a primary key declared INTEGER; elsewhere 100 million rows want 64 bits.
Id = BigInteger().with_variant(Integer, "sqlite")


def _now() -> datetime:
    return datetime.now(UTC)


class PathText(TypeDecorator[str]):
    """A path as text, also when its bytes are not UTF-8.

    Python reads such a byte as a lone surrogate (U+DC80 to U+DCFF), which no database stores.
    It is moved to the private-use characters U+F780 to U+F7FF on the way in and back on the way
    out, the mapping other systems use for the same purpose.
    """

    impl = Text
    cache_ok = True

    _STORE: ClassVar = {0xDC00 + byte: 0xF700 + byte for byte in range(0x80, 0x100)}
    _LOAD: ClassVar = {0xF700 + byte: 0xDC00 + byte for byte in range(0x80, 0x100)}

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:
        return None if value is None else value.translate(self._STORE)

    def process_result_value(self, value: str | None, dialect: Any) -> str | None:
        return None if value is None else self.read(value)

    @classmethod
    def read(cls, stored: str) -> str:
        """The path that is stored as ``stored``."""
        return stored.translate(cls._LOAD)


class Base(DeclarativeBase):
    """Base of all tables."""


class Volume(Base):
    """A root folder; its id survives a move of the folder, only its two paths change."""

    __tablename__ = "volume"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    path: Mapped[str] = mapped_column(PathText, unique=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=_now)
    # The way from the library's folder, with /; NULL: not known, or on another Windows drive
    from_library: Mapped[str | None] = mapped_column(PathText)
    # Folders in it, relative and with a / at the end, on other drives than what is around them
    drives: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))


class File(Base):
    """A file seen below a volume. ``state`` is one of ``present, missing, offline, failed``."""

    __tablename__ = "file"
    __table_args__ = (
        UniqueConstraint("volume_id", "relative_path"),
        Index("ix_file_content_hash", "content_hash"),
        Index("ix_file_item_id", "item_id"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    volume_id: Mapped[int] = mapped_column(ForeignKey("volume.id", ondelete="CASCADE"))
    relative_path: Mapped[str] = mapped_column(PathText)  # POSIX separators
    size: Mapped[int] = mapped_column(BigInteger)
    mtime_ns: Mapped[int] = mapped_column(BigInteger)
    content_hash: Mapped[bytes | None] = mapped_column(LargeBinary(16))  # BLAKE2b, 16 bytes
    item_id: Mapped[int | None] = mapped_column(ForeignKey("item.id", ondelete="SET NULL"))
    state: Mapped[str] = mapped_column(String(16), default="present")
    reason: Mapped[str | None] = mapped_column(Text)  # why it failed
    decoder: Mapped[str | None] = mapped_column(Text)  # the versions that failed; new ones retry
    # [name, size, mtime_ns] of each file beside it that says something about it; NULL: none
    sidecars: Mapped[list[Any] | None] = mapped_column(JSON(none_as_null=True))
    metadata_reader: Mapped[int | None] = mapped_column(Integer)  # what read its metadata last


class Item(Base):
    """What is searched: an image or a text, once for each content however many files hold it."""

    __tablename__ = "item"
    __table_args__ = (UniqueConstraint("kind", "content_hash"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))  # image | text
    content_hash: Mapped[bytes] = mapped_column(LargeBinary(16))
    text: Mapped[str | None] = mapped_column(Text)
    width: Mapped[int | None] = mapped_column(Integer)
    height: Mapped[int | None] = mapped_column(Integer)


class Frame(Base):
    """A frame of a video, which is an image item; ``shown.py`` leads from files to their frames.

    The item of the first frame has the video's own content hash, so that ``file.item_id`` is that
    one; those of the others have a hash of the video's and the time. It is written last: a video
    whose first frame has a feature has all of its features.
    """

    __tablename__ = "frame"
    __table_args__ = (Index("ix_frame_content_hash", "content_hash"),)

    item_id: Mapped[int] = mapped_column(
        ForeignKey("item.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    content_hash: Mapped[bytes] = mapped_column(LargeBinary(16))  # of the video
    seconds: Mapped[float] = mapped_column(Double)  # from the beginning


class Caption(Base):
    """A sentence that belongs to a picture; the sentence itself is a text item."""

    __tablename__ = "caption"
    __table_args__ = (
        UniqueConstraint("item_id", "text_item_id", "source"),
        Index("ix_caption_text_item_id", "text_item_id"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id", ondelete="CASCADE"))
    text_item_id: Mapped[int] = mapped_column(ForeignKey("item.id", ondelete="CASCADE"))
    source: Mapped[str] = mapped_column(String(32))  # csv, exif, iptc, xmp, png, sidecar


class Keyword(Base):
    """A keyword people wrote; its text item carries the feature and the code."""

    __tablename__ = "keyword"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(Text, unique=True)
    text_item_id: Mapped[int] = mapped_column(ForeignKey("item.id", ondelete="CASCADE"))


class ItemKeyword(Base):
    """Which picture has which keyword, what kind of word it is there, and where it was written."""

    __tablename__ = "item_keyword"
    __table_args__ = (Index("ix_item_keyword_keyword_id", "keyword_id"),)

    item_id: Mapped[int] = mapped_column(
        ForeignKey("item.id", ondelete="CASCADE"), primary_key=True
    )
    keyword_id: Mapped[int] = mapped_column(
        ForeignKey("keyword.id", ondelete="CASCADE"), primary_key=True
    )
    source: Mapped[str] = mapped_column(String(32), primary_key=True)
    kind: Mapped[str] = mapped_column(  # keyword | person | place
        String(16), default="keyword", server_default="keyword"
    )


class Capture(Base):
    """When, where and with what a picture was taken, and how its owner rates it.

    ``taken_at`` is the wall clock of the place; UTC is that less ``taken_offset`` minutes, which is
    NULL where no zone was written, and 0 where only UTC was. Degrees are of WGS 84.
    """

    __tablename__ = "capture"
    __table_args__ = (
        Index("ix_capture_taken_at", "taken_at"),
        Index("ix_capture_latitude_longitude", "latitude", "longitude"),
        Index("ix_capture_rating", "rating"),
        Index("ix_capture_camera", "camera"),
    )

    item_id: Mapped[int] = mapped_column(
        ForeignKey("item.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    taken_at: Mapped[datetime | None] = mapped_column(DateTime)
    taken_offset: Mapped[int | None] = mapped_column(Integer)
    latitude: Mapped[float | None] = mapped_column(Double)
    longitude: Mapped[float | None] = mapped_column(Double)
    rating: Mapped[int | None] = mapped_column(Integer)  # 1 to 5, -1 rejected
    camera: Mapped[str | None] = mapped_column(Text)
    lens: Mapped[str | None] = mapped_column(Text)


class EncoderRecord(Base):
    """A feature space of the library. Exactly one is the default that searches use."""

    __tablename__ = "encoder"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    identifier: Mapped[str] = mapped_column(Text, unique=True)  # Encoder.id
    spec: Mapped[str] = mapped_column(Text)  # what loads it again
    dim: Mapped[int] = mapped_column(Integer)
    is_default: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=_now)


class Feature(Base):
    """The feature of one item in one space, float16 little-endian, ``2 * dim`` bytes."""

    __tablename__ = "feature"

    encoder_id: Mapped[int] = mapped_column(
        ForeignKey("encoder.id", ondelete="CASCADE"), primary_key=True
    )
    item_id: Mapped[int] = mapped_column(
        ForeignKey("item.id", ondelete="CASCADE"), primary_key=True
    )
    vector: Mapped[bytes] = mapped_column(LargeBinary)


class HasherRecord(Base):
    """A fitted hasher. ``state``: ``building`` until all codes are there, then ``active``."""

    __tablename__ = "hasher"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    encoder_id: Mapped[int] = mapped_column(ForeignKey("encoder.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(64))
    bits: Mapped[int] = mapped_column(Integer)
    blob: Mapped[bytes] = mapped_column(LargeBinary)  # what Hasher.save writes
    trained_on: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    quality: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    state: Mapped[str] = mapped_column(String(16), default="building")
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=_now)


class CalibrationRecord(Base):
    """What one feature space of the library takes for chance; ``query/confidence.py`` reads it."""

    __tablename__ = "calibration"

    encoder_id: Mapped[int] = mapped_column(
        ForeignKey("encoder.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    pictures: Mapped[int] = mapped_column(Integer)  # how many the library held
    blob: Mapped[bytes] = mapped_column(LargeBinary)  # what Calibration.dump writes
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=_now)


class Segment(Base):
    """Up to 65,536 codes of one hasher and modality; ``store/segments.py`` has the layout."""

    __tablename__ = "segment"
    # Which segments may hold an id, and which are small, is found without touching their rows.
    __table_args__ = (
        Index("ix_segment_range", "hasher_id", "modality", "first_id", "last_id", "count"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    hasher_id: Mapped[int] = mapped_column(ForeignKey("hasher.id", ondelete="CASCADE"))
    modality: Mapped[str] = mapped_column(String(16))  # image | text
    count: Mapped[int] = mapped_column(Integer)
    first_id: Mapped[int] = mapped_column(BigInteger)  # the lowest id
    last_id: Mapped[int] = mapped_column(BigInteger)  # the highest id
    checksum: Mapped[bytes] = mapped_column(LargeBinary(16))  # of ids and codes; docs/format.md
    # The large columns come last: what stands after a blob costs a walk over all its pages.
    deleted: Mapped[bytes | None] = mapped_column(LargeBinary)  # checksum, then a bitmap
    ids: Mapped[bytes | None] = mapped_column(LargeBinary)  # int64 little-endian; None: no gaps
    codes: Mapped[bytes] = mapped_column(LargeBinary)  # word planes, uint64 little-endian
