"""Looks at what is left, beside the product: the database with sqlite3, the folders by name, the certificates with the verifier."""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

from console.demo.expected import Seen, look, on_the_edge
from console.demo.files import FORGOTTEN
from console.demo.telling import Teller
from flows import quiet
from flows.settings import Settings
from retention.log_files import LogFolder
from retention.note import load_keys
from retention.signing import key_ring, load_public_keys
from retention.steps import Result
from retention.verify import verify
from retention.verify_log import LogEvidence
from storage.ledger.certificates import Certificate

PATRONS_SOUGHT = 200


def prove(before: Seen, tell: Teller) -> int:
    """Compare what is there now with what must be there. Returns how many records are gone."""
    now = look()
    rows = [(before.tables[name], now.tables[name]) for name in before.tables]
    gone = sum(len(was.all) - len(left.all) for was, left in rows)
    tell.check(
        f"{gone:,} rows are gone from the database, and every one of them was due",
        all(was.must_stay <= left.all for was, left in rows),
    )
    tell.check("no row is left that had to go", all(left.all <= was.must_stay for was, left in rows))
    held = sum(len(was.held) for was, _ in rows)
    kept = sum(len(was.held_and_due) for was, _ in rows)
    tell.check(
        f"all {held} rows about the held patron are there, unchanged; {kept} of them would have gone",
        kept > 0 and all(was.held == left.held for was, left in rows),
    )
    patrons = before.patrons - now.patrons
    tell.check(
        f"{len(patrons):,} patrons are gone: each card had lapsed more than a year ago",
        bool(patrons) and patrons <= before.lapsed,
    )
    trees = [(before.trees[name], now.trees[name]) for name in before.trees]
    lost = sum(len(was.all) - len(left.all) for was, left in trees)
    tell.check(
        f"{lost:,} files are gone from the folders, and every one of them was due",
        all(
            was.must_stay <= left.all.keys() and all(was.all[name] == left.all[name] for name in left.all)
            for was, left in trees
        ),
    )
    tell.check(
        "no file is left that had to go",
        all(not _too_many(was.must_stay, left.all.keys()) for was, left in trees),
    )
    was, left = before.trees["cameras"], now.trees["cameras"]
    tell.check(
        f"all {len(was.held)} segments of the held camera hour are there, byte for byte",
        len(was.held) > 0 and all(was.all[name] == left.all.get(name) for name in was.held),
    )
    tell.check(
        "the export that no rule knows is still there: unknown is never old",
        (Path("exports/analytics") / FORGOTTEN).is_file(),
    )
    return gone + len(patrons) + lost


def _too_many(must_stay: frozenset[str], left: Iterable[str]) -> bool:
    return any(name not in must_stay and not (name.count("/") == 3 and on_the_edge(name)) for name in left)


def prove_certificates(settings: Settings, certificates: list[Certificate], gone: int, tell: Teller) -> None:
    """Verify every certificate from its files alone, and compare their sum with what is gone."""
    public = (settings.evidence / "retention.pub").read_bytes()
    keys = key_ring(*load_public_keys(public))
    log = LogEvidence(keys=load_keys(public), files=LogFolder(settings.log))
    destroyed, good = 0, []
    for certificate in certificates:
        envelope = (settings.evidence / f"{certificate.id}.dsse.json").read_bytes()
        with (settings.evidence / f"{certificate.id}.leaves").open("rb") as leaves:
            report = verify(envelope, keys=keys, leaves=leaves, log=log)
        left = {step.number for step in report.steps if step.result is not Result.PASSED}
        good.append(
            left == {10} and report.certificate == certificate.id
        )  # the demo asks no authority for time stamps
    tell.check(
        f"{len(good)} certificates verify offline and stand in the log, with the library's public keys and nothing else",
        bool(good) and all(good),
    )
    for certificate in certificates:
        destroyed += certified(certificate)
    tell.check(f"together they certify {destroyed:,} records: exactly what is gone", destroyed == gone)


def certified(certificate: Certificate) -> int:
    """How many records a certificate says were destroyed."""
    statement = json.loads(base64.b64decode(json.loads(certificate.envelope)["payload"]))
    return sum(int(place["destroyed"]) for place in statement["predicate"]["what"]["locations"])


def prove_quiet(settings: Settings, tell: Teller) -> None:
    """Look for patrons in everything that the product and Prefect wrote: ledger, certificates, logs, Prefect's database."""
    sought = [text.encode() for text in _personal()]
    written = list(_written(settings.state_dir))
    found = [path for path in written if _holds_any(path, sought)]
    seen = _holds_any(Path("library.db"), sought) and _holds_any(
        Path("exports/analytics") / FORGOTTEN, sought
    )
    tell.check(
        f"no name, e-mail or card of {PATRONS_SOUGHT} patrons stands in the ledger, a certificate, a log or Prefect's database",
        not found and seen and bool(written),
    )


def prove_flows(settings: Settings, least: int, tell: Teller) -> None:
    """Ask Prefect's own database what it ran."""
    with closing(
        sqlite3.connect(f"file:{quiet.home(settings.state_dir)}/prefect.db?mode=ro", uri=True)
    ) as connection:
        states = [row[0] for row in connection.execute("select state_type from flow_run")]
    tell.check(
        f"Prefect ran {len(states)} flows, all to their end",
        len(states) >= least and set(states) == {"COMPLETED"},
    )


def _holds_any(path: Path, sought: list[bytes]) -> bool:
    content = path.read_bytes()
    return any(text in content for text in sought)


def _written(state: Path) -> Iterator[Path]:
    return (path for path in sorted(state.rglob("*")) if path.is_file())


def _personal() -> list[str]:
    with closing(sqlite3.connect("file:library.db?mode=ro", uri=True)) as connection:
        rows = connection.execute(
            "select u.email, u.usrname, c.barcode from actor_usr u join actor_card c on c.usr = u.id order by u.id limit ?",
            (PATRONS_SOUGHT,),
        )
        return [text for row in rows for text in row]
