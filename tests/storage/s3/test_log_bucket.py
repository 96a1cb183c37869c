"""The log in a bucket: the files it has in a folder, finished after a kill, repaired, never set back, and by one writer at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from retention.checkpoint import open_checkpoint
from retention.errors import Unavailable, VerificationFailed
from retention.log_files import CHECKPOINT
from retention.tiles import Hashes, Tile
from retention.tree import consistent
from storage.ledger.ledger import Ledger
from storage.log import Log
from storage.log_places import FolderPlace
from storage.s3.log_bucket import BucketPlace
from storage.s3.wire import Wire
from tests.storage.desk import LOG_KEY, LOG_SIGNER, SEALING_KEY
from tests.storage.s3.buckets import Bucket
from tests.storage.s3.disturbed import Asked, Line, Told, error
from tests.storage.test_log import entered, many, require_whole


@pytest.fixture(params=["moto", "localstack"])
def shelf(request: pytest.FixtureRequest) -> Bucket:
    """A plain bucket on the one server, a versioned one on the other."""
    endpoint: str = request.getfixturevalue(f"{request.param}_endpoint")
    return Bucket(endpoint, versioned=request.param == "localstack", prefix="evidence/log/")


def log_in(bucket: Bucket, ledger: Ledger, endpoint: str = "") -> Log:
    address = replace(bucket.address, endpoint=endpoint or bucket.endpoint)
    return Log(place=BucketPlace(address), ledger=ledger, key=LOG_KEY, signer=LOG_SIGNER)


def objects(bucket: Bucket) -> dict[str, bytes]:
    """What anybody sees who lists the bucket."""
    found: dict[str, bytes] = {}
    for page in bucket.client.get_paginator("list_objects_v2").paginate(Bucket=bucket.name):
        for one in page.get("Contents", ()):
            body = bucket.client.get_object(Bucket=bucket.name, Key=one["Key"])["Body"]
            found[str(one["Key"]).removeprefix(bucket.prefix)] = body.read()
    return found


def test_it_is_the_log_that_a_folder_has(shelf: Bucket, sqlite_ledger: Ledger, tmp_path: Path) -> None:
    ours = log_in(shelf, sqlite_ledger)
    place = FolderPlace(tmp_path / "log")
    folder = Log(place=place, ledger=sqlite_ledger, key=LOG_KEY, signer=LOG_SIGNER)
    assert ours.publish().opened is None
    assert objects(shelf) == {}, "an empty log has no checkpoint"
    old = None
    for step in (1, 6, 251):
        many(sqlite_ledger, step)
        assert ours.publish().appended == folder.publish().appended == step
        assert objects(shelf) == {name: place.read(name, 1 << 24) for name in place.names(".")}
        opened = ours.opened()
        assert opened is not None
        if old is not None:
            path = Hashes(ours.files.hashes, opened.root.size).consistency(old.size)
            assert consistent(old, opened.root, path)
        old = opened.root
    require_whole(ours, 258)
    assert ours.files.shown == f"s3://{shelf.name}/evidence/log/"
    assert not any(name.startswith("tile/0/000.p/") for name in objects(shelf)), "parts of a full tile go"


class Killed(BaseException):
    pass


def test_a_writer_killed_before_any_of_its_writes_is_finished_by_the_next(
    shelf: Bucket, sqlite_ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = log_in(shelf, sqlite_ledger)
    many(sqlite_ledger, 254)
    log.publish()
    before = log.files.checkpoint()
    many(sqlite_ledger, 4)
    really = BucketPlace._put
    for kill_at in range(20):
        left = iter(range(kill_at))

        def put(place: BucketPlace, name: str, data: bytes, left: Iterator[int] = left, **more: Any) -> str:
            if next(left, None) is None:
                raise Killed
            return really(place, name, data, **more)

        monkeypatch.setattr(BucketPlace, "_put", put)
        try:
            log.publish()
        except Killed:
            assert log.files.checkpoint() == before, "the checkpoint comes last"
            continue
        break
    else:
        pytest.fail("it never ended")
    assert kill_at > 4
    require_whole(log, 258)


def test_a_file_that_is_missing_or_changed_is_made_again(shelf: Bucket, sqlite_ledger: Ledger) -> None:
    log = log_in(shelf, sqlite_ledger)
    many(sqlite_ledger, 260)
    log.publish()
    whole = objects(shelf)
    for name, data in whole.items():
        for torn in (b"", data[:-3], None):
            if name == CHECKPOINT and torn is None:
                continue
            shelf.wipe(name) if torn is None else shelf.put(name, torn)
            assert log.publish(thorough=True).repaired
            assert objects(shelf) == whole
    assert not log.publish(thorough=True).repaired


def test_a_lost_checkpoint_is_signed_again_only_over_what_the_files_show(
    shelf: Bucket, sqlite_ledger: Ledger, tmp_path: Path
) -> None:
    log = log_in(shelf, sqlite_ledger)
    many(sqlite_ledger, 260)
    log.publish()
    before = objects(shelf)
    shelf.wipe(CHECKPOINT)
    assert log.publish().repaired
    assert objects(shelf) == before
    shorter = Ledger(f"sqlite:///{tmp_path / 'shorter.db'}", SEALING_KEY)
    shorter.connection.upgrade()
    many(shorter, 259)
    with pytest.raises(VerificationFailed, match="set back"):
        log_in(shelf, shorter).publish()
    shelf.wipe(CHECKPOINT)
    with pytest.raises(VerificationFailed, match="fewer entries"):
        log_in(shelf, shorter).publish()
    assert objects(shelf) == {name: data for name, data in before.items() if name != CHECKPOINT}
    shorter.close()


def test_a_bucket_that_does_not_answer_is_not_taken_for_torn(
    bucket: Bucket, line: Line, sqlite_ledger: Ledger
) -> None:
    """Nothing is written, and nothing is said to be missing, while nobody knows."""
    many(sqlite_ledger, 3)
    log_in(bucket, sqlite_ledger).publish()
    before = bucket.everything()
    log = log_in(bucket, sqlite_ledger, line.url)
    many(sqlite_ledger, 1)
    for trouble in (error(403, "AccessDenied"), error(503, "SlowDown"), Told(0)):
        for spared in ("checkpoint", "tile"):

            def go_wrong(asked: Asked, hand_on: Any, trouble: Told = trouble, spared: str = spared) -> Told:
                told: Told = hand_on() if asked.path.rpartition("log/")[2].startswith(spared) else trouble
                return told

            line.trouble = go_wrong
            with pytest.raises(Unavailable, match="the log's bucket"):
                log.publish()
    assert bucket.everything() == before
    line.trouble = lambda _asked, hand_on: hand_on()
    assert log.publish().appended == 1


def test_a_checkpoint_that_somebody_else_wrote_meanwhile_is_not_overwritten(
    shelf: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server's condition decides: between our look and our write another one came."""
    place = BucketPlace(shelf.address)
    place.replace(CHECKPOINT, b"first", None)
    with pytest.raises(Unavailable, match="somebody else"):
        place.replace(CHECKPOINT, b"second", None)
    with pytest.raises(Unavailable, match="somebody else"):
        place.replace(CHECKPOINT, b"second", b"another")
    really = BucketPlace._get
    for before, theirs in ((b"first", b"theirs"), (None, b"theirs too")):
        if before is None:
            shelf.wipe(CHECKPOINT)
        first = True

        def get(place: BucketPlace, name: str, limit: int, theirs: bytes = theirs) -> Any:
            nonlocal first
            found = really(place, name, limit)
            if first:
                first = False
                shelf.put(name, theirs)
            return found

        with monkeypatch.context() as patch:
            patch.setattr(BucketPlace, "_get", get)
            with pytest.raises(Unavailable, match="somebody else"):
                place.replace(CHECKPOINT, b"ours", before)
        assert place.checkpoint() == theirs


