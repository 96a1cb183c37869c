"""``python -m bench [NAME …] [--small] [--pairs N] [--out FOLDER]``: run benches, print their tables, keep their numbers as JSON.

Full runs are kept under ``bench/results``; small ones only where ``--out`` says, so that a smoke never replaces a measurement.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from bench import console as pages
from bench import (
    evergreen,
    evidence,
    exports,
    files,
    keys,
    memory,
    objects,
    plan,
    purge_mariadb,
    purge_postgresql,
    s3,
    seal,
)
from bench.report import Findings, show
from bench.sizes import Scale
from tests.servers.process import ServerUnavailable

BENCHES: dict[str, Callable[[Scale], Findings]] = {
    "purge-postgresql": purge_postgresql.measure,
    "purge-mariadb": purge_mariadb.measure,
    "plan": plan.measure,
    "files": files.measure,
    "s3": s3.measure,
    "objects": objects.measure,
    "exports": exports.measure,
    "evergreen": evergreen.measure,
    "memory": memory.measure,
    "seal": seal.measure,
    "keys": keys.measure,
    "evidence": evidence.measure,
    "console": pages.measure,
}
RESULTS = Path(__file__).parent / "results"


def run(names: Sequence[str], *, size: str, pairs: int, out: Path | None, console: Console) -> list[Findings]:
    """Run these benches one after the other, each in a scratch folder of its own. A missing server leaves a bench out, and says so."""
    done: list[Findings] = []
    for name in names:
        with tempfile.TemporaryDirectory(prefix=f"bench-{name}-") as folder:
            try:
                found = BENCHES[name](Scale(name=size, pairs=pairs, folder=Path(folder)))
            except ServerUnavailable as error:
                console.print(f"{name}: left out, {error}\n")
                continue
        show([found], console)
        if out is not None:
            found.save(out)
        done.append(found)
    return done


def main(arguments: Sequence[str]) -> int:
    # Only this process's own settings count, whatever stands in the environment of whoever starts it.
    for name in [name for name in os.environ if name.startswith("RETENTION_")]:
        del os.environ[name]
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"one of: {', '.join(BENCHES)} (default: all)"
    )
    parser.add_argument(
        "--small", action="store_true", help="small sizes: shows that everything runs, proves no speed"
    )
    parser.add_argument(
        "--pairs", type=int, default=0, metavar="N", help="pairs of ours and peer (default: 3, small: 1)"
    )
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where the JSON goes")
    chosen = parser.parse_args(arguments)
    unknown = sorted(set(chosen.names) - set(BENCHES))
    if unknown:
        parser.error(f"there is no bench {unknown[0]}; one of: {', '.join(BENCHES)}")
    size, out = ("small", chosen.out) if chosen.small else ("full", chosen.out or RESULTS)
    run(
        chosen.names or list(BENCHES), size=size, pairs=max(0, chosen.pairs) or (1 if chosen.small else 3), out=out,
        console=Console(width=None if sys.stdout.isatty() else 130),
    )  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
