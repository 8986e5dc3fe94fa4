"""A volume is found from where the library lies, so that both can move together.

Revision: 0005. The next index run fills the column.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("volume", sa.Column("from_library", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("volume", "from_library")
