"""A process that has keys in memory leaves no core dump and is closed to its neighbours."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ASKED = """
import ctypes, resource
from storage.keys.hardening import harden
print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
harden()
harden()
print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), resource.getrlimit(resource.RLIMIT_CORE))
"""


def test_a_hardened_process_is_not_dumpable() -> None:
    told = subprocess.run(
        [sys.executable, "-c", ASKED],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    assert told.stdout.splitlines() == ["1", "0 (0, 0)"]
