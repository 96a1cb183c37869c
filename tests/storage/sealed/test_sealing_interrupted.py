"""Power cuts: killed at every single step, a file is never gone before its copy was read back, and the next run goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from retention.errors import RetentionError
from storage.keys.keystore import KeyStore
from storage.keys.values import ObjectState
from storage.sealed import sealing_file
from storage.sealed.sealing import NO_PLAINTEXT
from tests.storage.files.shelf import EXPORTS
from tests.storage.sealed.safe import Safe

CALLS = ("open", "fsync", "utime", "rename", "unlink", "posix_fadvise", "fstat")
KEY_CALLS = ("begin_sealing", "finish_sealing", "abandon_sealing", "key_of")
CONTENT = "patron,4711\n"


class Killed(BaseException):
    """Nobody catches it: what a kill leaves behind, without the process."""


class Cut:
    """Kills before or after the call of that number; counts without one."""

    def __init__(self, at: int = -1, *, after: bool = False) -> None:
        self.calls = 0
        self._at = at
        self._after = after

    def around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            dies = self.calls == self._at
            if dies and not self._after:
                raise Killed
            result = call(*args, **kwargs)
            if dies:
                raise Killed
            return result

        return counted


class Calls:
    """The module ``os`` with a cut in it."""

    def __init__(self, cut: Cut) -> None:
        self._cut = cut

    def __getattr__(self, name: str) -> Any:
        found = getattr(os, name)
        return self._cut.around(found) if name in CALLS else found


def cut_short(safe: Safe, cut: Cut, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Seal with a cut; whether it came to its end."""
    with monkeypatch.context() as patched:
        patched.setattr(sealing_file, "os", Calls(cut))
        for name in KEY_CALLS:
            patched.setattr(safe.keys, name, cut.around(getattr(safe.keys, name)))
        try:
            safe.seal()
        except Killed:
            return False
    return True


def filled(root: Path, keys: KeyStore) -> Safe:
    safe = Safe.at(root, EXPORTS, keys)
    safe.shelf.write("a", text=CONTENT)
    return safe


def calls_of_one_sealing(tmp_path: Path, keys: KeyStore, monkeypatch: pytest.MonkeyPatch) -> int:
    counting = Cut()
    assert cut_short(filled(tmp_path / "counting", keys), counting, monkeypatch)
    return counting.calls


def check_nothing_lost(safe: Safe) -> None:
    """The plaintext is there, or a finished copy that opens to it."""
    if "a" in safe.names():
        # While a finished copy may lie beside it, no key is destroyed here: the certificate would be false.
        assert (safe.fatal() != []) is ("a" in safe.sealed())
        assert (safe.shelf.place / "a").read_text() == CONTENT
    else:
        id = safe.sealed()["a"]
        assert safe.fatal() == []
        assert safe.keys.object(id).state is ObjectState.SEALED
        assert safe.opened("a") == CONTENT.encode()


def check_whole(safe: Safe) -> None:
    """One sealed copy, no plaintext, nothing half done."""
    assert list(safe.sealed()) == ["a"]
    assert len(safe.names()) == 1
    assert safe.opened("a") == CONTENT.encode()
    assert len(safe.objects(ObjectState.SEALED)) == 1
    assert safe.objects(ObjectState.SEALING) == []
    assert safe.fatal() == []


