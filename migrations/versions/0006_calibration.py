"""How many chance matches a score of a search stands for, calibrated on the library.

Revision: 0006.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    # The next index run, or the first search, calibrates.
    op.create_table(
        "calibration",
        sa.Column("encoder_id", ID, autoincrement=False, nullable=False),
        sa.Column("pictures", sa.Integer(), nullable=False),
        sa.Column("blob", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["encoder_id"], ["encoder.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("encoder_id"),
    )


def downgrade() -> None:
    op.drop_table("calibration")