def test_a_write_whose_answer_was_lost_is_ours(bucket: Bucket, line: Line, sqlite_ledger: Ledger) -> None:
    """Asked again, the server finds its condition broken: by ourselves."""
    log = log_in(bucket, sqlite_ledger, line.url)
    for _ in range(2):
        lost: list[Asked] = []

        def cut(asked: Asked, hand_on: Any, lost: list[Asked] = lost) -> Told:
            told: Told = hand_on()
            if asked.conditional and not lost:
                lost.append(asked)
                return Told(0)
            return told

        line.trouble = cut
        many(sqlite_ledger, 1)
        assert log.publish().appended == 1
        assert len(lost) == 1
    require_whole(log, 2)


def test_a_server_without_conditional_writes_is_written_to_all_the_same(
    bucket: Bucket, line: Line, sqlite_ledger: Ledger
) -> None:
    line.trouble = lambda asked, hand_on: error(501, "NotImplemented") if asked.conditional else hand_on()
    log = log_in(bucket, sqlite_ledger, line.url)
    for size in (1, 2):
        many(sqlite_ledger, 1)
        log.publish()
        require_whole(log, size)
    assert line.count(lambda asked: asked.conditional) >= 2


def test_where_deleting_is_refused_parts_stay_and_the_log_is_whole(
    bucket: Bucket, line: Line, sqlite_ledger: Ledger
) -> None:
    line.trouble = lambda asked, hand_on: error(403, "AccessDenied") if asked.deletes else hand_on()
    log = log_in(bucket, sqlite_ledger, line.url)
    many(sqlite_ledger, 255)
    log.publish()
    many(sqlite_ledger, 2)
    log.publish()
    require_whole(log, 257)
    assert "tile/0/000.p/255" in objects(bucket)
    assert not log.publish(thorough=True).repaired


