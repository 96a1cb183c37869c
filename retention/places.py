"""Reading where the records of a type live: tables with what hangs on them, and file trees.

Refuses a location that leaves open which column or name is the trigger, in which zone naive times are read, or whom its
records are about: none of these has a default.
"""

from __future__ import annotations

from collections.abc import Mapping
from zoneinfo import ZoneInfo

from retention import fields
from retention.condition import Condition, Or
from retention.layout import Layout, compile_layout, expand
from retention.problems import did_you_mean, quote
from retention.reading import Table
from retention.schedule import (
    Camera,
    ConsentRecord,
    Dependent,
    ExportRule,
    Library,
    Location,
    Relation,
    Rows,
    StoreKind,
    TableLocation,
    TreeLocation,
    TriggerKind,
)

BROKEN: Condition = Or(())
"""Stands for a condition with a problem: never true, never false."""

TABLE_KINDS = (TriggerKind.TIMESTAMP, TriggerKind.DATE)
TREE_KINDS = (TriggerKind.NAME, TriggerKind.MODIFIED, TriggerKind.CHANGED, TriggerKind.REGISTERED)
OBJECT_KINDS = (TriggerKind.NAME, TriggerKind.MODIFIED, TriggerKind.REGISTERED)
"""A bucket knows one time of an object, and nobody can set it back."""

_FOR_TABLES = dict.fromkeys(
    (
        "table",
        "key",
        "trigger-column",
        "branch",
        "span-start",
        "span-end",
        "created",
        "blocked-by",
        "dependent",
        "clear",
        "replace",
        "sealed",
    ),
    "it is for locations in a store of kind database",
)
_FOR_TREES = dict.fromkeys(
    (
        "path",
        "template",
        "unit",
        "max-length",
        "settle",
        "camera",
        "recorder",
        "rows",
        "export",
        "upload-within",
    ),
    "it is for locations in a store of kind files, footage or s3",
)
_FOR_FOLDERS = {
    "unit": "objects go one by one: a bucket has no folders",
    "recorder": "recorders write to folders",
    "vault": "in a bucket holds are kept by its own Object Lock",
}
_FOR_BUCKETS = {"upload-within": "it is for locations in a store of kind s3"}


