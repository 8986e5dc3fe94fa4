"""Frames of videos: which video each belongs to, and when it is shown.

Revision: 0004.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "frame",
        sa.Column("item_id", ID, autoincrement=False, nullable=False),
        sa.Column("content_hash", sa.LargeBinary(length=16), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("item_id"),
    )
    op.create_index("ix_frame_content_hash", "frame", ["content_hash"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_frame_content_hash", table_name="frame")
    op.drop_table("frame")
