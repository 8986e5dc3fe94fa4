"""What is written in and beside pictures: kinds of words, capture time, place, camera, rating.

Revision: 0003.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    # The metadata of files without a reader is read by the next run.
    op.add_column("file", sa.Column("sidecars", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("file", sa.Column("metadata_reader", sa.Integer(), nullable=True))
    op.add_column(
        "item_keyword",
        sa.Column("kind", sa.String(length=16), nullable=False, server_default="keyword"),
    )
    op.create_table(
        "capture",
        sa.Column("item_id", ID, autoincrement=False, nullable=False),
        sa.Column("taken_at", sa.DateTime(), nullable=True),
        sa.Column("taken_offset", sa.Integer(), nullable=True),
        sa.Column("latitude", sa.Double(), nullable=True),
        sa.Column("longitude", sa.Double(), nullable=True),
        sa.Column("rating", sa.Integer(), nullable=True),
        sa.Column("camera", sa.Text(), nullable=True),
        sa.Column("lens", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("item_id"),
    )
    op.create_index("ix_capture_taken_at", "capture", ["taken_at"], unique=False)
    op.create_index(
        "ix_capture_latitude_longitude", "capture", ["latitude", "longitude"], unique=False
    )
    op.create_index("ix_capture_rating", "capture", ["rating"], unique=False)
    op.create_index("ix_capture_camera", "capture", ["camera"], unique=False)


def downgrade() -> None:
    for column in ("camera", "rating", "latitude_longitude", "taken_at"):
        op.drop_index(f"ix_capture_{column}", table_name="capture")
    op.drop_table("capture")
    op.drop_column("item_keyword", "kind")
    op.drop_column("file", "metadata_reader")
    op.drop_column("file", "sidecars")
