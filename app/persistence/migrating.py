"""Bring a store to the newest schema with Alembic, from a checkout and from a frozen program alike."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from app.errors import StoreUnavailable

HEAD = "0002"

# Data files beside this module: the bundle ships them as such, because Alembic reads its scripts from a folder.
SCRIPTS = Path(__file__).parent / "migrations"
_SCHEMA = "app"


def upgrade(engine: sa.Engine) -> None:
    """Run what is missing, in one transaction. Raises StoreUnavailable when a newer program has been here."""
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text(f"CREATE SCHEMA IF NOT EXISTS {_SCHEMA}"))
        held = _version(connection)
        if held != HEAD:
            _migrate(connection, held)


def _migrate(connection: sa.Connection, held: str | None) -> None:
    # Alembic costs a quarter of a second to import; nearly every start finds the newest schema and needs none of it.
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if held is not None and held not in known:
        raise StoreUnavailable(
            f"The app store has schema {held}, newer than this program knows ({HEAD}). "
            "Start the newer program, or choose another base directory."
        )
    config.attributes["connection"] = connection
    command.upgrade(config, HEAD)


def _version(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
    return version
