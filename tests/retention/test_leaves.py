from __future__ import annotations

from hashlib import sha256

import pytest
import rfc8785
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from hypothesis import given
from hypothesis import strategies as st

from retention.errors import UsageError
from retention.leaves import leaf, leaves, reference, salts, writable, written
from retention.outcomes import Outcome

KEY = bytes(range(32))
any_text = st.text(alphabet=st.characters(), max_size=40)
file_names = st.binary(max_size=30).map(lambda name: name.decode("utf-8", "surrogateescape"))
references = st.one_of(any_text, file_names, st.text("abc/019-_ .", max_size=30))
items = st.lists(st.tuples(references, st.sampled_from(Outcome)), max_size=12)
sealed_items = st.lists(
    st.tuples(
        references, st.sampled_from(Outcome), st.none() | st.binary(min_size=16, max_size=16).map(bytes.hex)
    ),
    max_size=12,
)


def by_definition(ordinal: int, text: str, outcome: Outcome, kid: str | None = None) -> bytes:
    salt = Cipher(AES(KEY), ECB()).encryptor().update(ordinal.to_bytes(16, "big"))  # noqa: S305  # one block: AES itself
    return sha256(b"\x00" + rfc8785.dumps([salt.hex(), writable(text), kid, outcome.value])).digest()


@given(items, st.integers(0, 2**64))
def test_bulk_leaves_are_the_leaves_of_the_definition(batch: list[tuple[str, Outcome]], first: int) -> None:
    expected = b"".join(by_definition(first + i, *item) for i, item in enumerate(batch))
    assert leaves(KEY, first, [text for text, _ in batch], [outcome for _, outcome in batch]) == expected


@given(sealed_items, st.integers(0, 2**64))
def test_bulk_leaves_of_sealed_items_hold_their_key_ids(
    batch: list[tuple[str, Outcome, str | None]], first: int
) -> None:
    texts, outcomes, kids = ([item[part] for item in batch] for part in range(3))
    expected = b"".join(by_definition(first + i, *item) for i, item in enumerate(batch))
    assert leaves(KEY, first, texts, outcomes, kids) == expected  # type: ignore[arg-type]  # columns of a mixed table


@given(st.text(st.characters(max_codepoint=0x2FF), max_size=60))
def test_each_reference_alone_takes_the_path_that_gives_canonical_json(text: str) -> None:
    assert leaves(KEY, 5, [text], [Outcome.DESTROYED]) == by_definition(5, text, Outcome.DESTROYED)


@given(st.one_of(references, st.text("\x00d8c0\ud8c0\udcff", max_size=20)))
def test_a_reference_is_written_reversibly(text: str) -> None:
    assert written(writable(text)) == text
    writable(text).encode("utf-8")


def test_ordinary_names_are_not_changed() -> None:
    assert writable("exports/agency/Ünïque — 2026.csv") == "exports/agency/Ünïque — 2026.csv"
    assert writable("a\udcff") == "a\x00dcff"


def test_a_salt_can_be_derived_alone() -> None:
    together = salts(KEY, 0, 1000)
    assert salts(KEY, 777, 1) == together[777 * 16 : 778 * 16]
    assert len({together[i : i + 16] for i in range(0, 16000, 16)}) == 1000


def test_a_leaf_depends_on_salt_reference_kid_and_outcome() -> None:
    salt = bytes(16)
    made = {
        leaf(salt, "a/b/1", Outcome.DESTROYED),
        leaf(b"\x01" + salt[1:], "a/b/1", Outcome.DESTROYED),
        leaf(salt, "a/b/2", Outcome.DESTROYED),
        leaf(salt, "a/b/1", Outcome.WITHHELD),
        leaf(salt, "a/b/1", Outcome.DESTROYED, kid="k1"),
    }
    assert len(made) == 5


def test_a_known_leaf_stays_what_it_is() -> None:
    text = b'\x00["00000000000000000000000000000000","evergreen/circulations/42",null,"destroyed"]'
    assert leaf(bytes(16), "evergreen/circulations/42", Outcome.DESTROYED) == sha256(text).digest()


@pytest.mark.parametrize("names", [("", "b"), ("a", ""), ("a/b", "c"), ("a", "b/c")])
def test_names_that_would_make_references_ambiguous_are_refused(names: tuple[str, str]) -> None:
    assert reference("a", "b", "c/d") == "a/b/c/d"
    with pytest.raises(UsageError):
        reference(*names, "key")


def test_what_cannot_be_a_leaf_is_refused() -> None:
    with pytest.raises(UsageError, match="exactly one outcome"):
        leaves(KEY, 0, ["a"], [])
    with pytest.raises(UsageError, match="32 bytes"):
        leaves(b"short", 0, [], [])
    with pytest.raises(UsageError, match="from 0"):
        leaves(KEY, -1, [], [])
    with pytest.raises(UsageError, match="16 bytes"):
        leaf(b"", "a/b/c", Outcome.DESTROYED)
