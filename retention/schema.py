"""A JSON Schema (2020-12) of ``policies.toml``, for editors that complete and check while one types.

It describes shapes only. What a schedule means, and whether its parts contradict each other, is for `retention.loader`:
a file that this schema accepts may still be refused there, never the other way round.
"""

from __future__ import annotations

from typing import Any

from retention import expression
from retention.examples import EXPECTATIONS
from retention.schedule import ApprovalKind, Cutoff, Disposition, StoreKind, TriggerKind

Json = dict[str, Any]

_ID_PATTERN = "^[a-z0-9]+(-[a-z0-9]+)*$"
_PERIOD_PATTERN = "^P([0-9]+Y)?([0-9]+M)?([0-9]+W)?([0-9]+D)?$"

_TEXT: Json = {"type": "string", "minLength": 1}
_TEXTS: Json = {"type": "array", "items": _TEXT, "minItems": 1}
_COLUMN: Json = {"type": "string", "pattern": f"^{expression.NAME.pattern}$"}
_TABLE: Json = {"type": "string", "pattern": f"^{expression.NAME.pattern}(\\.{expression.NAME.pattern})?$"}
_SCALAR: Json = {"type": ["string", "number", "boolean"]}


def json_schema() -> Json:
    """The schema as JSON values. Dates are text in it: that is how editors show TOML dates to a schema."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Records retention schedule (policies.toml)",
        **_object(
            {
                "version": _said("version printed on certificates"),
                "library": _library(),
                "store": _by_id(_store()),
                "record-type": _by_id(_record_type()),
                "exempt": _tables(_exempt()),
            },
            required=("version", "library", "store", "record-type"),
        ),
        "$defs": {
            "id": {"type": "string", "pattern": _ID_PATTERN, "maxLength": 63},
            "period": {
                "type": "string",
                "pattern": _PERIOD_PATTERN,
                "description": "ISO 8601, whole calendar units: P3Y, P18M, P2W, P90D, P0D",
            },
            "day": {"type": "string", "format": "date"},
            "authority": {
                "oneOf": [_TEXT, _object({"citation": _TEXT, "series": _TEXT}, required=("citation",))]
            },
            "condition": {
                "type": "string",
                "minLength": 1,
                "maxLength": expression.LONGEST,
                "description": "columns, literals, comparisons, and / or / not, [not] in (...), is [not] null",
            },
            "seconds": {
                "oneOf": [
                    {"type": "number", "minimum": 0},
                    _TEXT,
                ],
                "description": "seconds, or ISO 8601: 60, PT60S, PT1H",
            },
        },
    }


def _object(properties: Json, required: tuple[str, ...] = ()) -> Json:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def _tables(item: Json) -> Json:
    return {"type": "array", "items": item}


def _by_id(item: Json) -> Json:
    return {"type": "object", "propertyNames": _ref("id"), "additionalProperties": item, "minProperties": 1}


def _ref(name: str) -> Json:
    return {"$ref": f"#/$defs/{name}"}


def _said(description: str, shape: Json = _TEXT) -> Json:
    return {**shape, "description": description}


def _one_of(kind: type[Cutoff | Disposition | ApprovalKind | StoreKind | TriggerKind]) -> Json:
    return {"enum": [member.value for member in kind]}


def _library() -> Json:
    keys = {
        "organization": _said("name printed on certificates"),
        "custodian": _said("title of the custodian of record"),
        "time-zone": _said("IANA zone in which days end"),
        "fiscal-year-start": {
            "type": "string",
            "pattern": "^[0-9]{2}-[0-9]{2}$",
            "description": "month and day: 07-01",
        },
    }
    return _object(keys, required=tuple(keys))


def _store() -> Json:
    return _object(
        {
            "kind": _one_of(StoreKind),
            "title": _TEXT,
            "residual": {
                "type": "object",
                "additionalProperties": _ref("period"),
                "description": "how long copies live on, by name of the copy",
            },
        },
        required=("kind", "title"),
    )


def _record_type() -> Json:
    return _object(
        {
            "title": _TEXT,
            "description": _TEXT,
            "authority": _ref("authority"),
            "owner": _said("who answers for these records"),
            "personal-data": _TEXTS,
            "trigger": _said("the event that starts the clock, in words"),
            "cutoff": _one_of(Cutoff),
            "minimum": _ref("period"),
            "maximum": _ref("period"),
            "disposition": _one_of(Disposition),
            "approval": _one_of(ApprovalKind),
            "cooling-off": _ref("period"),
            "limits": _object(
                {
                    "records": {"type": "integer", "minimum": 1},
                    "percent": {"type": "number", "exclusiveMinimum": 0, "maximum": 100},
                    "jump": {"type": "number", "minimum": 1},
                }
            ),
            "effective-from": _ref("day"),
            "effective-until": _ref("day"),
            "rule": _tables(_rule()),
            "location": _said("where the records live", {**_tables(_location()), "minItems": 1}),
            "example": _tables(_example()),
        },
        required=(
            *(
                "title",
                "description",
                "authority",
                "owner",
                "personal-data",
                "trigger",
                "cutoff",
                "minimum",
                "disposition",
            ),
            *("approval", "limits", "effective-from", "location"),
        ),
    )


def _rule() -> Json:
    return _object(
        {
            "id": _ref("id"),
            "when": _ref("condition"),
            "authority": _ref("authority"),
            "minimum": _ref("period"),
            "maximum": _ref("period"),
        },
        required=("id", "when", "authority", "minimum"),
    )


def _location() -> Json:
    """One shape for tables and trees: editors complete better from one list than from two that exclude each other."""
    return _object(
        {
            "name": _ref("id"),
            "store": _TEXT,
            "trigger-kind": _one_of(TriggerKind),
            "time-zone": _said("IANA zone of naive times, or library for the library's own"),
            "subject": _said("column with the patron's id, none or unknown", _COLUMN),
            "consent": _ref("condition"),
            "blocked": _ref("condition"),
            "table": _TABLE,
            "key": _COLUMN,
            "trigger-column": _COLUMN,
            "branch": _COLUMN,
            "span-start": _COLUMN,
            "created": _said(
                "column with the moment at which the row came into being, never edited later", _COLUMN
            ),
            "span-end": _COLUMN,
            "clear": {"type": "array", "items": _COLUMN, "minItems": 1},
            "replace": {"type": "object", "propertyNames": _COLUMN, "additionalProperties": _SCALAR},
            "sealed": _said(
                "crypto-shred: columns whose values are sealed",
                {"type": "array", "items": _COLUMN, "minItems": 1},
            ),
            "blocked-by": _tables(
                _object(
                    {
                        "name": _ref("id"),
                        "table": _TABLE,
                        "column": _COLUMN,
                        "matches": _COLUMN,
                        "where": _ref("condition"),
                    },
                    required=("name", "table", "column", "matches"),
                )
            ),
            "dependent": _tables(
                _object(
                    {
                        "table": _TABLE,
                        "column": _COLUMN,
                        "parent": _TABLE,
                        "parent-column": _COLUMN,
                        "soft": {"type": "boolean"},
                    },
                    required=("table", "column"),
                )
            ),
            "path": _said(
                "folder below the store's root or prefix below the store's own, . for the root itself"
            ),
            "template": _said("layout of the paths below it"),
            "unit": {"enum": ["file", "folder"]},
            "max-length": _ref("seconds"),
            "settle": _ref("seconds"),
            "rows": _rows(),
            "export": _export(),
            "camera": {"type": "object", "additionalProperties": _camera()},
            "recorder": {
                "enum": ["frigate"],
                "description": "whose database beside the files is kept consistent",
            },
            "vault": _said("store into which held files are copied out"),
            "upload-within": _ref("seconds"),
        },
        required=("name", "store", "trigger-kind", "time-zone", "subject"),
    )


def _rows() -> Json:
    names: Json = {"type": "array", "items": _COLUMN, "minItems": 1}
    return _object(
        {
            "key": names,
            "trigger-column": _COLUMN,
            "date-format": _TEXT,
            "encoding": _TEXT,
            "clear": names,
            "replace": {"type": "object", "propertyNames": _COLUMN, "additionalProperties": _SCALAR},
        },
        required=("key",),
    )


def _export() -> Json:
    return _object(
        {
            "purpose": _TEXT,
            "recipient": _said("who gets the files"),
            "ground": _said("law or contract; or consent"),
            "consent": _said("the opt-in category that the people in it chose; or ground"),
            "attestation": _said(
                "whether the recipient has to confirm destruction on its side", {"type": "boolean"}
            ),
            "names-reused": _said(
                "whether the next export is written under the same name", {"type": "boolean"}
            ),
        },
        required=("purpose", "recipient"),
    )


def _camera() -> Json:
    return _object(
        {
            "branch": _TEXT,
            "drift": _said("how far its clock may be off, either way: PT2M", _ref("seconds")),
            "also-called": _said("names it had before, or has in other streams", _TEXTS),
        }
    )


def _example() -> Json:
    return _object(
        {
            "location": _TEXT,
            "on": _ref("day"),
            "trigger": _TEXT,
            "fields": {"type": "object", "propertyNames": _COLUMN, "additionalProperties": _SCALAR},
            "related": {"type": "object", "additionalProperties": {"type": "boolean"}},
            "expect": {"enum": list(EXPECTATIONS)},
        },
        required=("on", "expect"),
    )


def _exempt() -> Json:
    return _object({"store": _TEXT, "what": _TEXT, "reason": _TEXT}, required=("store", "what", "reason"))
