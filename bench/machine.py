"""The machine a bench ran on, and how busy others kept it. Numbers without these are rumours."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKAGES = ("retention", "sqlalchemy", "psycopg", "pymysql", "cryptography")


def facts() -> dict[str, Any]:
    """What is known of this machine; nothing that names it."""
    return {
        "cpus": len(os.sched_getaffinity(0)),
        "cpu": _first("/proc/cpuinfo", "model name"),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": platform.release(),
        "file_system": file_system(Path(os.environ.get("TMPDIR", "/tmp"))),  # noqa: S108  # where the servers keep their data
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "load_at_end": [round(load, 2) for load in os.getloadavg()],
    }


def file_system(path: Path) -> str:
    """Type of the file system that ``path`` lies on; "" when it cannot be told."""
    best, kind = "", ""
    for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines():
        _, mounted, found, *_ = line.split()
        if str(path).startswith(mounted) and len(mounted) >= len(best):
            best, kind = mounted, found
    return kind


def _first(path: str, field: str) -> str:
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(field)), "")
