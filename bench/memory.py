"""Peak memory of the process that carries out a case, for one and for ten million due records. It must not grow with them."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import psycopg
from pydantic import SecretStr

from bench import loans, servers
from bench.report import Findings, Goal
from bench.site import carry_out, on_subjects, place_holds, site
from bench.sizes import Scale
from flows.settings import StoreSettings

DUE = {"full": (1_000_000, 10_000_000), "small": (20_000, 100_000), "tiny": (1_000, 2_000)}
TABLE = """
CREATE UNLOGGED TABLE circulation AS
SELECT g AS id, (1 + g % 60000)::integer AS usr, (1 + g % 8)::integer AS circ_lib, now() - interval '1000 days' AS xact_start,
    now() - interval '980 days' AS xact_finish
FROM generate_series(1::bigint, {rows}) AS g"""


def measure(scale: Scale) -> Findings:
    few, many = scale.of(DUE)
    found = Findings(
        bench="memory", title=f"Peak memory of a run with {few:,} and {many:,} due records, PostgreSQL",
        sizes={"due": [few, many], "holds": 20, "workers": 2},
    )  # fmt: skip
    goal = Goal(value=300, at_least=False, of_ours=True)
    with servers.postgresql() as server:
        peaks = []
        for rows in (few, many):
            peak, seconds = one(server.create_database(f"due_{rows}"), rows, scale.folder / str(rows))
            server.drop_database(f"due_{rows}")
            peaks.append(peak)
            found.measure(f"peak of the process, {rows:,} due", "MB", goal=goal).add(peak)
            found.notes.append(f"{rows:,} records: {seconds:.0f} s")
        found.versions = {"postgresql": servers.version_of(server.url("postgres"))}
    found.measure(f"peak with {many:,} due", "MB", f"with {few:,} due").add(peaks[1], peaks[0])
    return found


def one(url: str, rows: int, folder: Path) -> tuple[float, float]:
    """Peak resident memory in MB (10^6 bytes) and seconds of a whole run in a process of its own."""
    with psycopg.connect(servers.plain(url), autocommit=True) as connection:
        connection.execute(TABLE.format(rows=rows).encode())
        connection.execute("ALTER TABLE circulation ADD PRIMARY KEY (id)")
        connection.execute("VACUUM (FREEZE, ANALYZE) circulation")
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "bench.memory", url, str(folder)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    kilobytes, destroyed = map(int, done.stdout.split())
    if destroyed < rows * 0.99:
        raise AssertionError(f"{destroyed} of {rows} records destroyed")
    return kilobytes * 1024 / 1e6, time.monotonic() - began


def main(url: str, folder: str) -> None:
    """The measured process: a run like any other, then its own high-water mark."""
    with site(
        Path(folder),
        loans.SCHEDULE.replace("percent = 90", "percent = 100"),
        {"ils": StoreSettings(url=SecretStr(url))},
    ) as ours:
        place_holds(ours, on_subjects(loans.HELD))
        done = carry_out(ours)
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (peak,) = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    print(peak, done.destroyed)


if __name__ == "__main__":
    main(*sys.argv[1:])
