"""kill -9 at random moments while a real run destroys rows and files; then it goes on. Judged by the stores themselves."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from retention.holds import Matter, MatterKind, Scope
from retention.outcomes import Outcome
from retention.records import Personal
from retention.signing import key_ring
from retention.verify import verify
from storage.ledger.cases import CaseState
from storage.worklist import tally
from tests.reliability.site import ON, TestSite, build, patron

MATTER = Matter(number="2026-17", kind=MatterKind.SUBPOENA, issuing_authority="District Court")
KILLS = 5


@pytest.mark.postgresql
def test_a_run_killed_again_and_again_loses_nothing_and_certifies_what_is_gone_on_postgresql(
    postgresql_url: str, tmp_path: Path
) -> None:
    killed_again_and_again(build(tmp_path, postgresql_url, loans=15_000, files=1_500))


@pytest.mark.mariadb
def test_a_run_killed_again_and_again_loses_nothing_and_certifies_what_is_gone_on_mariadb(
    mariadb_url: str, tmp_path: Path
) -> None:
    killed_again_and_again(build(tmp_path, mariadb_url, loans=12_000, files=1_000))


def test_a_run_killed_again_and_again_loses_nothing_and_certifies_what_is_gone_on_sqlite(
    tmp_path: Path,
) -> None:
    killed_again_and_again(build(tmp_path, f"sqlite:///{tmp_path / 'ils.db'}", loans=12_000, files=1_500))


def killed_again_and_again(made: TestSite) -> None:
    held = {patron(7), patron(42)}
    site = made.site()
    scope = Scope(record_types=frozenset({"loans"}), subjects=frozenset(Personal(one) for one in held))
    site.enforcing.place(scope, MATTER, site.signatory("director"))
    site.close()
    safe = made.loans_left(due=False) | {id for one in held for id in made.loans_left(patron=one)}
    young = made.files_left(due=False)
    chance = random.Random(20260331)  # chosen moments, not secrets
    killed = sum(made.kill_after(chance.randint(1, 6)) for _ in range(KILLS))
    assert killed >= KILLS // 2, "the runs ended before they could be killed: make the site larger"
    assert safe <= made.loans_left()
    assert young == made.files_left(due=False)
    assert made.run("run", "--on", ON, "--execute") == 0
    assert made.loans_left() == safe
    assert made.files_left(due=True) == set()
    assert made.files_left(due=False) == young
    assert made.orphan_bills() == 0
    certified(made, destroyed=made.loans - len(safe) + made.files - len(young))


def certified(made: TestSite, *, destroyed: int) -> None:
    """The ledger's outcomes, the certificates and the stores agree to the record; nothing is left unsettled."""
    site = made.site()
    assert site.ledger.batches.open_intents() == []
    assert site.ledger.connection.verify_chain() > 0
    total = 0
    for case in site.ledger.cases.list():
        assert case.state is CaseState.CLOSED
        counts = tally(case, site.ledger.batches.settled(case.id)).counts
        assert counts[Outcome.NOT_DESTROYED] == counts[Outcome.UNKNOWN] == 0
        total += counts[Outcome.DESTROYED]
        if counts[Outcome.DESTROYED]:
            certificate = site.ledger.certificates.get(case.id)
            leaves = (site.settings.evidence / f"{certificate.id}.leaves").read_bytes()
            keys = key_ring(*site.signing_keys.public())
            assert verify(certificate.envelope, keys=keys, leaves=leaves).ok
    assert total == destroyed
    site.close()
