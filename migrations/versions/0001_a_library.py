"""A library: volumes, files, items, words, feature spaces, hashers and segments of codes.

Revision: 0001, the first.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "encoder",
        sa.Column("id", ID, nullable=False),
        sa.Column("identifier", sa.Text(), nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("dim", sa.Integer(), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("identifier"),
    )
    op.create_table(
        "item",
        sa.Column("id", ID, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("content_hash", sa.LargeBinary(length=16), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("width", sa.Integer(), nullable=True),
        sa.Column("height", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("kind", "content_hash"),
    )
    op.create_table(
        "volume",
        sa.Column("id", ID, nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("path"),
    )
    op.create_table(
        "caption",
        sa.Column("id", ID, nullable=False),
        sa.Column("item_id", ID, nullable=False),
        sa.Column("text_item_id", ID, nullable=False),
        sa.Column("source", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["text_item_id"], ["item.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("item_id", "text_item_id", "source"),
    )
    op.create_index("ix_caption_text_item_id", "caption", ["text_item_id"], unique=False)
    op.create_table(
        "feature",
        sa.Column("encoder_id", ID, nullable=False),
        sa.Column("item_id", ID, nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["encoder_id"], ["encoder.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("encoder_id", "item_id"),
    )
    op.create_table(
        "file",
        sa.Column("id", ID, nullable=False),
        sa.Column("volume_id", ID, nullable=False),
        sa.Column("relative_path", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        sa.Column("content_hash", sa.LargeBinary(length=16), nullable=True),
        sa.Column("item_id", ID, nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("decoder", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["volume_id"], ["volume.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("volume_id", "relative_path"),
    )
    op.create_index("ix_file_content_hash", "file", ["content_hash"], unique=False)
    op.create_index("ix_file_item_id", "file", ["item_id"], unique=False)
    op.create_table(
        "hasher",
        sa.Column("id", ID, nullable=False),
        sa.Column("encoder_id", ID, nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("bits", sa.Integer(), nullable=False),
        sa.Column("blob", sa.LargeBinary(), nullable=False),
        sa.Column("trained_on", sa.JSON(), nullable=False),
        sa.Column("quality", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["encoder_id"], ["encoder.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "keyword",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("text_item_id", ID, nullable=False),
        sa.ForeignKeyConstraint(["text_item_id"], ["item.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "item_keyword",
        sa.Column("item_id", ID, nullable=False),
        sa.Column("keyword_id", ID, nullable=False),
        sa.Column("source", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["keyword_id"], ["keyword.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("item_id", "keyword_id", "source"),
    )
    op.create_index("ix_item_keyword_keyword_id", "item_keyword", ["keyword_id"], unique=False)
    op.create_table(
        "segment",
        sa.Column("id", ID, nullable=False),
        sa.Column("hasher_id", ID, nullable=False),
        sa.Column("modality", sa.String(length=16), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("first_id", sa.BigInteger(), nullable=False),
        sa.Column("last_id", sa.BigInteger(), nullable=False),
        sa.Column("checksum", sa.LargeBinary(length=16), nullable=False),
        sa.Column("deleted", sa.LargeBinary(), nullable=True),
        sa.Column("ids", sa.LargeBinary(), nullable=True),
        sa.Column("codes", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["hasher_id"], ["hasher.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "ix_segment_hasher_modality", "segment", ["hasher_id", "modality"], unique=False
    )


def downgrade() -> None:
    op.drop_index("ix_segment_hasher_modality", table_name="segment")
    op.drop_table("segment")
    op.drop_index("ix_item_keyword_keyword_id", table_name="item_keyword")
    op.drop_table("item_keyword")
    op.drop_table("keyword")
    op.drop_table("hasher")
    op.drop_index("ix_file_item_id", table_name="file")
    op.drop_index("ix_file_content_hash", table_name="file")
    op.drop_table("file")
    op.drop_table("feature")
    op.drop_index("ix_caption_text_item_id", table_name="caption")
    op.drop_table("caption")
    op.drop_table("volume")
    op.drop_table("item")
    op.drop_table("encoder")
