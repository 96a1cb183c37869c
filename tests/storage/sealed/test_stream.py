"""The streaming format: Tink reads ours and we read Tink's; whatever was done to a file is refused."""

from __future__ import annotations

import io
import os
import random
from functools import lru_cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tink import TinkError

from retention.errors import SealedUnreadable
from storage.sealed import stream
from storage.sealed.stream import FIRST, FULL, HEADER, SEGMENT, TAG
from tests.storage.sealed import tinkle

KEY = bytes(range(32))
OBJECT = b"00112233aabbccdd"
BOUNDARIES = sorted(
    {0, 1, TAG, HEADER, SEGMENT, 2 * SEGMENT}
    | {size + step for size in (FIRST, FIRST + FULL, FIRST + 2 * FULL) for step in (-1, 0, 1)}
)


@lru_cache(maxsize=1)
def noise() -> bytes:
    return random.Random(7).randbytes(4 * SEGMENT)


def sealed(plain: bytes, *, key: bytes = KEY, associated: bytes = OBJECT) -> bytes:
    target = io.BytesIO()
    sizes = stream.seal(io.BytesIO(plain), target, key=key, associated=associated)
    assert (sizes.plain, sizes.sealed) == (len(plain), len(target.getvalue()))
    return target.getvalue()


def opened(content: bytes, *, key: bytes = KEY, associated: bytes = OBJECT) -> bytes:
    """Both ways of reading, which must agree."""
    in_turn = b"".join(map(bytes, stream.pieces(io.BytesIO(content), key=key, associated=associated)))
    with stream.SealedReader(io.BytesIO(content), key=key, associated=associated) as reader:
        assert reader.readall() == in_turn
        assert reader.size == len(in_turn)
    return in_turn


def refused(content: bytes, *, key: bytes = KEY, associated: bytes = OBJECT) -> None:
    """Neither way of reading reaches an end, and the reader hands out nothing."""
    with pytest.raises(SealedUnreadable):
        list(stream.pieces(io.BytesIO(content), key=key, associated=associated))
    with pytest.raises(SealedUnreadable):
        stream.SealedReader(io.BytesIO(content), key=key, associated=associated).readall()


@pytest.mark.parametrize("size", BOUNDARIES)
def test_tink_opens_ours_and_we_open_what_tink_sealed(size: int) -> None:
    plain = noise()[:size]
    ours = sealed(plain)
    assert len(ours) == stream.sealed_size(size)
    assert stream.plain_size(len(ours)) == size
    assert tinkle.opened(KEY, OBJECT, ours) == plain
    theirs = tinkle.seal(KEY, OBJECT, plain)
    assert len(theirs) == len(ours)
    assert opened(theirs) == plain
    assert opened(ours) == plain


def test_tink_refuses_ours_under_other_associated_data() -> None:
    with pytest.raises(TinkError):
        tinkle.opened(KEY, b"another object", sealed(b"a page"))


def test_the_same_plaintext_is_sealed_differently_each_time() -> None:
    first, second = sealed(b"a page"), sealed(b"a page")
    assert first[1:HEADER] != second[1:HEADER]
    assert first[HEADER:] != second[HEADER:]


@pytest.mark.parametrize("size", [0, 1, FIRST, FIRST + 1, FIRST + FULL])
def test_a_file_that_was_cut_off_is_refused(size: int) -> None:
    whole = sealed(noise()[:size])
    for length in {0, 1, HEADER - 1, HEADER, HEADER + TAG - 1, SEGMENT, SEGMENT + TAG, len(whole) - 1}:
        if length < len(whole):
            refused(whole[:length])


def test_a_file_that_was_cut_off_between_segments_gives_out_nothing() -> None:
    whole = sealed(noise()[: FIRST + FULL + 5])
    with pytest.raises(SealedUnreadable):
        stream.SealedReader(io.BytesIO(whole[:SEGMENT]), key=KEY, associated=OBJECT)
    with pytest.raises(SealedUnreadable):
        stream.SealedReader(io.BytesIO(whole[: 2 * SEGMENT]), key=KEY, associated=OBJECT)


def test_a_file_with_something_behind_its_end_is_refused() -> None:
    whole = sealed(noise()[: FIRST + 9])
    refused(whole + b"x")
    refused(whole + whole)
    refused(sealed(noise()[:FIRST]) + bytes(TAG))


def test_segments_in_another_order_are_refused() -> None:
    whole = sealed(noise()[: FIRST + 2 * FULL + 7])
    parts = [whole[at : at + SEGMENT] for at in range(0, len(whole), SEGMENT)]
    refused(parts[0] + parts[2] + parts[1] + parts[3])
    refused(parts[0] + parts[1] + parts[1] + parts[3])
    refused(parts[0] + parts[2] + parts[3])


def test_segments_of_two_files_of_one_key_do_not_fit_together() -> None:
    plain = noise()[: FIRST + FULL + 7]
    one, other = sealed(plain), sealed(plain)
    refused(one[:SEGMENT] + other[SEGMENT:])
    refused(other[:HEADER] + one[HEADER:])


