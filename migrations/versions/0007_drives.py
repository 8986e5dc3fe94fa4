"""Drives below a folder are known, so that one that is away is not taken for deleted pictures.

Revision: 0007. The next index run fills the column.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("volume", sa.Column("drives", sa.JSON(), nullable=True))


def downgrade() -> None:
    op.drop_column("volume", "drives")
