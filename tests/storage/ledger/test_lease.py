"""One run works on a record type at a time; whoever lost its lease can write nothing more."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from retention.errors import Refused
from storage.ledger.cases import LEASE
from storage.ledger.ledger import Ledger
from tests.storage.desk import NOW, SEALING_KEY, begun, concluded, intended, opened

HOLDER = """
import sys, time
from storage.ledger.ledger import Ledger
from tests.storage.desk import NOW
Ledger(sys.argv[1], bytes.fromhex(sys.argv[2])).cases.acquire("loans", at=NOW)
print("held", flush=True)
time.sleep(60)
"""
MOMENT = timedelta(seconds=1)


def holder(url: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, url, SEALING_KEY.hex()],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_the_lease_of_a_live_process_is_refused_and_a_dead_ones_taken_at_once(
    ledger: Ledger, ledger_url: str
) -> None:
    process = holder(ledger_url)
    try:
        with pytest.raises(Refused, match="another run is working on loans"):
            ledger.cases.acquire("loans", at=NOW + MOMENT)
        ledger.cases.acquire("requests", at=NOW + MOMENT)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    assert ledger.cases.acquire("loans", at=NOW + MOMENT).name == "loans"


def test_a_second_lease_in_the_same_process_is_refused_too(ledger: Ledger) -> None:
    ledger.cases.acquire("loans", at=NOW)
    with pytest.raises(Refused):
        ledger.cases.acquire("loans", at=NOW)


def test_an_expired_lease_is_taken_exactly_when_it_ends(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(socket, "gethostname", lambda: "elsewhere")
        first = ledger.cases.acquire("loans", at=NOW)
    with pytest.raises(Refused):
        ledger.cases.acquire("loans", at=NOW + LEASE - MOMENT)
    assert ledger.cases.acquire("loans", at=NOW + LEASE).token > first.token


def test_a_process_on_another_machine_is_never_thought_dead(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(socket, "gethostname", lambda: "elsewhere")
        patch.setattr(os, "getpid", lambda: 2**22 + 1)
        ledger.cases.acquire("loans", at=NOW)
    with pytest.raises(Refused):
        ledger.cases.acquire("loans", at=NOW)


def test_a_lease_given_back_is_free(ledger: Ledger) -> None:
    ledger.cases.release(ledger.cases.acquire("loans", at=NOW), at=NOW)
    ledger.cases.acquire("loans", at=NOW)


def test_a_worker_that_lost_its_lease_writes_nothing_more(ledger: Ledger) -> None:
    case, lost = begun(ledger)
    intent = intended(ledger, case, lost)
    late = NOW + LEASE + MOMENT
    winner = ledger.cases.acquire(case.record_type, at=late)
    before = ledger.connection.verify_chain()
    with pytest.raises(Refused, match="lost its lease"):
        intended(ledger, case, lost, at=late)
    with pytest.raises(Refused, match="lost its lease"):
        concluded(ledger, case, lost, intent, at=late)
    ledger.cases.release(lost, at=late)  # nothing of its own is left to give back
    assert ledger.connection.verify_chain() == before
    assert [found.id for found in ledger.batches.open_intents()] == [intent]
    concluded(ledger, case, winner, intent, at=late)


def test_every_write_of_a_batch_renews_the_lease(ledger: Ledger) -> None:
    case, lease = begun(ledger)
    almost = NOW + LEASE - MOMENT
    intended(ledger, case, lease, at=almost)
    with pytest.raises(Refused, match="another run"):
        ledger.cases.acquire(case.record_type, at=NOW + LEASE + MOMENT)


def test_tokens_never_come_again(ledger: Ledger) -> None:
    tokens = []
    for _ in range(3):
        lease = ledger.cases.acquire("loans", at=NOW)
        tokens.append(lease.token)
        ledger.cases.release(lease, at=NOW)
    assert tokens == sorted(set(tokens))


def test_a_lease_is_no_right_to_another_record_type(ledger: Ledger) -> None:
    case = opened(ledger)
    ledger.cases.begin_destroying(case, cleared_by=(), actor="test", at=NOW)
    other = ledger.cases.acquire("requests", at=NOW)
    ledger.cases.acquire(case.record_type, at=NOW)
    with pytest.raises(Refused):
        intended(ledger, case, other)
