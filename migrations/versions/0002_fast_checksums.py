"""Checksums of segments that are verified at the speed of memory, and an index of their ranges.

Revision: 0002. A segment that is damaged keeps its old checksum, and is named as before.
"""

import hashlib
import struct

import numpy as np
import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

SEGMENT = sa.table(
    "segment",
    *(sa.column(name) for name in ("id", "count", "first_id", "last_id", "ids", "codes")),
    sa.column("checksum"),
)


def upgrade() -> None:
    op.drop_index("ix_segment_hasher_modality", "segment")
    op.create_index(
        "ix_segment_range", "segment", ["hasher_id", "modality", "first_id", "last_id", "count"]
    )
    connection = op.get_bind()
    for number in connection.scalars(sa.select(SEGMENT.c.id)).all():
        row = connection.execute(sa.select(SEGMENT).where(SEGMENT.c.id == number)).mappings().one()
        head = struct.pack("<qqq", row["count"], row["first_id"], row["last_id"])
        ids = row["ids"] or b""
        if digest(head, ids, row["codes"]) == row["checksum"]:
            new = digest(head, *sums(ids), *sums(row["codes"]))
            connection.execute(
                sa.update(SEGMENT).where(SEGMENT.c.id == number).values(checksum=new)
            )


def sums(blob: bytes) -> tuple[bytes, bytes, bytes]:
    words = np.frombuffer(blob, "<u8", len(blob) // 8)
    rows = words[: len(words) // 512 * 512].reshape(-1, 512)
    columns = rows.sum(0, dtype=np.uint64).astype("<u8").tobytes()
    return columns, rows.sum(1, dtype=np.uint64).astype("<u8").tobytes(), blob[rows.nbytes :]


def digest(*parts: bytes) -> bytes:
    hasher = hashlib.blake2b(digest_size=16)
    for part in parts:
        hasher.update(part)
    return hasher.digest()
