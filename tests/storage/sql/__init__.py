"""Tests of the SQL store, on real SQLite, PostgreSQL and MariaDB."""
