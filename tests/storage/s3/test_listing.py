"""What is at certain keys, leaping through the bucket, is what a listing of everything says is at them."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from retention.errors import StoreUnavailable
from storage.s3.listing import Entry, at, walk
from storage.s3.wire import Wire
from tests.storage.s3.buckets import Bucket
from tests.storage.s3.disturbed import Line, Told
from tests.storage.s3.drawer import Drawer


def fill(bucket: Bucket, chance: random.Random) -> list[str]:
    """Keys that are prefixes of one another, with histories of every length. In signs that an address need not encode: LocalStack
    compares the encoded keys with plain markers, and loses others from one page to the next."""
    keys = sorted({
        "".join(chance.choices("ab/_~", k=chance.randint(1, 6))) for _ in range(70)
    })  # fmt: skip
    for key in keys:
        for _ in range(chance.choice((1, 1, 1, 2, 5))):
            bucket.put(key)
        if chance.random() < 0.2:
            bucket.hide(key)
        if chance.random() < 0.1:
            bucket.begin(key)
    return keys


def by_key(wire: Wire, prefix: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for entries in walk(wire, prefix):
        for entry in entries:
            found.setdefault(entry.key, set()).add(entry.token)
    return found


@pytest.mark.parametrize("server", ["localstack_endpoint", "moto_endpoint"])
def test_leaping_finds_what_a_whole_listing_finds(
    server: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """moto cannot leap (it skips an entry after a text that is no key), and is found out and asked key by key."""
    monkeypatch.setattr("storage.s3.listing.PAGE", 20)
    monkeypatch.setattr("storage.s3.listing._SMALLEST", 3)
    chance = random.Random(20250602)
    bucket = Bucket(request.getfixturevalue(server), prefix="p/")
    keys = [f"p/{key}" for key in fill(bucket, chance)]
    wire = Wire(bucket.address)
    everything = by_key(wire, "p/")
    assert everything.keys() == set(keys)
    missing = [f"{key}{chance.choice('-z')}" for key in keys]
    samples = [keys[::2], keys[30:35], [keys[0]], [keys[-1]], missing[:9]]
    if server == "localstack_endpoint":
        samples += [chance.sample([*keys, *missing], chance.randint(1, 40)) for _ in range(12)]
    for wanted in samples:
        found = at(wire, wanted, chance.choice((0, len(wanted), 1000)))
        assert {key: {entry.token for entry in entries} for key, entries in found.items()} == {
            key: everything.get(key, set()) for key in wanted
        }
    assert wire.leaps is (server == "localstack_endpoint")
    wire.close()


def test_neighbours_cost_one_request_per_page(bucket: Bucket, line: Line, tmp_path: Path) -> None:
    for number in range(60):
        bucket.put(f"out/{number:03}.csv")
    drawer = Drawer(bucket, tmp_path, endpoint=line.url)
    _, lines = drawer.survey()
    drawer.store.presence(drawer.criteria, lines[:2])
    line.asked.clear()
    drawer.store.presence(drawer.criteria, lines[10:50])
    assert line.count(lambda asked: asked.lists) == 1
    assert line.count(lambda asked: True) == 2, "one more for unfinished uploads"


def test_a_store_that_lists_out_of_order_is_not_worked_with(
    bucket: Bucket, line: Line, tmp_path: Path
) -> None:
    bucket.put("out/a.csv")
    bucket.put("out/b.csv")
    drawer = Drawer(bucket, tmp_path, endpoint=line.url)

    def shuffled(asked: object, hand_on: object) -> Told:
        assert callable(hand_on)
        told: Told = hand_on()
        body = told.body.replace(b"out/a.csv</Key>", b"out/?").replace(b"out/b.csv</Key>", b"out/a.csv</Key>")
        return Told(told.status, body.replace(b"out/?", b"out/b.csv</Key>"))

    line.trouble = shuffled
    with pytest.raises(StoreUnavailable, match="order"):
        drawer.survey()


def test_what_is_no_listing_is_not_an_empty_one(bucket: Bucket, line: Line, tmp_path: Path) -> None:
    drawer = Drawer(bucket, tmp_path, endpoint=line.url)
    bucket.put("out/a.csv")
    line.trouble = lambda asked, hand_on: Told(200, b"<html>a portal of the guest network")
    with pytest.raises(StoreUnavailable, match="cannot be read"):
        drawer.survey()


def test_a_nameless_version_is_known_by_what_it_holds() -> None:
    first = Entry("a", "V", "null", "2026-01-01T00:00:00.000Z", 3, '"x"', True)
    assert first.token != first._replace(etag='"y"').token
    assert first.token != first._replace(modified="2026-01-01T00:00:01.000Z").token
    assert first.token == first._replace(latest=False).token
    named = first._replace(version="abc")
    assert named.token == named._replace(latest=False).token != named._replace(kind="M").token


def test_an_inventory_names_prefixes_and_counts_their_keys(bucket: Bucket, tmp_path: Path) -> None:
    for key in ("a/1.csv", "a/1.csv", "a/b/2.csv", "a/c.csv", "top.csv"):
        bucket.put(key)
    bucket.hide("a/b/hidden.csv")
    bucket.begin("d/unfinished.csv")
    found = {place.name: place.items for place in Drawer(bucket, tmp_path).store.inventory()}
    assert found == {"": 1, "a": 2, "a/b": 2, "d": 1}