def read_location(table: Table, stores: Mapping[str, StoreKind], library: Library) -> Location:
    """One location with everything below it. Problems go to the table's report."""
    name = table.required("name", fields.identifier, "")
    store = table.required("store", fields.text, "")
    kind = stores.get(store)
    if store and kind is None:
        table.problem("P021", f"unknown store {quote(store)}", did_you_mean(store, stores), "store")
    is_tree = "path" in table or "template" in table if kind is None else kind is not StoreKind.DATABASE
    trigger_kind = table.required(
        "trigger-kind", fields.choice(TriggerKind), TriggerKind.NAME if is_tree else TriggerKind.DATE
    )
    is_bucket = kind is StoreKind.S3
    rows = _rows(table) if is_tree and kind is not StoreKind.FOOTAGE else None
    here: tuple[TriggerKind, ...] = OBJECT_KINDS if is_bucket else TREE_KINDS
    if not is_tree or (rows is not None and rows.trigger):
        here = TABLE_KINDS
    if trigger_kind not in here:
        hint = f"one of: {', '.join(here)}"
        what = "objects" if is_bucket else "files" if is_tree else "a table"
        table.problem(
            "P022",
            f"{trigger_kind} gives no trigger for {what}",
            hint,
            "trigger-kind",
        )
    zone = table.required("time-zone", _zone_or_library(library), library.zone)
    has_columns = rows is not None or not is_tree
    subject = table.required(
        "subject", fields.column if has_columns else fields.one_of("none", "unknown"), "unknown"
    )
    consent = table.optional("consent", fields.condition, BROKEN)
    blocked = table.optional("blocked", fields.condition, BROKEN)
    if is_tree:
        path = table.required("path", fields.folder, "")
        layout = table.required("template", fields.template, "")
        length = (
            _footage_length(table, layout)
            if kind is StoreKind.FOOTAGE or (is_bucket and "{camera}" in expand(layout))
            else table.optional("max-length", fields.seconds, 1.0)
        )
        tree = TreeLocation(
            name=name,
            store=store,
            zone=zone,
            trigger_kind=trigger_kind,
            subject=subject,
            consent=consent,
            blocked=blocked,
            path=path,
            template=layout,
            unit="file"
            if is_bucket
            else table.optional("unit", fields.one_of("file", "folder"), "file") or "file",
            max_length=length or 0.0,
            settle=table.optional("settle", fields.seconds, 0.0) or 0.0,
            rows=rows,
            export=_export(table, stores),
            cameras=_cameras(table),
            recorder=None if is_bucket else table.optional("recorder", fields.one_of("frigate"), ""),
            vault=None if is_bucket else _vault(table, store, stores),
            upload_within=(table.optional("upload-within", fields.seconds, 0.0) or 0.0) if is_bucket else 0.0,
        )
        wrong = _layout_problem(layout, trigger_kind) if layout else None
        if wrong is not None:
            table.problem("P033", wrong, "see the fields and presets in docs/stores-files.md", "template")
        table.close(_FOR_TABLES | (_FOR_FOLDERS if is_bucket else _FOR_BUCKETS))
        return tree
    own = table.required("table", fields.table_name, "")
    key = table.required("key", fields.column, "")
    in_table = TableLocation(
        name=name,
        store=store,
        zone=zone,
        trigger_kind=trigger_kind,
        subject=subject,
        consent=consent,
        blocked=blocked,
        table=own,
        key=key,
        trigger=table.required("trigger-column", fields.column, ""),
        branch=table.optional("branch", fields.column, ""),
        span_start=table.optional("span-start", fields.column, ""),
        span_end=table.optional("span-end", fields.column, ""),
        created=table.optional("created", fields.column, ""),
        relations=tuple(map(_relation, table.tables("blocked-by"))),
        dependents=tuple(_dependent(item, own, key) for item in table.tables("dependent")),
        clear=table.optional("clear", fields.columns, ()) or (),
        replace=tuple((table.optional("replace", fields.by_column, fields.NO_VALUES) or {}).items()),
        sealed=table.optional("sealed", fields.columns, ()) or (),
        vault=_vault(table, store, stores),
    )
    table.close(_FOR_TREES)
    return in_table


def _rows(table: Table) -> Rows | None:
    """What makes the rows of the files records, where the location says so."""
    inner = table.table("rows")
    if inner is None:
        return None
    rows = Rows(
        key=inner.required("key", fields.columns, ()),
        trigger=inner.optional("trigger-column", fields.column, ""),
        date_format=inner.optional("date-format", fields.date_format, "") or "",
        encoding=inner.optional("encoding", fields.encoding, "utf-8") or "utf-8",
        clear=inner.optional("clear", fields.columns, ()) or (),
        replace=tuple((inner.optional("replace", fields.by_column, fields.NO_VALUES) or {}).items()),
    )
    inner.close()
    return rows


def _export(table: Table, stores: Mapping[str, StoreKind]) -> ExportRule | None:
    """What the files are exports for. A purpose without a ground or a consent is no ground."""
    inner = table.table("export")
    if inner is None:
        return None
    consent, recorded = _consent(inner, stores)
    rule = ExportRule(
        purpose=inner.required("purpose", fields.text, ""),
        recipient=inner.required("recipient", fields.text, ""),
        ground=inner.optional("ground", fields.text, "") or "",
        consent=consent,
        recorded=recorded,
        attestation=inner.optional("attestation", fields.boolean, False) or False,
        reused=inner.optional("names-reused", fields.boolean, False) or False,
    )
    if bool(rule.ground) == bool(rule.consent):
        inner.problem(
            "P037",
            "an export rests on a ground or on consent: name one of the two",
            'ground = "ORS 357.400" or consent = "opted in to the newsletter"',
        )
    inner.close()
    return rule


