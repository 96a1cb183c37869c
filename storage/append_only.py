"""Triggers by which a database itself refuses to change what is evidence. Called by migrations only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from alembic import op


def refuse(table: str, action: str, message: str, when: str | None = None) -> None:
    """Refuse ``UPDATE`` or ``DELETE`` (on PostgreSQL also ``TRUNCATE``) of the table's rows."""
    name = f"refuse_{action.lower()}_{table}"
    condition = f" WHEN ({when})" if when else ""
    if _is_sqlite():
        op.execute(
            f'CREATE TRIGGER {name} BEFORE {action} ON "{table}" FOR EACH ROW{condition} '
            f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
        )
        return
    op.execute(
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{message}'; END $$"
    )
    op.execute(
        f'CREATE TRIGGER {name} BEFORE {action} ON "{table}" FOR EACH ROW{condition} EXECUTE FUNCTION {name}()'
    )
    if action == "DELETE":
        op.execute(
            f'CREATE TRIGGER refuse_truncate_{table} BEFORE TRUNCATE ON "{table}" EXECUTE FUNCTION {name}()'
        )


def refuse_replacing(table: str, key: Sequence[str], *unique: str) -> None:
    """SQLite's REPLACE deletes the row in its way without asking a DELETE trigger. ``unique``: columns unique by themselves."""
    if not _is_sqlite():
        return
    same = " AND ".join(f'"{column}" = NEW."{column}"' for column in key)
    same = " OR ".join([f"({same})", *(f'"{column}" = NEW."{column}"' for column in unique)])
    op.execute(
        f'CREATE TRIGGER refuse_replace_{table} BEFORE INSERT ON "{table}" FOR EACH ROW '  # noqa: S608  # our own names
        f'WHEN EXISTS (SELECT 1 FROM "{table}" WHERE {same} OR rowid = NEW.rowid) '
        f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
    )


def refuse_inserting(table: str, what: str, message: str, when: str) -> None:
    """Refuse new rows for which the condition holds, which may look at other tables. ``what``: part of the trigger's name."""
    name = f"refuse_{what}_{table}"
    if _is_sqlite():
        op.execute(
            f'CREATE TRIGGER {name} BEFORE INSERT ON "{table}" FOR EACH ROW WHEN {when} '
            f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
        )
        return
    op.execute(
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN IF {when} THEN RAISE EXCEPTION '{message}'; END IF; RETURN NEW; END $$"
    )
    op.execute(f'CREATE TRIGGER {name} BEFORE INSERT ON "{table}" FOR EACH ROW EXECUTE FUNCTION {name}()')


def freeze(table: str, columns: Sequence[str], message: str, *refused: str) -> None:
    """Refuse changes of these columns, and every change for which one of the ``refused`` conditions holds."""
    frozen = [f'NEW."{column}" IS DISTINCT FROM OLD."{column}"' for column in columns]
    changed = " OR ".join((*frozen, *refused))
    if _is_sqlite():
        changed = changed.replace("IS DISTINCT FROM", "IS NOT") + " OR NEW.rowid IS NOT OLD.rowid"
    refuse(table, "UPDATE", message, when=changed)


def steps(ways: Mapping[str, Sequence[str]]) -> list[str]:
    """Conditions for `freeze`: a change of ``state`` that is not one of its ways. A state may always stay what it is."""
    return [
        f"(OLD.state = '{state}' AND NEW.state NOT IN ('" + "', '".join((state, *after)) + "'))"
        for state, after in ways.items()
    ]


def other_person(table: str, subject: str, action: str, before: str) -> None:
    """Four eyes: refuse a row with this ``action`` by the person of the last row with the action ``before``, or without one.

    ``subject``: the column that says what the rows are about.
    """
    name = f"refuse_same_person_{table}_{action.replace('-', '_')}"
    message = f"four eyes: {action} needs another person than {before}"
    last = (
        f'(SELECT person FROM "{table}" WHERE "{subject}" = NEW."{subject}" AND action = \'{before}\' '  # noqa: S608  # our own names
        "ORDER BY id DESC LIMIT 1)"
    )
    if _is_sqlite():
        op.execute(
            f'CREATE TRIGGER {name} BEFORE INSERT ON "{table}" FOR EACH ROW '
            f"WHEN NEW.action = '{action}' AND NEW.person IS coalesce({last}, NEW.person) "
            f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
        )
        return
    op.execute(
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF NEW.person = coalesce({last}, NEW.person) THEN RAISE EXCEPTION '{message}'; END IF; RETURN NEW; END $$"
    )
    op.execute(
        f'CREATE TRIGGER {name} BEFORE INSERT ON "{table}" FOR EACH ROW '
        f"WHEN (NEW.action = '{action}') EXECUTE FUNCTION {name}()"
    )


def _is_sqlite() -> bool:
    return op.get_bind().dialect.name == "sqlite"
