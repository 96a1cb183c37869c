"""What was destroyed does not come back to life, and the journals stay: the database itself refuses."""

from __future__ import annotations

import pytest
from sqlalchemy import Integer, text
from sqlalchemy.exc import DBAPIError

from retention.errors import KeyStoreUnavailable
from storage.keys.tables import metadata
from tests.storage.desk import behind_its_back
from tests.storage.keys.vault import Vault

JOURNALS = ("destruction", "event", "rotation_step")
NEVER_DELETED = ("counter", "root", "holder", "sealed_object")
CHANGEABLE = {"wrap", "wrapping_key", "looked", "note"}


def refused(vault: Vault, statement: str, **values: object) -> None:
    with pytest.raises(DBAPIError, match=r"append-only|frozen"), behind_its_back(vault.url) as connection:
        connection.execute(text(statement), values)


@pytest.fixture
def filled(vault: Vault) -> Vault:
    gone = vault.seal(1)
    vault.seal(2, period="2025-02")
    vault.destroy(vault.cohort_of(gone.id))
    vault.store.rotate(at=vault.now())
    return vault


def test_every_table_is_looked_at_here() -> None:
    assert {*JOURNALS, *NEVER_DELETED, *CHANGEABLE} == set(metadata.tables)


def test_a_journal_can_be_neither_changed_nor_removed(filled: Vault) -> None:
    for table in JOURNALS:
        for column in metadata.tables[table].columns:
            value = 99 if isinstance(column.type, Integer) else "9"
            refused(filled, f'UPDATE "{table}" SET "{column.name}" = :value', value=value)


def test_the_registry_and_the_journals_forget_nothing(filled: Vault) -> None:
    for table in (*JOURNALS, *NEVER_DELETED):
        refused(filled, f'DELETE FROM "{table}"')
        if filled.store.db.sqlite:
            refused(filled, f'REPLACE INTO "{table}" SELECT * FROM "{table}"')
        else:
            refused(filled, f'TRUNCATE "{table}" CASCADE')


def test_what_is_destroyed_or_gone_never_lives_again(filled: Vault) -> None:
    refused(filled, "UPDATE holder SET state = 'living' WHERE state = 'destroyed'")
    refused(filled, "UPDATE sealed_object SET state = 'sealed' WHERE state = 'destroyed'")
    refused(filled, "UPDATE root SET state = 'current' WHERE state = 'gone'")
    refused(filled, "UPDATE root SET state = 'scheduled' WHERE state = 'gone'")
    refused(filled, "UPDATE counter SET value = value - 1")
    refused(filled, "UPDATE sealed_object SET trigger = '1999-01-01'")


def test_the_product_says_so_when_the_database_refuses(filled: Vault) -> None:
    with (
        pytest.raises(KeyStoreUnavailable, match="refused a change to evidence"),
        filled.store.db.writing() as connection,
    ):
        connection.execute(text("UPDATE event SET kind = 'x'"))


def test_the_tables_are_what_the_migration_makes(vault: Vault) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with vault.store.db.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
