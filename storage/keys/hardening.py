"""What a process does before it has a key in memory: no core dump, and no other process of the same user may look into it.

It cannot keep the kernel from swapping: use encrypted swap, or none, on the machine that opens what is sealed.
"""

from __future__ import annotations

import ctypes
import resource
import sys

from retention.errors import KeyStoreUnavailable

_PR_SET_DUMPABLE = 4  # linux/prctl.h


def harden() -> None:
    """Turn core dumps off for this process and those it starts. May be called again; cannot be undone.

    A process that is not dumpable cannot be traced, and its memory in /proc is for root alone. Raises `KeyStoreUnavailable`.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux" and ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise KeyStoreUnavailable(
            "this process cannot be kept from being read", "see: prctl(2), PR_SET_DUMPABLE"
        )
