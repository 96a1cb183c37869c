"""What the tests of the page print: one certificate, one that is as full as they get, and a key that is the same on every run."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from datetime import UTC, date, datetime
from hashlib import sha256
from itertools import cycle, islice
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from retention.facts import AppliedRule, Medium, Method, Person, Residual, State, Window
from retention.media import MediaType
from storage.paper.document_key import DocumentKey, load, self_signed
from storage.paper.signature import printed
from storage.sealed.erasures import DOUBTFUL, REVIVED
from tests.retention import certificate_facts as invented
from tests.retention import media_facts as by_people

BEGUN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
MEMBERS = ("Μαρία Παπαδοπούλου-Κωνσταντινίδου", "Олександр Шевченко", "Nguyễn Thị Minh Khai", "שרה כהן", "محمد عبد الله",
           "Wolfeschlegelsteinhausenbergerdorff-Featherstonehaugh, Hubert", "王小明")  # fmt: skip


def document_key(name: str = "library") -> DocumentKey:
    """The same key for the same name. For tests only."""
    key = ec.derive_private_key(int.from_bytes(sha256(name.encode()).digest()[:31], "big"), ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return load(pem, self_signed(key, name, at=BEGUN))


KEY = document_key()
ENVELOPE = invented.sealed()


def crowded() -> bytes:
    """Long titles, many locations, rules, copies and approvals, and letters of many scripts."""
    places = tuple(
        invented.place(
            location=f"sign-in-logs-{number}" if number else "аудиторія-Σίσυφος-" + "x" * 70,
            store="evergreen" if number % 2 else "öffentliche-computer-" + "y" * 40,
            destroyed=1_234_567, already_absent=1, withheld=31, not_destroyed=0, unknown=0, seen_absent=1_234_568,
            size=123_456_789_012, seconds=72_000,
        )
        for number in range(14)
    )  # fmt: skip
    items = sum(place.items for place in places)
    citation = "C.R.S. 24-90-119; Policy 5-9, III.a and IV.d as amended by Resolution 2026-14"
    rules = tuple(
        AppliedRule(id=f"rule-{n}", citation=citation, series="PAT-10", minimum="P1Y", maximum="P3Y6M10D")
        for n in range(6)
    )
    return invented.sealed(
        identity__organization="Consolidated Metropolitan & Rural Library District of the Upper Cedar Valley and Neighbouring Townships",
        authority__title="Electronic access: card or guest-pass number at public computers, sign-in logs, sessions and print jobs",
        authority__rules=rules,
        what__items=items,
        what__locations=places,
        people__approvals=tuple(invented.approved(invented.key(name), name, items=items) for name in MEMBERS),
        people__witness=Person(name="Ελένη", title="Deputy Director", on=date(2026, 11, 20)),
        residual__windows=tuple(
            Window(copy=f"snapshots of tier {n}", store="evergreen", until=date(2027, 1, 1 + n)) for n in range(6)
        ),
        residual__replicas=("reporting replica",),
        residual__third_parties=("collection agency",),
        residual__statistics_kept="checkouts per branch and month",
        evidence__leaves=items,
    )  # fmt: skip


def final() -> bytes:
    """A final certificate with everything the others leave out: media, keys, acceptance, no exceptions, personal data replaced."""
    return invented.sealed(
        identity__id="C-2026-0007-f",
        identity__state=State.FINAL,
        identity__supersedes="C-2026-0007-p",
        authority__disposition="anonymize",
        authority__approval="standing",
        authority__past_maximum=0,
        what__items=1,
        what__locations=(
            invented.place(
                destroyed=1, already_absent=0, withheld=0, not_destroyed=0, unknown=0, seen_absent=1,
                method=Method.CRYPTOGRAPHIC_ERASE, not_claimed=(), size=1, objects=1, unsealed_before=0,
            ),
        ),
        what__media=(
            Medium(make="Acme", model="SSD 9", serial="S-1", property_number=None, media_type="solid-state drive",
                   source="public computer 12", categorization="confidential"),
        ),
        what__earliest=date(2026, 1, 2),
        what__latest=date(2026, 1, 2),
        how__keys_destroyed=("0123456789abcdef0123456789abcdef",),
        how__root="R0123456789ab",
        verification__accepted_by=Person(name="Mei Lind", title="Library Director", on=date(2026, 11, 21)),
        people__approvals=(),
        residual=Residual(windows=(Window(copy="backups", store="evergreen", until=date(2026, 11, 20)),)),
        evidence__leaves=1,
    )  # fmt: skip


def superseded() -> bytes:
    """An earlier certificate no longer holds: the keys that were destroyed may open again."""
    return invented.sealed(
        identity__id="C-2026-0007-s",
        identity__state=State.SUPERSEDED,
        identity__supersedes="C-2026-0007-p",
        identity__reason=REVIVED,
        what__locations=(invented.place(method=Method.CRYPTOGRAPHIC_ERASE, objects=4, unsealed_before=0),),
        how__keys_destroyed=tuple(f"0123456789abcdef0123456789abcde{number}" for number in range(4)),
        how__root="R0123456789ab",
        residual=Residual(
            windows=(Window(copy="backups", store="evergreen", until=date(2027, 2, 18)), DOUBTFUL)
        ),
    )


def by_hand(**disk: str) -> bytes:
    """Two media destroyed by hand."""
    paper = Medium(make="", model="", serial="", property_number=None, media_type="paper", source="desk at Main", categorization="confidential")  # fmt: skip
    return by_people.sealed(by_people.lot(media=(replace(by_people.DISK, **disk), paper)))


def heap() -> bytes:
    """Many media with long names in many scripts, of many series."""
    first = by_people.lot()
    (authority,) = first.authorities
    series = tuple(
        replace(
            authority,
            record_type=f"series-{n}",
            title=f"Series {n}: {'registrations of the branches ' * n}".strip(),
        )
        for n in range(1, 6)
    )
    media = tuple(
        Medium(
            make=name[:40], model="Barracuda ST1000DM003-1CH162" + "x" * n, serial=f"{'W1D' * (n % 9 + 1)}{n:06d}", property_number=None if n % 3 else f"LIB-{n}",
            media_type=kind.value, source="Basement of the Main Library, cage 4, shelf " + str(n), categorization="confidential" if n % 2 else "highly restricted: juveniles",
        )
        for n, (name, kind) in enumerate(zip(cycle(MEMBERS), islice(cycle(MediaType), 24), strict=False))
    )  # fmt: skip
    return by_people.sealed(by_people.lot(authorities=series, media=media), technique="disk shredder, 2 mm")


def page(envelope: bytes = ENVELOPE, key: DocumentKey = KEY) -> bytes:
    return printed(envelope, certificate=key.certificate, signer=key.sign)


def said(program: str, *words: str | Path) -> str:
    """What a program of poppler prints."""
    done = subprocess.run(
        [program, *map(str, words)], check=True, capture_output=True, encoding="utf-8", errors="replace"
    )
    return done.stdout
