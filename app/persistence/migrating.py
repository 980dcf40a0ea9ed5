"""Bring a store to the newest schema with Alembic, from a checkout and from a frozen program alike."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from app.errors import StoreUnavailable

# Data files beside this module: the bundle ships them as such, because Alembic reads its scripts from a folder.
_SCRIPTS = Path(__file__).parent / "migrations"
_SCHEMA = "app"


def upgrade(engine: sa.Engine) -> None:
    """Run what is missing, in one transaction. Raises StoreUnavailable when a newer program has been here."""
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text(f"CREATE SCHEMA IF NOT EXISTS {_SCHEMA}"))
        held = _version(connection)
        scripts = ScriptDirectory.from_config(config)
        known = {script.revision for script in scripts.walk_revisions()}
        if held is not None and held not in known:
            raise StoreUnavailable(
                f"The app store has schema {held}, newer than this program knows ({scripts.get_current_head()}). "
                "Start the newer program, or choose another base directory."
            )
        if held == scripts.get_current_head():
            return
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _version(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
    return version
