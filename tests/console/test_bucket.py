"""A bucket on the whole way of a record: settings, check, doctor, hold, run, certificate."""

from __future__ import annotations

import base64
import json
import random
import sqlite3
from datetime import datetime, timedelta

import pytest

from flows.scanning import shown
from flows.scans import places_to_scan, scan
from flows.settings import load_settings
from flows.wiring import Site
from tests.console.library import NOW, Library
from tests.storage.s3.buckets import ACCESS, SECRET, Bucket
from tests.storage.scanning import corpus

LOCATION = """
[store.vendor]
kind = "s3"
title = "Bucket shared with the vendor"

[record-type.shared]
title = "Exports in the vendor's bucket"
description = "Files shared with the analytics vendor."
authority = { citation = "Policy 5-9, VI" }
owner = "Systems"
personal-data = ["name"]
trigger = "file uploaded"
cutoff = "day"
minimum = "P30D"
disposition = "purge"
approval = "standing"
limits = { records = 10 }
effective-from = 2020-01-01

[[record-type.shared.location]]
name = "outbox"
store = "vendor"
path = "outbox"
template = "{any}.{ext}"
trigger-kind = "modified"
time-zone = "library"
subject = "unknown"
"""


CARDS = [corpus.barcode(random.Random(n)) for n in range(9)]
ROWS = """
[record-type.letters]
title = "Rows sent to the agency"
description = "People in the exports of the collection agency."
authority = { citation = "Policy 5-9, VI" }
owner = "Circulation"
personal-data = ["cardnumber", "surname"]
trigger = "exported"
cutoff = "day"
minimum = "P0D"
maximum = "P60D"
disposition = "purge"
approval = "standing"
limits = { records = 10, percent = 90 }
effective-from = 2020-01-01

[[record-type.letters.location]]
name = "rows"
store = "vendor"
path = "letters"
template = "list-{Y}-{m}-{d}.csv"
trigger-kind = "name"
time-zone = "library"
subject = "cardnumber"
consent = "withdrawn = false"

[record-type.letters.location.rows]
key = ["cardnumber"]
"""


