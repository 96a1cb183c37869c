"""Coverage: what of a store no rule speaks about. Unscheduled data is never destroyed silently and never passed over silently.

Pure. A place is covered by a location of the schedule, left alone on purpose (an exemption with its reason), without a sign of
personal data, or uncovered. Signs are names only, never contents: of columns, and of tables that refer to a table of patrons.
Where names tell nothing, that is said and not taken for proof: a column called ``note`` holds whatever somebody wrote into it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from retention.schedule import Schedule, TableLocation, TreeLocation


class Standing(StrEnum):
    COVERED = "covered"
    EXEMPT = "exempt"
    NO_SIGN = "no-sign"
    """No rule speaks about it, and no name in it looks like personal data."""
    UNCOVERED = "uncovered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Something in a store where records may live: names, never contents.

    ``kind``: ``table`` or ``folder``. ``names``: the ways a schedule may write it, the plainest first. ``refers_to``: tables
    that its foreign keys point at. ``items``: files directly in the folder.
    """

    kind: str
    names: tuple[str, ...]
    columns: tuple[str, ...] = ()
    refers_to: tuple[str, ...] = ()
    items: int | None = None

    @property
    def name(self) -> str:
        return self.names[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A place and how it stands. ``why``: the record types, the exemption's reason, or who asks an uncovered table for consent.
    ``signs``: what looks like personal data.

    ``new``, ``gone``: columns that came or went since the columns were last accepted.
    """

    store: str
    place: Place
    standing: Standing
    why: tuple[str, ...] = ()
    signs: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()

    @property
    def drifted(self) -> bool:
        return bool(self.new or self.gone)


_WORDS = frozenset(
    [
        "address", "adresse", "alias", "badge", "barcode", "birth", "birthdate", "birthday", "borrower",
        "borrowernumber", "cardholder", "cardnumber", "cell", "contact", "dateofbirth", "dob", "email",
        "emailpro", "ethnicity", "face", "fax", "firstname", "forename", "gender", "guardian", "household",
        "ident", "initials", "ip", "ipaddr", "lastname", "licence", "license", "mail", "mobile",
        "nickname", "passport", "passwd", "password", "patron", "patronid", "phone", "phonepro", "photo",
        "pin", "plate", "postcode", "pronouns", "relationship", "sex", "sms", "smsalertnumber", "ssn",
        "street", "streetnumber", "surname", "telephone", "userid", "username", "usr", "usrname",
        "visitor", "zip", "zipcode",
    ]
)  # fmt: skip
"""Words in column names that point at a person. Collected from the patron, loan, log and request tables of Evergreen and Koha."""

_PHRASES = re.compile(
    r"(?:first|last|given|family|middle|preferred|full|patron|user|borrower|guarantor|contact)_?(?:given_?)?names?\b"
    r"|post_?code|ip_?addr|cred_?user|user_?agent|photo_?url|requestor|id_?card|date_?of_?birth",
    re.IGNORECASE,
)
_ITEM_BARCODES = re.compile(
    r"(?:^|[._])(?:copy|item|items|asset|holding|holdings|unit)s?(?:$|[._])", re.IGNORECASE
)
_PARTS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+")


def signs(place: Place, patrons: frozenset[str]) -> tuple[str, ...]:
    """Names in the place that look like personal data. ``patrons``: tables whose rows are people."""
    found = [column for column in place.columns if _looks_personal(column, place.name)]
    found += [f"refers to {table}" for table in place.refers_to if table in patrons]
    return tuple(dict.fromkeys(found))


def _looks_personal(column: str, table: str) -> bool:
    words = {word.lower() for part in re.split(r"[\W\d_]+", column) for word in _PARTS.findall(part)}
    if words == {"barcode"} and _ITEM_BARCODES.search(table):
        return False
    return not words.isdisjoint(_WORDS) or _PHRASES.search(column) is not None


def verdicts(
    schedule: Schedule, store: str, places: Iterable[Place], accepted: Mapping[str, Sequence[str]] | None
) -> list[Verdict]:
    """How every place of one store stands, folders gathered under the topmost that no location reaches into.

    ``accepted``: columns by table as somebody last accepted them; ``None`` when nobody has: then nothing can have drifted.
    """
    tables, folders = _Tables(schedule, store), _Folders(schedule, store)
    gathered: dict[str, Verdict] = {}
    found: list[Verdict] = []
    for place in places:
        if place.kind == "table":
            found.append(_drift(tables.verdict(place), accepted))
            continue
        verdict = folders.verdict(place)
        before = gathered.get(verdict.place.name)
        items = (verdict.place.items or 0) + (0 if before is None else before.place.items or 0)
        gathered[verdict.place.name] = Verdict(
            store=store, place=Place(kind="folder", names=verdict.place.names, items=items), standing=verdict.standing, why=verdict.why
        )  # fmt: skip
    return found + list(gathered.values())


def _drift(verdict: Verdict, accepted: Mapping[str, Sequence[str]] | None) -> Verdict:
    """A covered table's columns against those accepted: a new one may hold what no rule thought of."""
    before = None if accepted is None else accepted.get(verdict.place.name)
    if before is None or verdict.standing is not Standing.COVERED:
        return verdict
    now = verdict.place.columns
    return Verdict(
        store=verdict.store, place=verdict.place, standing=verdict.standing, why=verdict.why, signs=verdict.signs,
        new=tuple(column for column in now if column not in before), gone=tuple(column for column in before if column not in now),
    )  # fmt: skip


class _Tables:
    """What the schedule says about the tables of one store."""

    def __init__(self, schedule: Schedule, store: str) -> None:
        self._store = store
        self._covered: dict[str, list[str]] = {}
        patrons: set[str] = set()
        for record_type in schedule.record_types:
            for location in record_type.locations:
                if not isinstance(location, TableLocation) or location.store != store:
                    continue
                names = [location.table, *(dependent.table for dependent in location.dependents)]
                for name in names:
                    self._covered.setdefault(name.lower(), []).append(record_type.id)
                if location.subject == location.key:
                    patrons.add(location.table)
        self._patrons = frozenset(patrons)
        self._asked: dict[str, list[tuple[str, str]]] = {}
        for record_type in schedule.record_types:
            for location in record_type.locations:
                recorded = location.recorded if isinstance(location, TreeLocation) else None
                if recorded is not None and recorded.store == store:
                    asked = self._asked.setdefault(recorded.table.lower(), [])
                    asked.append((record_type.id, recorded.subject))
        self._exempt = _exemptions(schedule, store)

    def verdict(self, place: Place) -> Verdict:
        asked = [one for name in place.names for one in self._asked.get(name.lower(), ())]
        found = tuple(dict.fromkeys((*signs(place, self._patrons), *(column for _, column in asked))))
        for name in place.names:
            types = self._covered.get(name.lower())
            if types:
                why = tuple(dict.fromkeys(types))
                return Verdict(
                    store=self._store, place=place, standing=Standing.COVERED, why=why, signs=found
                )
        for name in place.names:
            reason = self._exempt.get(name.lower())
            if reason is not None:
                return Verdict(
                    store=self._store, place=place, standing=Standing.EXEMPT, why=(reason,), signs=found
                )
        standing = Standing.UNCOVERED if found else Standing.NO_SIGN
        why = tuple(dict.fromkeys(f"asked for the consent of {id}" for id, _ in asked))
        return Verdict(store=self._store, place=place, standing=standing, why=why, signs=found)


class _Folders:
    """What the schedule says about the folders of one store."""

    def __init__(self, schedule: Schedule, store: str) -> None:
        self._store = store
        self._covered = {
            location.path: record_type.id
            for record_type in schedule.record_types
            for location in record_type.locations
            if isinstance(location, TreeLocation) and location.store == store
        }
        self._exempt = _exemptions(schedule, store)

    def verdict(self, place: Place) -> Verdict:
        for above in _upwards(place.name):
            if above in self._covered:
                return self._gathered(above, place, Standing.COVERED, self._covered[above])
            if above.lower() in self._exempt:
                return self._gathered(above, place, Standing.EXEMPT, self._exempt[above.lower()])
        return self._gathered(self._topmost(place.name), place, Standing.UNCOVERED, None)

    def _gathered(self, name: str, place: Place, standing: Standing, why: str | None) -> Verdict:
        return Verdict(
            store=self._store, place=Place(kind="folder", names=(name,), items=place.items), standing=standing,
            why=() if why is None else (why,),
        )  # fmt: skip

    def _topmost(self, name: str) -> str:
        """The outermost folder above that has no location in it: one line for a whole tree that nobody thought of."""
        known = [*self._covered, *self._exempt]
        for above in reversed(list(_upwards(name))):
            if above and not any(path == above or path.startswith(f"{above}/") for path in known):
                return above
        return name


def _upwards(name: str) -> Iterable[str]:
    """The folder, those above it, and the root (``""``)."""
    while name:
        yield name
        name = name.rpartition("/")[0]
    yield ""


def _exemptions(schedule: Schedule, store: str) -> dict[str, str]:
    """Reason by name, in lower case: ``what`` lists tables or folders, parted by commas."""
    return {
        what.strip().strip("/").lower(): exemption.reason
        for exemption in schedule.exemptions
        if exemption.store == store
        for what in exemption.what.split(",")
        if what.strip()
    }
