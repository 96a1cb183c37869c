"""A disposition that people put off: no case is opened and none begins before the day, in a run by hand and in the nightly one."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from flows import running
from flows.applying import Surveyed, apply_schedule
from flows.settings import Settings
from flows.wiring import Site
from storage.ledger.cases import CaseState
from tests.flows.conftest import DUE, KEPT, left
from tests.flows.test_reminders import person


@pytest.fixture
def until(site: Site) -> date:
    """The day to which ada put the disposition of fees off."""
    running.run(site, record_types=["fees"], execute=True)
    (case,) = site.ledger.cases.list(state=CaseState.STARTED)
    day = site.today() + timedelta(days=10)
    site.dispositions.extend(case.id, person(site, "ada"), day, "audit")
    return day


def test_no_case_is_opened_before_the_day(site: Site, library: Settings, until: date) -> None:
    (result,) = running.run(site, record_types=["fees"], execute=True).results
    assert (result.case, result.extended) == (None, until)
    assert site.ledger.cases.list(state=CaseState.STARTED) == []
    later = Site(library, now=lambda: site.now() + timedelta(days=10))
    (result,) = running.run(later, record_types=["fees"], execute=True).results
    assert result.case is not None
    assert result.extended is None
    later.close()
    assert left("fees") == DUE + KEPT


def test_when_it_is_cancelled_the_next_run_plans_again(site: Site, until: date) -> None:
    (case,) = site.ledger.cases.list()
    site.dispositions.cancel_extension(case.id, person(site, "ben"), "the audit is over")
    (result,) = running.run(site, record_types=["fees"], execute=True).results
    assert result.case is not None


def test_other_record_types_go_on(site: Site, until: date) -> None:
    running.run(site, record_types=["fees", "loans"], execute=True)
    assert left("loans") == KEPT


@pytest.mark.slow
@pytest.mark.xdist_group("prefect")
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
@pytest.mark.usefixtures("prefect_database", "tidy")
def test_the_nightly_run_says_so(site: Site, until: date) -> None:
    applied = apply_schedule(record_types=["fees"])
    (line,) = applied.lines
    assert line.surveyed == Surveyed(record_type="fees", extended=until.isoformat())
    assert line.disposed is None