def with_bucket(library: Library, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Add the bucket to the schedule and the settings, and an object with two versions to the bucket."""
    with library.policies.open("a", encoding="utf-8") as file:
        file.write(LOCATION)
    values = {
        "BUCKET": bucket.name, "PREFIX": "library", "ENDPOINT": bucket.endpoint, "REGION": "us-east-1", "ADDRESSING": "path",
        "ACCESS_KEY": ACCESS, "SECRET_KEY": SECRET,
    }  # fmt: skip
    for name, value in values.items():
        monkeypatch.setenv(f"RETENTION_STORES__VENDOR__{name}", value)
    bucket.put("library/outbox/zqcanary-ada.csv", b"1")
    bucket.put("library/outbox/zqcanary-ada.csv", b"2")
    bucket.put("library/outbox/notes", b"of no layout")


@pytest.fixture
def shared(staffed: Library, moto_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Library, Bucket]:
    bucket = Bucket(moto_endpoint)
    with_bucket(staffed, bucket, monkeypatch)
    return staffed, bucket


def test_what_is_due_in_a_bucket_goes_with_a_certificate_that_says_so(shared: tuple[Library, Bucket]) -> None:
    library, bucket = shared
    dry = library.done("run", "--record-type", "shared")
    assert "1 object matches no layout" in dry.out
    assert len(bucket.everything()) == 3
    done = library.done("run", "--record-type", "shared", "--execute", "--json").json
    (result,) = done["results"]
    assert result["disposal"]["counts"]["destroyed"] == 1
    assert [key for key, _ in bucket.everything()] == ["library/outbox/notes"]
    (envelope,) = (library.state / "evidence").glob("*.dsse.json")
    library.done("certificate", "verify", envelope, "--key", library.state / "evidence" / "retention.pub")
    statement = base64.b64decode(json.loads(envelope.read_bytes())["payload"])
    assert b"every version, delete marker and unfinished upload" in statement
    assert b"Replicas in other buckets" in statement
    for path in library.state.rglob("*"):
        assert path.is_dir() or b"zqcanary" not in path.read_bytes(), path


def test_check_and_doctor_look_into_the_bucket(shared: tuple[Library, Bucket]) -> None:
    library, bucket = shared
    bucket.version("Suspended")
    said = library.done("check", "--stores")
    assert "shared/outbox: versioning is suspended" in said.out
    said = library("doctor")
    assert "store vendor: shared/outbox: versioning is suspended" in said.out
    assert "store vendor: its hold gate was passed" in said.out
    bucket.drop()
    assert "the bucket does not exist" in library("doctor").out
    assert library("check", "--stores").code == 7
    said = library("run", "--record-type", "shared")
    assert (said.code, "shared: outbox in store vendor: the bucket does not exist" in said.out) == (7, True)
    assert "--execute" not in said.out


def test_a_hold_placed_keeps_a_bucket_s_objects_and_locks_them(
    staffed: Library, localstack_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = Bucket(localstack_endpoint, versioned="locked")
    with_bucket(staffed, bucket, monkeypatch)
    placed = staffed.done(
        "hold", "place", "--matter", "2035-CV-1", "--kind", "subpoena", "--authority", "District Court", "--record-type", "shared",
        "--as", "ada", "--json",
    ).json  # fmt: skip
    assert placed["hold"]["state"] == "provisional"
    held = [
        bucket.client.head_object(Bucket=bucket.name, Key=key, VersionId=version).get(
            "ObjectLockLegalHoldStatus"
        )
        for key, version in bucket.everything()
        if key.endswith(".csv")
    ]
    assert held == ["ON", "ON"]
    done = staffed.done("run", "--record-type", "shared", "--execute", "--json").json
    assert done["results"][0]["plan"]["due"] == 0
    assert len(bucket.everything()) == 3


def test_rows_of_a_person_who_withdrew_go_out_of_the_bucket_with_a_certificate_that_says_so(
    shared: tuple[Library, Bucket],
) -> None:
    library, bucket = shared
    with library.policies.open("a", encoding="utf-8") as file:
        file.write(ROWS)
    letter = f"cardnumber,surname\r\n{CARDS[0]},Zqcanary\r\n{CARDS[1]},Berg\r\n"
    key = "library/letters/list-2035-06-01.csv"
    bucket.put(key, letter.replace("Berg", "Old").encode())
    bucket.wipe(key)
    bucket.put(key, letter.encode())
    bucket.put(key, letter.encode())
    (library.root / "who.txt").write_text(f"{CARDS[0]}\n")
    library.done("export", "withdraw", "--subject-file", library.root / "who.txt", "--as", "ada")
    library.now = NOW + timedelta(days=1)
    told = library.done("explain", "letters", f"list-2035-06-01.csv#{CARDS[0]}")
    assert "due" in told.out
    ran = library.done("run", "--record-type", "letters", "--execute", "--json")
    (result,) = ran.json["results"]
    assert result["disposal"]["counts"]["destroyed"] == 1
    assert bucket.contents(key) == [f"cardnumber,surname\r\n{CARDS[1]},Berg\r\n".encode()]
    (envelope,) = (library.state / "evidence").glob("*.dsse.json")
    library.done("certificate", "verify", envelope, "--key", library.state / "evidence" / "retention.pub")
    statement = base64.b64decode(json.loads(envelope.read_bytes())["payload"])
    assert b"rows left out by writing a new version of their object" in statement
    kept = b"".join(path.read_bytes() for path in library.state.rglob("*") if path.is_file())
    for secret in (CARDS[0], "Zqcanary"):
        assert secret.encode() not in kept + statement
        assert secret not in ran.out + ran.err


def below(name: str) -> str:
    """Of ``s3://bucket/key`` the key: a bucket's own name may be hidden in part, too."""
    assert name.startswith("s3://")
    return name.split("/", 3)[3]


def test_a_bucket_is_scanned_by_its_store_s_name_by_its_address_and_by_default(
    shared: tuple[Library, Bucket], monkeypatch: pytest.MonkeyPatch
) -> None:
    library, bucket = shared
    cards = CARDS
    bucket.put(f"library/drop/{cards[0]}.txt", "\n".join(cards).encode())
    bucket.put("library/outbox/cards.csv", "\n".join(cards).encode())
    bucket.put("elsewhere/cards.txt", "\n".join(cards).encode())
    said = library("scan", "vendor", "--all", "--json")
    told = {below(one["file"]): one["answers"] for one in said.json["results"]}
    assert said.code == 3
    assert told == {"library/drop/….txt": "nobody", "library/outbox/cards.csv": "scheduled"}
    named = library("scan", f"s3://{bucket.name}/elsewhere/", "--json").json["results"]
    assert [below(one["file"]) for one in named] == ["elsewhere/cards.txt"]
    site = Site(load_settings(), lambda: NOW)
    weekly = shown(scan(site, places_to_scan(site)))
    monkeypatch.setenv(
        "RETENTION_SCAN_PATHS", f"{library.root / 'exports'}:s3://{bucket.name}/elsewhere:vendor"
    )
    several = places_to_scan(Site(load_settings(), lambda: NOW))
    site.close()
    assert len(weekly.alarms) == 1
    assert (len(several.folders), [one.prefix for one in several.buckets]) == (1, ["elsewhere", "library/"])
    for text in (said.out, said.err, repr(weekly)):
        assert not [card for card in cards if card in text]
    assert library("scan", "s3://").code == 2


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("BUCKET", "", "needs the name of its bucket"),
        ("SECRET_KEY", None, "half of its credentials"),
        ("ADDRESSING", "somehow", "RETENTION_STORES__VENDOR__ADDRESSING"),
        ("ENDPOINT", "ftp://zqcanary", "RETENTION_STORES__VENDOR__ENDPOINT"),
    ],
)
def test_a_wrong_setting_of_a_bucket_is_named(
    shared: tuple[Library, Bucket], monkeypatch: pytest.MonkeyPatch, name: str, value: str | None, words: str
) -> None:
    library, _ = shared
    variable = f"RETENTION_STORES__VENDOR__{name}"
    if value is None:
        monkeypatch.delenv(variable)
    else:
        monkeypatch.setenv(variable, value)
    said = library("run", "--record-type", "shared")
    assert said.code == 2
    assert words in said.err + said.out
    assert "zqcanary" not in said.err + said.out