def _consent(export: Table, stores: Mapping[str, StoreKind]) -> tuple[str, ConsentRecord | None]:
    """The opt-in category in words, or as a table that says which store records it."""
    if not export.has_table("consent"):
        return export.optional("consent", fields.text, "") or "", None
    table = export.table("consent")
    assert table is not None  # it has one
    store = table.required("store", fields.text, "")
    if store and stores.get(store) is not StoreKind.DATABASE:
        hint = did_you_mean(store, stores) or "who consents is asked of a store of kind database"
        what = "is no database" if store in stores else "is no store of this schedule"
        table.problem("P021", f"{quote(store)} {what}", hint, "store")
    recorded = ConsentRecord(
        store=store,
        table=table.required("table", fields.table_name, ""),
        subject=table.required("subject", fields.column, ""),
        when=table.optional("when", fields.condition, BROKEN),
    )
    category = table.required("category", fields.text, "?")
    table.close()
    return category, recorded


def _cameras(table: Table) -> dict[str, Camera]:
    """The register of cameras. No name may mean two of them."""
    cameras: dict[str, Camera] = {}
    owners: dict[str, str] = {}
    for name, entry in table.named_tables("camera").items():
        camera = Camera(
            branch=entry.optional("branch", fields.text, ""),
            drift=entry.optional("drift", fields.seconds, 0.0) or 0.0,
            also_called=entry.optional("also-called", fields.texts, ()) or (),
        )
        for word in (name, *camera.also_called):
            if owners.setdefault(word, name) != name:
                hint = "a name means one camera at a location"
                entry.problem("P036", f"{quote(word)} is the name of two cameras", hint, "also-called")
        cameras[name] = camera
        entry.close()
    return cameras


def _vault(table: Table, own: str, stores: Mapping[str, StoreKind]) -> str | None:
    """The store for the copies of what is held: another one, for files."""
    vault = table.optional("vault", fields.text, "")
    if not vault:
        return None
    if vault == own or stores.get(vault) not in (StoreKind.FILES, StoreKind.FOOTAGE):
        hint = "declare a store of kind footage for the vault, on a disk that no recorder writes to"
        table.problem(
            "P038", f"{quote(vault)} cannot be the vault of a location in {quote(own)}", hint, "vault"
        )
    return vault


def _zone_or_library(library: Library) -> fields.Reader[ZoneInfo]:
    """An IANA zone, or the word ``library`` for the library's own: said, never assumed."""
    return lambda value: library.zone if value == "library" else fields.zone(value)


def _footage_length(table: Table, layout: str) -> float:
    length = table.required("max-length", fields.seconds, 1.0)
    if not length:
        table.problem(
            "P032",
            "footage has a length: max-length must be more than 0",
            'the longest segment, "PT60S"',
            "max-length",
        )
    compiled = _compiled(layout)
    if compiled is not None and not compiled.names_camera:
        table.problem(
            "P032",
            "the layout does not say which camera: {camera} is missing",
            "a hold on a camera needs it",
            "template",
        )
    return length


def _compiled(layout: str) -> Layout | None:
    try:
        return compile_layout(layout)
    except ValueError:
        return None


def _layout_problem(layout: str, trigger_kind: TriggerKind) -> str | None:
    """What is wrong with a layout, in one sentence."""
    try:
        compiled = compile_layout(layout)
    except ValueError as error:
        return str(error)
    if trigger_kind is TriggerKind.NAME and not compiled.names_time:
        return "the trigger is read from the name, and the layout names no time"
    return None


def _relation(table: Table) -> Relation:
    relation = Relation(
        name=table.required("name", fields.identifier, ""),
        table=table.required("table", fields.table_name, ""),
        column=table.required("column", fields.column, ""),
        matches=table.required("matches", fields.column, ""),
        where=table.optional("where", fields.condition, BROKEN),
    )
    table.close()
    return relation


def _dependent(table: Table, own: str, key: str) -> Dependent:
    """Without ``parent`` it hangs on the location's own table; without ``parent-column`` there, on its key."""
    name = table.required("table", fields.table_name, "")
    column = table.required("column", fields.column, "")
    parent = table.optional("parent", fields.table_name, "") or own
    if parent == own:
        parent_column = table.optional("parent-column", fields.column, "") or key
    else:
        parent_column = table.required("parent-column", fields.column, "")
    soft = table.optional("soft", fields.boolean, False) or False
    table.close()
    return Dependent(table=name, column=column, parent=parent, parent_column=parent_column, soft=soft)
