"""The key store's tables. Times are text in UTC (`storage.database.stamp`).

What keeps keys: ``root`` → ``wrapping_key`` (of a ``holder``: a cohort or a hold) → ``sealed_object``. Every edge is one row of ``wrap``.
Nothing personal stands here in the clear: who and what an object is about is sealed with the object's own key (``facts``).
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

counter = Table(
    "counter",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", BigInteger, nullable=False),
    comment="epoch (every change of wraps) and seq (objects finished); only ever grows",
)

root = Table(
    "root",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("number", Integer, nullable=False, unique=True),
    Column("kind", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("reference", Text, nullable=False),
    Column("body", LargeBinary),
    Column("kid", String(32), nullable=False),
    Column("made_at", String(32), nullable=False),
    Column("until", String(32)),
    Column("gone_at", String(32)),
    Column("gone_by", String(16)),
    comment="versions of the root, newest has the highest number; reference: the KMS key, no secret; body: the KMS's share, encrypted by it",
)

holder = Table(
    "holder",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("kind", String(8), nullable=False),
    Column("record_type", String(128), nullable=False),
    Column("location", String(128), nullable=False),
    Column("store", String(128), nullable=False),
    Column("period", String(32), nullable=False),
    Column("state", String(16), nullable=False),
    Column("kid", String(32), nullable=False),
    Column("objects", BigInteger, nullable=False),
    Column("trigger_first", String(40)),
    Column("trigger_last", String(40)),
    Column("size", BigInteger, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("unsealed_before", BigInteger, nullable=False),
    Column("last_seq", BigInteger, nullable=False),
    Column("born", Integer, nullable=False),
    Column("made_at", String(32), nullable=False),
    Index(
        "uq_holder_living_cohort",
        "record_type",
        "location",
        "period",
        unique=True,
        sqlite_where=text("kind = 'cohort' AND state = 'living'"),
        postgresql_where=text("kind = 'cohort' AND state = 'living'"),
    ),
    comment="a cohort, or the key of a hold; kid: its key now; born: number of the root when the oldest key below it was made",
)

wrapping_key = Table(
    "wrapping_key",
    metadata,
    Column("kid", String(32), primary_key=True),
    Column("holder", String(40), ForeignKey("holder.id"), nullable=False),
    Column("dirty", Boolean, nullable=False),
    Index(None, "holder"),
    comment="living keys of holders; dirty: a child left it, so it must be replaced before the next root",
)

wrap = Table(
    "wrap",
    metadata,
    Column("child", String(32), primary_key=True),
    Column("wrapper", String(40), primary_key=True),
    Column("purpose", String(8), nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index(None, "wrapper"),
    comment="a key wrapped by another: cohort and hold keys by a root, data keys by cohort and hold keys",
)

sealed_object = Table(
    "sealed_object",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("kid", String(32), nullable=False, unique=True),
    Column("seq", BigInteger, nullable=False),
    Column("cohort", String(40), ForeignKey("holder.id")),
    Column("record_type", String(128), nullable=False),
    Column("location", String(128), nullable=False),
    Column("store", String(128), nullable=False),
    Column("period", String(32), nullable=False),
    Column("trigger", String(40), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("sealed_size", BigInteger, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("plaintext_since", String(32)),
    Column("state", String(16), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("reason", Text, nullable=False),
    Column("facts", LargeBinary, nullable=False),
    Column("born", Integer, nullable=False),
    Index(None, "record_type", "location", "seq"),
    Index(None, "cohort"),
    comment="the registry; facts: subject, camera, branch and span, sealed with the object's own key",
)

looked = Table(
    "looked",
    metadata,
    Column("hold", String(40), primary_key=True),
    Column("record_type", String(128), primary_key=True),
    Column("location", String(128), primary_key=True),
    Column("terms", String(64), nullable=False),
    Column("seq", BigInteger, nullable=False),
    comment="up to which object (seq) the push-down of a hold has looked, and under which terms",
)

destruction = Table(
    "destruction",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("witness", String(80), nullable=False),
    Column("subject", String(40), nullable=False),
    Column("kid", String(32), nullable=False),
    Column("born", Integer, nullable=False),
    Column("root", Integer, nullable=False),
    Column("objects", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("unsealed_before", BigInteger, nullable=False),
    Column("at", String(32), nullable=False),
    Index(None, "witness"),
    Index(None, "root"),
    comment="append-only: keys destroyed by the choke point; born..root: numbers of the roots that wrapped them, ever",
    sqlite_autoincrement=True,
)

event = Table(
    "event",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", String(32), nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("child", String(40), nullable=False),
    Column("wrapper", String(40), nullable=False),
    Column("count", BigInteger, nullable=False),
    comment="append-only: what happened to wraps, by ids only",
    sqlite_autoincrement=True,
)

rotation_step = Table(
    "rotation_step",
    metadata,
    Column("rotation", Integer, primary_key=True, autoincrement=False),
    Column("step", String(16), primary_key=True),
    Column("detail", Text, nullable=False),
    Column("at", String(32), nullable=False),
    comment="append-only: the journal of rotations",
)

note = Table(
    "note",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("at", String(32), nullable=False),
    comment="what is outstanding: the truncation of SQLite's log",
)
