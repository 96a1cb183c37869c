"""Rows of objects: a new version without them, and then none of the old ones. Nothing goes that was not read, and nothing that is held."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import openpyxl
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest

from retention.decide import Criteria
from retention.errors import StoreUnavailable
from retention.holds import Hold
from retention.outcomes import Presence
from retention.schedule import Disposition, Period, Rows, TreeLocation
from storage.contract import Survey
from storage.files.facts import Register
from storage.s3 import upload
from storage.s3.rewritten import Rewritten
from storage.s3.row_object import HIDDEN, STAYING, UNFINISHED, WORKBOOK
from storage.s3.store import S3Store
from tests.contract.harness import criteria_for
from tests.storage.rows.desk import ADA, BELA, CLEO, LOCATION, RECORDED, ZONE, OptedIn, Withdrawn, hold_on
from tests.storage.s3.buckets import Bucket
from tests.storage.s3.disturbed import Asked, Line, Told, error

LETTER = f'cardnumber,surname\r\n{ADA},Abel\r\n{BELA},"Berg, B"\r\n{CLEO},Cole\r\n'.encode()
WITHOUT_ADA = LETTER.replace(f"{ADA},Abel\r\n".encode(), b"")
KEY = "vendor/list-2026-06-01.csv"
GONE = {f"list-2026-06-01.csv#{ADA}": Presence.ABSENT}


@dataclass(kw_only=True)
class Tray:
    """A store over a bucket with rows that go when their person withdrew, or 60 days after the object was last uploaded."""

    bucket: Bucket
    folder: Path
    location: TreeLocation = LOCATION
    withdrawn: tuple[str, ...] = (ADA,)
    disposition: Disposition = Disposition.PURGE
    days: int = 1
    endpoint: str = ""
    register: Register | None = None

    def __post_init__(self) -> None:
        address = replace(self.bucket.address, endpoint=self.endpoint or self.bucket.endpoint)
        self.store = S3Store(
            "exports", address, state=self.folder, now=self.now, in_flight=0.5,
            register=lambda: self.register or Withdrawn(*self.withdrawn),
        )  # fmt: skip

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(days=self.days)

    @property
    def criteria(self) -> Criteria:
        whole = criteria_for(self.location, self.now().astimezone(ZONE).date(), self.disposition)
        rule = replace(whole.record_type.rules[0], minimum=Period(), maximum=Period(days=60))
        return replace(
            whole,
            record_type=replace(whole.record_type, rules=(rule,)),
            library=replace(whole.library, zone=ZONE),
        )

    def survey(self, *holds: Hold) -> tuple[Survey, list[bytes]]:
        written: list[bytes] = []
        found = self.store.survey(self.criteria, holds, written.append, lambda _: None)
        return found, b"".join(written).splitlines()

    def due(self, *holds: Hold) -> list[str]:
        return [self.store.reference(line) for line in self.survey(*holds)[1]]

    def destroy(self, *holds: Hold, lines: Sequence[bytes] | None = None) -> dict[str, Presence]:
        given = self.survey()[1] if lines is None else lines
        with self.store.batch(self.criteria) as batch:
            staged = batch.stage(given, holds)
            batch.destroy()
            seen = batch.read_back()
        return {
            self.store.reference(given[index]): one for index, one in zip(staged.chosen, seen, strict=True)
        }

    def presence(self, lines: Sequence[bytes]) -> list[Presence]:
        return self.store.presence(self.criteria, lines)


def reasons(found: Survey) -> str:
    return " ".join(finding.message for finding in found.findings)


def test_a_row_goes_out_of_every_version_and_every_other_byte_stays(bucket: Bucket, tmp_path: Path) -> None:
    more = {"ContentType": "text/csv", "Metadata": {"producer": "ums"}, "Tagging": "purpose=collections"}
    bucket.put(KEY, LETTER)
    bucket.hide(KEY)
    bucket.put(KEY, LETTER, **more)
    tray = Tray(bucket=bucket, folder=tmp_path)
    found, lines = tray.survey()
    assert (found.population, found.due, found.findings) == (3, 1, [])
    assert tray.destroy() == GONE
    assert bucket.contents(KEY) == [WITHOUT_ADA]
    assert len(bucket.everything()) == 1
    assert tray.presence(lines) == [Presence.ABSENT]
    full = f"{bucket.prefix}{KEY}"
    head = bucket.client.head_object(Bucket=bucket.name, Key=full)
    tags = bucket.client.get_object_tagging(Bucket=bucket.name, Key=full)["TagSet"]
    assert (head["ContentType"], head["Metadata"], tags) == (
        "text/csv", {"producer": "ums"}, [{"Key": "purpose", "Value": "collections"}],
    )  # fmt: skip


def test_a_held_person_s_row_stays_and_the_others_go(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put(KEY, LETTER)
    tray = Tray(bucket=bucket, folder=tmp_path, withdrawn=(ADA, BELA))
    assert tray.due(hold_on(ADA)) == [f"list-2026-06-01.csv#{BELA}"]
    assert tray.destroy(hold_on(ADA)) == {f"list-2026-06-01.csv#{BELA}": Presence.ABSENT}
    (left,) = bucket.contents(KEY)
    assert (ADA.encode() in left, BELA.encode() in left) == (True, False)


def test_to_lose_a_row_makes_an_object_no_younger(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put(KEY, LETTER)
    tray = Tray(bucket=bucket, folder=tmp_path)
    before = tray.store.read(tray.criteria, f"list-2026-06-01.csv#{BELA}")
    tray.destroy()
    after = tray.store.read(tray.criteria, f"list-2026-06-01.csv#{BELA}")
    assert before is not None
    assert after is not None
    assert after.trigger == before.trigger
    elsewhere = Tray(bucket=bucket, folder=tmp_path / "elsewhere")
    unknown = elsewhere.store.read(elsewhere.criteria, f"list-2026-06-01.csv#{BELA}")
    assert unknown is not None
    assert isinstance(unknown.trigger, datetime)
    assert isinstance(before.trigger, datetime)
    assert unknown.trigger >= before.trigger, "later than it need, never earlier"


def test_the_last_row_takes_the_object_along(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put(KEY, LETTER)
    bucket.put("vendor/other-2026-06-01.csv", b"cardnumber,surname\n")
    tray = Tray(bucket=bucket, folder=tmp_path, withdrawn=(ADA, BELA, CLEO))
    assert set(tray.destroy().values()) == {Presence.ABSENT}
    assert [key for key, _ in bucket.everything()] == ["vendor/other-2026-06-01.csv"]


def test_a_row_that_only_an_older_version_holds_goes_too(bucket: Bucket, tmp_path: Path) -> None:
    """Somebody took it out by hand, and the bucket kept it; or we were killed between writing and deleting."""
    bucket.put(KEY, LETTER)
    new = bucket.put(KEY, WITHOUT_ADA)
    tray = Tray(bucket=bucket, folder=tmp_path)
    assert tray.due() == list(GONE)
    assert tray.destroy() == GONE
    assert bucket.everything() == [(KEY, new)]


def test_an_object_whose_older_versions_hold_rows_that_stay_is_left_whole_and_told(
    bucket: Bucket, tmp_path: Path
) -> None:
    bucket.put(KEY, LETTER)
    bucket.put(KEY, LETTER.replace(b"Cole", b"Cole-Diaz"))
    tray = Tray(bucket=bucket, folder=tmp_path)
    found, lines = tray.survey()
    assert (found.due, lines) == (0, [])
    assert STAYING in reasons(found)
    assert [told[2] for told in tray.store.cannot_decide(tray.criteria, (), 9)] == [STAYING]
    assert len(bucket.everything()) == 2


def test_a_hold_on_a_row_that_only_an_older_version_holds_keeps_that_version(
    bucket: Bucket, tmp_path: Path
) -> None:
    bucket.put(KEY, LETTER)
    bucket.put(KEY, WITHOUT_ADA)
    tray = Tray(bucket=bucket, folder=tmp_path, withdrawn=(ADA, BELA))
    _, lines = tray.survey()
    assert len(lines) == 2
    assert tray.destroy(hold_on(ADA), lines=lines) == {}
    assert bucket.contents(KEY) == [WITHOUT_ADA, LETTER]


@pytest.mark.parametrize("moment", ["before it is chosen", "after it was chosen"])
def test_an_object_replaced_meanwhile_is_not_destroyed_unseen(
    bucket: Bucket, tmp_path: Path, moment: str
) -> None:
    bucket.put(KEY, LETTER)
    tray = Tray(bucket=bucket, folder=tmp_path)
    _, lines = tray.survey()
    new = LETTER.replace(b"Cole", b"Cole-Diaz")
    if moment == "before it is chosen":
        bucket.put(KEY, new)
        assert tray.destroy(lines=lines) == {}
    else:
        with tray.store.batch(tray.criteria) as batch:
            batch.stage(lines, ())
            bucket.put(KEY, new)
            batch.destroy()
            assert batch.read_back() == [Presence.PRESENT]
    assert bucket.contents(KEY) == [new, LETTER], "as somebody else left it"


def test_an_object_replaced_after_it_was_chosen_is_read_anew_and_loses_its_rows(
    bucket: Bucket, tmp_path: Path
) -> None:
    bucket.put(KEY, LETTER)
    tray = Tray(bucket=bucket, folder=tmp_path)
    _, lines = tray.survey()
    more = b"21234000000045,Diaz\r\n"
    with tray.store.batch(tray.criteria) as batch:
        batch.stage(lines, ())
        bucket.put(KEY, LETTER + more)
        batch.destroy()
        assert batch.read_back() == [Presence.ABSENT]
    assert bucket.contents(KEY) == [WITHOUT_ADA + more]


def test_rows_that_are_uploaded_anew_after_they_were_chosen_are_as_young_as_that(
    bucket: Bucket, tmp_path: Path
) -> None:
    version = bucket.put(KEY, LETTER)
    old = f"{datetime.now(UTC) - timedelta(days=90):%Y-%m-%dT%H:%M:%SZ}"
    Rewritten(tmp_path / "rows.db").remember(f"{bucket.prefix}{KEY}", version, old)
    tray = Tray(bucket=bucket, folder=tmp_path, withdrawn=())
    _, lines = tray.survey()
    assert len(lines) == 3
    with tray.store.batch(tray.criteria) as batch:
        batch.stage(lines, ())
        bucket.put(KEY, LETTER)
        batch.destroy()
        assert set(batch.read_back()) == {Presence.PRESENT}
    assert bucket.contents(KEY) == [LETTER, LETTER]
    tray.days = 95
    assert set(tray.destroy().values()) == {Presence.ABSENT}
    assert bucket.everything() == []


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_object_replaced_while_it_is_written_stays_as_somebody_else_left_it(
    bucket: Bucket, line: Line, tmp_path: Path, when: str
) -> None:
    bucket.put(KEY, LETTER)
    new = LETTER.replace(b"Cole", b"Cole-Diaz")
    tray = Tray(bucket=bucket, folder=tmp_path, endpoint=line.url)
    _, lines = tray.survey()
    met: list[bool] = []

    def trouble(asked: Asked, hand_on: Callable[[], Told]) -> Told:
        if not puts(asked) or met:
            return hand_on()
        met.append(True)
        if when == "before":
            bucket.put(KEY, new)
        told = hand_on()
        if when == "after":
            bucket.put(KEY, new)
        return told

    line.trouble = trouble
    assert tray.destroy(lines=lines) == {f"list-2026-06-01.csv#{ADA}": Presence.PRESENT}
    assert met
    assert bucket.contents(KEY) == [new, LETTER]


def test_an_object_hidden_meanwhile_stays_hidden(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put(KEY, LETTER)
    tray = Tray(bucket=bucket, folder=tmp_path)
    _, lines = tray.survey()
    with tray.store.batch(tray.criteria) as batch:
        batch.stage(lines, ())
        marker = bucket.hide(KEY)
        batch.destroy()
        assert batch.read_back() == [Presence.PRESENT]
    assert (KEY, marker) in bucket.everything()
    assert bucket.contents(KEY) == [LETTER]
    assert HIDDEN in reasons(tray.survey()[0])


def test_an_upload_begun_by_somebody_else_is_told_and_keeps_the_object(
    bucket: Bucket, tmp_path: Path
) -> None:
    bucket.put(KEY, LETTER)
    tray = Tray(bucket=bucket, folder=tmp_path)
    _, lines = tray.survey()
    bucket.begin(KEY)
    assert UNFINISHED in reasons(tray.survey()[0])
    assert tray.destroy(lines=lines) == {}
    assert tray.presence(lines) == [Presence.PRESENT]
    assert bucket.contents(KEY) == [LETTER]


def test_what_the_store_locks_stays_until_it_does_not(locked: Bucket, tmp_path: Path) -> None:
    version = locked.put(KEY, LETTER)
    full = f"{locked.prefix}{KEY}"
    tray = Tray(bucket=locked, folder=tmp_path)
    _, lines = tray.survey()
    hold = {"Bucket": locked.name, "Key": full, "VersionId": version}
    locked.client.put_object_legal_hold(**hold, LegalHold={"Status": "ON"})
    found, _ = tray.survey()
    assert found.due == 0
    assert "1 object with rows that are due is locked in the store without a date" in reasons(found)
    assert tray.destroy(lines=lines) == {}
    assert tray.store.preserve(tray.criteria, [hold_on(BELA)]) == 0
    locked.client.put_object_legal_hold(**hold, LegalHold={"Status": "OFF"})
    assert tray.destroy(lines=lines) == GONE


def test_a_lock_put_on_after_it_was_chosen_leaves_the_rows_read_back_as_present(
    locked: Bucket, tmp_path: Path
) -> None:
    version = locked.put(KEY, LETTER)
    tray = Tray(bucket=locked, folder=tmp_path)
    _, lines = tray.survey()
    hold = {"Bucket": locked.name, "Key": f"{locked.prefix}{KEY}", "VersionId": version}
    with tray.store.batch(tray.criteria) as batch:
        batch.stage(lines, ())
        locked.client.put_object_legal_hold(**hold, LegalHold={"Status": "ON"})
        batch.destroy()
        assert batch.read_back() == [Presence.PRESENT]
    locked.client.put_object_legal_hold(**hold, LegalHold={"Status": "OFF"})
    assert tray.destroy() == GONE
    assert locked.contents(KEY) == [WITHOUT_ADA]


def test_a_bucket_without_versions_is_refused_and_nothing_is_written(plain: Bucket, tmp_path: Path) -> None:
    plain.put(KEY, LETTER)
    tray = Tray(bucket=plain, folder=tmp_path)
    assert any(
        finding.fatal and "versioning" in finding.message for finding in tray.store.check(tray.criteria)
    )
    assert tray.destroy() == {f"list-2026-06-01.csv#{ADA}": Presence.PRESENT}
    assert plain.contents(KEY) == [LETTER]


def test_a_version_from_before_versioning_is_taken_apart_and_goes(
    localstack_endpoint: str, tmp_path: Path
) -> None:
    bucket = Bucket(localstack_endpoint, versioned=False)
    bucket.put(KEY, LETTER)
    bucket.version("Enabled")
    tray = Tray(bucket=bucket, folder=tmp_path)
    assert tray.destroy() == GONE
    assert bucket.contents(KEY) == [WITHOUT_ADA]


def test_rows_are_anonymized_and_their_older_versions_go(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put(KEY, LETTER)
    location = replace(LOCATION, rows=Rows(key=("cardnumber",), clear=("surname",)))
    tray = Tray(bucket=bucket, folder=tmp_path, location=location, disposition=Disposition.ANONYMIZE)
    assert tray.destroy() == GONE
    assert bucket.contents(KEY) == [LETTER.replace(b"Abel", b"")]
    assert tray.due() == []


def parquet() -> bytes:
    written = io.BytesIO()
    people = {"cardnumber": [ADA, BELA, CLEO], "surname": ["Abel", "Berg", "Cole"]}
    pq.write_table(pa.table(people), written, row_group_size=2)
    return written.getvalue()


def workbook() -> bytes:
    book, written = openpyxl.Workbook(), io.BytesIO()
    sheet = book.active
    assert sheet is not None
    for row in (("cardnumber", "surname"), (ADA, "Abel"), (BELA, "Berg"), (CLEO, "Cole")):
        sheet.append(row)
    book.save(written)
    return written.getvalue()


@pytest.mark.parametrize(("ending", "content"), [("parquet", parquet()), ("xlsx", workbook())])
def test_parquet_and_workbooks_are_written_anew(
    bucket: Bucket, tmp_path: Path, ending: str, content: bytes
) -> None:
    key = f"vendor/list-2026-06-01.{ending}"
    bucket.put(key, content)
    tray = Tray(bucket=bucket, folder=tmp_path)
    assert tray.destroy() == {f"list-2026-06-01.{ending}#{ADA}": Presence.ABSENT}
    (left,) = bucket.contents(key)
    if ending == "parquet":
        assert pq.read_table(io.BytesIO(left)).to_pydict()["cardnumber"] == [BELA, CLEO]
    else:
        sheet = openpyxl.load_workbook(io.BytesIO(left)).active
        assert sheet is not None
        assert [row[0] for row in sheet.iter_rows(values_only=True)] == ["cardnumber", None, BELA, CLEO]
    bucket.put(key, content)
    assert (WORKBOOK if ending == "xlsx" else "") in reasons(tray.survey()[0])


def test_a_large_object_goes_over_in_parts_and_leaves_no_upload_behind(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload, "PART", 5 << 20)  # the smallest that S3 takes
    others = b"".join(b"%d,patron number %d\r\n" % (number, number) for number in range(500_000))
    bucket.put(KEY, LETTER + others)
    tray = Tray(bucket=bucket, folder=tmp_path)
    assert tray.destroy() == GONE
    assert bucket.contents(KEY) == [WITHOUT_ADA + others]
    assert len(bucket.everything()) == 1


# What goes wrong at the store


def puts(asked: Asked) -> bool:
    return asked.verb == "PUT" and asked.path.endswith(".csv")


def test_killed_between_writing_and_deleting_the_rows_are_found_again(
    bucket: Bucket, line: Line, tmp_path: Path
) -> None:
    bucket.put(KEY, LETTER)
    tray = Tray(bucket=bucket, folder=tmp_path, endpoint=line.url)
    _, lines = tray.survey()
    line.trouble = lambda asked, hand_on: Told(0) if asked.deletes else hand_on()
    with pytest.raises(StoreUnavailable):
        tray.destroy(lines=lines)
    line.trouble = lambda asked, hand_on: hand_on()
    assert bucket.contents(KEY) == [WITHOUT_ADA, LETTER]
    assert tray.presence(lines) == [Presence.PRESENT]
    assert tray.destroy() == GONE
    assert bucket.contents(KEY) == [WITHOUT_ADA]


def test_a_new_version_that_reads_back_wrong_is_removed_again(
    bucket: Bucket, line: Line, tmp_path: Path
) -> None:
    bucket.put(KEY, LETTER)
    tray = Tray(bucket=bucket, folder=tmp_path, endpoint=line.url)
    _, lines = tray.survey()
    written: list[bool] = []

    def trouble(asked: Asked, hand_on: Callable[[], Told]) -> Told:
        told = hand_on()
        if puts(asked):
            written.append(True)
        elif written and asked.verb == "GET" and asked.path.endswith(".csv") and told.body == WITHOUT_ADA:
            return told._replace(body=LETTER[: len(WITHOUT_ADA)])
        return told

    line.trouble = trouble
    assert tray.destroy(lines=lines) == {f"list-2026-06-01.csv#{ADA}": Presence.PRESENT}
    assert written
    assert bucket.contents(KEY) == [LETTER]


def test_a_new_version_that_cannot_be_removed_again_is_told(
    bucket: Bucket, line: Line, tmp_path: Path
) -> None:
    """It stays before what somebody uploaded: nobody would look at it if this were a run like any other."""
    bucket.put(KEY, LETTER)
    tray = Tray(bucket=bucket, folder=tmp_path, endpoint=line.url)
    _, lines = tray.survey()
    written: list[bool] = []

    def trouble(asked: Asked, hand_on: Callable[[], Told]) -> Told:
        if asked.deletes:
            return error(403, "AccessDenied")
        told = hand_on()
        if puts(asked):
            written.append(True)
        elif written and asked.verb == "GET" and asked.path.endswith(".csv") and told.body == WITHOUT_ADA:
            return told._replace(body=LETTER[: len(WITHOUT_ADA)])
        return told

    line.trouble = trouble
    with pytest.raises(StoreUnavailable, match="could not be put back") as caught:
        tray.destroy(lines=lines)
    assert ADA not in f"{caught.value} {caught.value.hint}"
    assert LETTER in bucket.contents(KEY)


def test_a_bucket_that_locks_what_is_written_anew_is_refused(locked: Bucket, tmp_path: Path) -> None:
    def grave() -> list[str]:
        tray = Tray(bucket=locked, folder=tmp_path)
        return [one.message for one in tray.store.check(tray.criteria) if one.fatal]

    def lock(**rule: object) -> None:
        locked.client.put_object_lock_configuration(
            Bucket=locked.name, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", **rule}
        )

    assert grave() == []
    lock(Rule={"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}})
    try:
        assert any("locks every new object" in message for message in grave())
    finally:
        lock()


@pytest.mark.parametrize("code", ["ExpiredToken", "AccessDenied"])
def test_a_store_that_stops_taking_what_is_written_leaves_the_object_as_it_was(
    bucket: Bucket, line: Line, tmp_path: Path, code: str
) -> None:
    bucket.put(KEY, LETTER)
    tray = Tray(bucket=bucket, folder=tmp_path, endpoint=line.url)
    _, lines = tray.survey()
    line.trouble = lambda asked, hand_on: error(403, code) if puts(asked) else hand_on()
    with pytest.raises(StoreUnavailable) as caught:
        tray.destroy(lines=lines)
    assert ADA not in str(caught.value)
    assert bucket.contents(KEY) == [LETTER]
    assert tray.presence(lines) == [Presence.PRESENT]


def test_a_version_that_may_not_be_deleted_leaves_the_rows_read_back_as_present(
    bucket: Bucket, line: Line, tmp_path: Path
) -> None:
    bucket.put(KEY, LETTER)
    tray = Tray(bucket=bucket, folder=tmp_path, endpoint=line.url)
    _, lines = tray.survey()
    line.trouble = lambda asked, hand_on: error(403, "AccessDenied") if asked.deletes else hand_on()
    assert tray.destroy(lines=lines) == {f"list-2026-06-01.csv#{ADA}": Presence.PRESENT}
    line.trouble = lambda asked, hand_on: hand_on()
    assert tray.destroy() == GONE


def test_rows_of_who_no_longer_consents_elsewhere_go_and_who_consents_again_is_kept(
    bucket: Bucket, tmp_path: Path
) -> None:
    bucket.put(KEY, LETTER)
    tray = Tray(bucket=bucket, folder=tmp_path, location=RECORDED, register=OptedIn([CLEO]))
    lines = tray.survey()[1]
    assert len(lines) == 2
    tray.register = OptedIn([CLEO, BELA])
    assert tray.destroy(lines=lines) == GONE
    assert bucket.contents(KEY) == [WITHOUT_ADA]
    tray.register = OptedIn(["nobody here"])
    with pytest.raises(StoreUnavailable, match="it knows nobody"):
        tray.survey()