def test_writers_take_turns(moto_endpoint: str, ledger: Ledger) -> None:
    """The bucket knows of no lock: the turn is the ledger's, on SQLite and on PostgreSQL."""
    bucket = Bucket(moto_endpoint, versioned=False)
    errors: list[BaseException] = []

    def write() -> None:
        try:
            own = log_in(bucket, ledger)
            for _ in range(4):
                entered(ledger, 1)
                own.publish()
        except BaseException as failure:  # noqa: BLE001  # shown by the test, whatever it is
            errors.append(failure)

    threads = [threading.Thread(target=write) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    opened = log_in(bucket, ledger).opened()
    assert opened is not None
    assert opened.root.size == 12


def test_hostile_objects_are_bounded(bucket: Bucket, sqlite_ledger: Ledger) -> None:
    many(sqlite_ledger, 1)
    log = log_in(bucket, sqlite_ledger)
    log.publish()
    for name in (CHECKPOINT, "tile/0/000.p/1"):
        bucket.put(name, b"\x00" * (1 << 21))
    with pytest.raises(VerificationFailed, match="too large"):
        log.files.checkpoint()
    with pytest.raises(VerificationFailed, match="too large"):
        log.files.hashes(Tile(level=0, index=0, width=1))


def test_no_secret_and_no_key_of_an_object_is_in_an_error(bucket: Bucket, line: Line) -> None:
    line.trouble = lambda _asked, _hand_on: error(403, "AccessDenied")
    place = BucketPlace(replace(bucket.address, endpoint=line.url, secret_key="zqcanary-secret"))
    with pytest.raises(Unavailable) as caught:
        place.write("tile/0/zqcanary", b"x")
    assert "zqcanary" not in repr(caught.value) + caught.value.hint + repr(place._wire.address)
    assert isinstance(place._wire, Wire)


def test_a_checkpoint_from_the_bucket_opens_with_the_log_s_key(shelf: Bucket, sqlite_ledger: Ledger) -> None:
    many(sqlite_ledger, 2)
    log_in(shelf, sqlite_ledger).publish()
    assert open_checkpoint(objects(shelf)[CHECKPOINT], [LOG_KEY]).root.size == 2
    kind = shelf.client.head_object(Bucket=shelf.name, Key=shelf.prefix + CHECKPOINT)["ContentType"]
    assert kind.startswith("text/plain"), "people can look at it"