def test_with_the_ledger_on_a_server_a_bucket_needs_a_gate_for_all_machines(
    shared: tuple[Library, Bucket], monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.wiring import StoreMap
    from retention.errors import SettingsError
    from retention.loader import load

    library, _ = shared
    monkeypatch.setenv("RETENTION_LEDGER_URL", "postgresql+psycopg://nobody@127.0.0.1:9/none")
    declared = {store.name: store for store in load(library.policies.read_text(), "policies.toml").stores}

    def store() -> object:
        return StoreMap(declared, load_settings(), lambda: datetime(2035, 1, 1) - timedelta(0))["vendor"]  # noqa: DTZ001  # not asked

    with pytest.raises(SettingsError, match="all machines share"):
        store()
    monkeypatch.setenv("RETENTION_STORES__VENDOR__GATE", str(library.root / "shared"))
    assert store()


REGISTERED = """
[record-type.letters.location.export]
purpose = "collection of debts"
recipient = "Agency"
attestation = true
[record-type.letters.location.export.consent]
category = "opted in"
store = "ils"
table = "opted_in"
subject = "card"
"""


def test_objects_are_registered_by_rule_and_their_rows_go_by_that_age_and_by_the_library_system_s_consent(
    shared: tuple[Library, Bucket],
) -> None:
    library, bucket = shared
    rows = (
        ROWS.replace('"name"', '"registered"', 2)
        .replace("list-{Y}-{m}-{d}.csv", "{any}.csv")
        .replace("P0D", "P10D")
    )
    library.policies.write_text(library.policies.read_text() + rows + REGISTERED)
    with sqlite3.connect(library.ils) as ils:
        ils.execute("CREATE TABLE opted_in (card TEXT)")
        ils.execute("INSERT INTO opted_in VALUES (?)", (CARDS[1],))
    ils.close()
    key = "library/letters/zqcanary.csv"
    content = f"cardnumber,surname\n{CARDS[0]},Abel\n{CARDS[1]},Berg\n"
    bucket.put(key, content.encode())
    beside = {"purpose": "a study", "recipient": "University", "ground": "Contract 7"}
    bucket.put("library/letters/other.txt", b"x")
    bucket.put("library/letters/other.txt.retention.json", json.dumps(beside).encode())
    (seen,) = library.done("export", "sight", "--json").json["locations"]
    assert (len(seen["registered"]), seen["unread"]) == (2, 0)
    first = {one["recipient"]: one for one in library.done("export", "list", "--json").json["exports"]}
    assert (first["Agency"]["rows"], first["Agency"]["columns"]) == (2, ["cardnumber", "surname"])
    assert first["University"]["ground"] == "Contract 7"
    library.now = NOW + timedelta(days=5)
    bucket.put(key, content.encode())  # saved again: no younger
    (seen,) = library.done("export", "sight", "--json").json["locations"]
    assert (seen["registered"], seen["saved_again"]) == ([], [first["Agency"]["id"]])
    library.done("run", "--record-type", "letters", "--execute")
    assert bucket.contents(key) == [content.encode()] * 2, "not before the tenth day"
    library.now = NOW + timedelta(days=11)
    said = library.done("run", "--record-type", "letters", "--execute", "--json")
    assert bucket.contents(key) == [content.replace(f"{CARDS[0]},Abel\n", "").encode()]
    assert CARDS[0] not in said.out + said.err
    bucket.wipe(key)
    (seen,) = library.done("export", "sight", "--json").json["locations"]
    assert seen["gone"] == [first["Agency"]["id"]]


def test_whole_objects_go_by_their_registered_age_and_one_that_is_not_registered_stays(
    shared: tuple[Library, Bucket],
) -> None:
    library, bucket = shared
    library.amend('trigger-kind = "modified"', 'trigger-kind = "registered"')
    key = "library/outbox/zqcanary-ada.csv"
    library.done("run", "--record-type", "shared", "--execute")
    assert len(bucket.contents(key)) == 2, "nobody said what it is"
    beside = {
        "purpose": "a study", "recipient": "University", "ground": "Contract 7",
        "produced_at": (NOW - timedelta(days=40)).isoformat(), "reason": "copied from the old bucket",
    }  # fmt: skip
    bucket.put(f"{key}.retention.json", json.dumps(beside).encode())
    bucket.put("library/outbox/other.csv", b"name\nQ\n")
    words = ("export", "register", "outbox/other.csv", "--purpose", "x", "--recipient", "y", "--ground", "z")
    assert library(*words, "--store", "exports").code == 2
    said = library.done(*words, "--store", "vendor", "--json").json["export"]
    assert (said["rows"], said["columns"], said["store"]) == (1, ["name"], "vendor")
    assert "is registered already" in library(*words, "--store", "vendor").err
    assert library("export", "register", "outbox/none.csv", *words[3:], "--store", "vendor").code == 2
    library.done("run", "--record-type", "shared", "--execute")
    assert bucket.contents("library/outbox/other.csv"), "it is not old enough"
    assert bucket.everything("library/outbox/zqcanary-ada.csv") == []
    assert bucket.everything(f"{key}.retention.json") == [], "it goes with its export"
    (envelope,) = (library.state / "evidence").glob("*.dsse.json")
    statement = base64.b64decode(json.loads(envelope.read_bytes())["payload"])
    assert b"University: received 1 export" in statement, "also where no rule names who gets them"