@pytest.mark.parametrize("after", [False, True])
def test_killed_at_any_call_nothing_is_lost_and_the_next_run_finishes(
    tmp_path: Path, keys_at: Callable[[Path], KeyStore], monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    calls = calls_of_one_sealing(tmp_path, keys_at(tmp_path / "count"), monkeypatch)
    assert calls > 10
    for number in range(1, calls + 1):
        safe = filled(tmp_path / f"root-{number}", keys_at(tmp_path / f"keys-{number}"))
        assert not cut_short(safe, Cut(number, after=after), monkeypatch)
        check_nothing_lost(safe)
        safe.seal()
        check_whole(safe)


def test_killed_twice_in_a_row_nothing_is_lost(
    tmp_path: Path, keys_at: Callable[[Path], KeyStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = calls_of_one_sealing(tmp_path, keys_at(tmp_path / "count"), monkeypatch)
    for first in range(2, calls + 1, 3):
        safe = filled(tmp_path / f"root-{first}", keys_at(tmp_path / f"keys-{first}"))
        cut_short(safe, Cut(first), monkeypatch)
        for second in (1, 3, 6):
            cut_short(safe, Cut(second, after=True), monkeypatch)
            check_nothing_lost(safe)
        safe.seal()
        check_whole(safe)


@pytest.mark.parametrize("number", [5, 28, 30, 122])
def test_an_error_at_any_call_is_told_and_loses_nothing(
    tmp_path: Path, keys_at: Callable[[Path], KeyStore], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    calls = calls_of_one_sealing(tmp_path, keys_at(tmp_path / "count"), monkeypatch)

    class Failing(Cut):
        def around(self, call: Callable[..., Any]) -> Callable[..., Any]:
            def counted(*args: Any, **kwargs: Any) -> Any:
                self.calls += 1
                if self.calls == self._at and call.__module__ in ("os", "posix"):
                    raise OSError(number, "as the kernel would say")
                return call(*args, **kwargs)

            return counted

    for at in range(1, calls + 1):
        safe = filled(tmp_path / f"root-{at}", keys_at(tmp_path / f"keys-{at}"))
        with suppress(RetentionError):  # any other error fails the test
            cut_short(safe, Failing(at), monkeypatch)
        check_nothing_lost(safe)
        safe.seal()
        check_whole(safe)


def test_a_half_written_copy_without_its_plaintext_is_taken_away_and_a_whole_one_is_told(
    tmp_path: Path, keys: KeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    safe = filled(tmp_path, keys)
    with monkeypatch.context() as patched:
        patched.setattr(safe.keys, "finish_sealing", Cut(1).around(safe.keys.finish_sealing))
        with pytest.raises(Killed):
            safe.seal()
    (safe.shelf.place / "a").unlink()  # by another hand
    done = safe.seal()
    assert done.left == {NO_PLAINTEXT: 1}
    assert [found.count for found in done.findings] == [1]
    assert safe.opened("a") == CONTENT.encode()
    (whole,) = safe.names()
    (safe.shelf.place / whole).rename(safe.shelf.place / whole.replace(".sealed", ".sealing"))
    assert safe.seal().taken_away == 1
    assert safe.names() == []


SEALING = """
import sys
from pathlib import Path
from tests.storage.sealed.conftest import open_keys
from tests.storage.sealed.safe import Safe
from tests.storage.files.shelf import EXPORTS
safe = Safe.at(Path(sys.argv[1]), EXPORTS, open_keys(Path(sys.argv[2])))
safe.pulse = lambda: print("pulse", flush=True)
safe.seal()
"""


@pytest.mark.parametrize("pulses", [1, 7, 15])
def test_a_killed_process_leaves_what_the_next_one_finishes(
    tmp_path: Path, keys_at: Callable[[Path], KeyStore], pulses: int
) -> None:
    root, folder = tmp_path / "root", tmp_path / "keys"
    safe = Safe.at(root, EXPORTS, keys_at(folder))
    for number in range(4):
        safe.shelf.write(f"file-{number}", text=CONTENT * 150_000)
    process = subprocess.Popen(
        [sys.executable, "-c", SEALING, str(root), str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    assert process.stdout is not None
    for _ in range(pulses):
        assert process.stdout.readline() == "pulse\n"
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    safe.seal()
    assert sorted(safe.sealed()) == [f"file-{number}" for number in range(4)]
    assert len(safe.names()) == 4
    assert all(safe.opened(f"file-{number}") == (CONTENT * 150_000).encode() for number in range(4))
