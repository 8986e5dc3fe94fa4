"""Alembic's entry: migrates the connection that `Database` hands over, or a file named on its line.

A library is migrated when it is opened. For writing a new migration:

    alembic -c migrations/alembic.ini -x library=FILE revision -m "what changes"
"""

from alembic import context

from xmodal.store.models import Base


def run(connection) -> None:
    # SQLite changes a column by copying the table: render_as_batch lets migrations say only what.
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=True,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    from sqlalchemy import create_engine

    engine = create_engine(f"sqlite:///{context.get_x_argument(as_dictionary=True)['library']}")
    with engine.begin() as own:
        run(own)