def test_a_sealed_file_does_not_open_as_another_object_or_with_another_key() -> None:
    whole = sealed(b"a page")
    refused(whole, associated=b"ffeeddccbbaa9988")
    refused(whole, associated=b"")
    refused(whole, key=bytes(32))


@settings(max_examples=60, deadline=None)
@given(at=st.integers(min_value=0), bit=st.integers(min_value=0, max_value=7), tail=st.booleans())
def test_one_flipped_bit_anywhere_is_refused(at: int, bit: int, tail: bool) -> None:
    changed = bytearray(_flipped())
    place = len(changed) - 1 - at % 64 if tail else at % len(changed)
    changed[place] ^= 1 << bit
    refused(bytes(changed))


@lru_cache(maxsize=1)
def _flipped() -> bytes:
    return sealed(noise()[: FIRST + 100])


@settings(max_examples=40, deadline=None)
@given(
    size=st.one_of(st.sampled_from(BOUNDARIES), st.integers(min_value=0, max_value=3 * SEGMENT)),
    chunk=st.integers(min_value=1, max_value=2 * SEGMENT),
)
def test_any_size_comes_back_whatever_portions_it_is_read_in(size: int, chunk: int) -> None:
    class Portions(io.BytesIO):
        def readinto(self, buffer: object, /) -> int:
            view = memoryview(buffer)  # type: ignore[arg-type]  # whatever a caller of readinto hands over
            return super().readinto(view[:chunk])

    chunk = max(chunk, size // 50)
    target = io.BytesIO()
    stream.seal(Portions(noise()[:size]), target, key=KEY, associated=OBJECT)
    read = stream.pieces(Portions(target.getvalue()), key=KEY, associated=OBJECT)
    assert b"".join(map(bytes, read)) == noise()[:size]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_range_can_be_read_by_seeking(data: st.DataObject) -> None:
    plain = noise()[: FIRST + FULL + 12345]
    with stream.SealedReader(io.BytesIO(_ranged()), key=KEY, associated=OBJECT) as reader:
        for _ in range(4):
            near = data.draw(st.sampled_from([0, FIRST, FIRST + FULL, len(plain)]))
            start = max(0, near + data.draw(st.integers(min_value=-3000, max_value=3000)))
            length = data.draw(st.sampled_from([0, 1, 2000, SEGMENT, 3 * SEGMENT]))
            assert reader.seek(start) == start
            assert _read(reader, length) == plain[start : start + length]
            assert reader.tell() == start + len(plain[start : start + length])
        reader.seek(-5, os.SEEK_END)
        reader.seek(1, os.SEEK_CUR)
        assert reader.readall() == plain[-4:]


@lru_cache(maxsize=1)
def _ranged() -> bytes:
    return sealed(noise()[: FIRST + FULL + 12345])


def _read(reader: stream.SealedReader, length: int) -> bytes:
    into = bytearray(length)
    return bytes(into[: stream.fill(reader, memoryview(into))])


def test_a_range_opens_only_its_own_segments() -> None:
    class Counted(io.BytesIO):
        read_bytes = 0

        def readinto(self, buffer: object, /) -> int:
            count = super().readinto(memoryview(buffer))  # type: ignore[arg-type]  # see above
            self.read_bytes += count
            return count

    file = Counted(sealed(noise()[: FIRST + 2 * FULL + 10]))
    with stream.SealedReader(file, key=KEY, associated=OBJECT) as reader:
        reader.seek(FIRST + 100)
        assert _read(reader, 500) == noise()[FIRST + 100 : FIRST + 600]
        assert file.read_bytes <= HEADER + 10 + TAG + SEGMENT


def test_a_damaged_segment_does_not_keep_the_others_from_being_read_and_is_refused_each_time() -> None:
    damaged = bytearray(_ranged())
    damaged[SEGMENT + 5] ^= 1
    with stream.SealedReader(io.BytesIO(damaged), key=KEY, associated=OBJECT) as reader:
        assert _read(reader, 10) == noise()[:10]
        for _ in range(2):
            reader.seek(FIRST)
            with pytest.raises(SealedUnreadable):
                reader.readinto(memoryview(bytearray(1)))
        reader.seek(10)
        assert _read(reader, 10) == noise()[10:20]


def test_a_reader_forgets_the_plaintext_and_closes_its_file() -> None:
    file = io.BytesIO(sealed(b"a page about a patron"))
    reader = stream.SealedReader(file, key=KEY, associated=OBJECT)
    kept = reader._plain
    assert bytes(kept[:6]) == b"a page"
    reader.close()
    assert file.closed
    assert bytes(kept) == bytes(SEGMENT)
    with pytest.raises(ValueError, match="closed"):
        reader.read(1)


def test_a_reader_refuses_a_place_before_the_start() -> None:
    with stream.SealedReader(io.BytesIO(sealed(b"a page")), key=KEY, associated=OBJECT) as reader:
        with pytest.raises(ValueError, match="before the start"):
            reader.seek(-1)
        reader.seek(100)
        assert reader.readall() == b""
