"""Which object seals whose values: one small table in the library's own database, beside the values it is about.

It names no patron. A row's tag is an HMAC of the patron's id under the index key of the period, and that key dies with its cohort:
afterwards the tags of the period can be linked to nobody.
"""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa

INDEX, SUBJECT = "index", "subject"


class Directory:
    """The table, in whatever transaction it is asked in. ``prefix``: as of the store's own tables."""

    def __init__(self, prefix: str = "retention_") -> None:
        self._table = sa.Table(
            f"{prefix}sealed",
            sa.MetaData(),
            sa.Column("tag", sa.String(80), primary_key=True),
            sa.Column("kind", sa.String(8), nullable=False),
            sa.Column("place", sa.String(255), nullable=False),
            sa.Column("period", sa.String(16), nullable=False),
            sa.Column("object", sa.String(16), nullable=False),
            mysql_engine="InnoDB",
            mariadb_engine="InnoDB",
        )

    def create(self, connection: sa.Connection) -> None:
        """Make the table where there is none."""
        self._table.create(connection, checkfirst=True)

    def find(self, connection: sa.Connection, tag: str) -> str | None:
        """The object of a tag."""
        found = connection.execute(sa.select(self._table.c.object).where(self._table.c.tag == tag)).scalar()
        return None if found is None else str(found)

    def put(
        self, connection: sa.Connection, tag: str, *, kind: str, place: str, period: str, object: str
    ) -> str:
        """Remember an object. Returns the one that stands there: another writer's, if that was faster."""
        try:
            with connection.begin_nested():
                connection.execute(
                    sa.insert(self._table).values(
                        tag=tag, kind=kind, place=place, period=period, object=object
                    )
                )
        except sa.exc.IntegrityError:
            return self.find(connection, tag) or object
        return object

    def drop(self, connection: sa.Connection, tag: str) -> None:
        connection.execute(sa.delete(self._table).where(self._table.c.tag == tag))

    def indexes(self, connection: sa.Connection, place: str) -> Iterator[tuple[str, str]]:
        """Period and index object of every period of a place, dead ones too."""
        table = self._table
        query = sa.select(table.c.period, table.c.object).where(table.c.kind == INDEX, table.c.place == place)
        for period, object in connection.execute(query.order_by(table.c.period)).all():
            yield str(period), str(object)
