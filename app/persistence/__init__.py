"""The app store: accounts seen, layouts, exit templates, notices, orders and fills, on SQLite or PostgreSQL by URL."""

from app.persistence.store import AppStore

__all__ = ["AppStore"]
