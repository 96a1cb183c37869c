"""Databases as stores: SQLite, PostgreSQL and MariaDB through SQLAlchemy Core."""

from storage.sql.store import SqlStore

__all__ = ["SqlStore"]
