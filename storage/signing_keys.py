"""The library's own keys: the signing keys of its certificates, the key of its log, and what is published of them.

Certificates carry two signatures, Ed25519 and P-256; the second key may live in AWS KMS. A rotation is written down in the
ledger, signed by the key it retires, before the new key signs anything; killed half way, it is finished or undone the next
time the keys are asked for. Refuses to sign with keys that the published history does not know.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from retention.errors import LedgerUnavailable, SettingsError, Unavailable
from retention.key_history import Era, announce, eras
from retention.note import NoteKey
from retention.signing import ED25519, P256, PublicKey, Signer, SigningKey, generate, load_private
from storage.kms_signing import KmsSigner
from storage.ledger.ledger import Ledger
from storage.ledger.log_entries import EntryKind
from storage.spool import create_private, make_durable

FILES = {ED25519: "signing.pem", P256: "signing-p256.pem"}
LOG_FILE = "log.pem"
_NEXT = ".next"

ServiceKey = Callable[[], KmsSigner]


class SigningKeys:
    """``folder``: the private keys; ``evidence``: where the public ones go. ``service``: the P-256 key, if it lives in a service.

    ``log_name``: the log's name; by default made from its key.
    """

    def __init__(
        self, *, folder: Path, evidence: Path, ledger: Ledger, name: str, log_name: str | None = None, service: ServiceKey | None = None
    ) -> None:  # fmt: skip
        self._folder = folder
        self._evidence = evidence
        self._ledger = ledger
        self._name = name
        self._log_name = log_name
        self._service = service

    def make(self) -> list[str]:
        """Make the key files that are not there. Says what it made. Needs no ledger."""
        made = []
        for kind, file in FILES.items():
            if not (self._folder / file).exists() and not (kind == P256 and self._service):
                key = generate(self._name, kind)
                self._write(file, key.dump())
                made.append(f"made the signing key {key.keyid}")
        if not (self._folder / LOG_FILE).exists():
            self._write(LOG_FILE, generate("log").dump())
            made.append("made the key of the transparency log")
        return made

    def introduce(self, *, at: datetime, actor: str) -> None:
        """Write the first set of keys into the history, and publish."""
        if not self.history():
            self._announce(self._signers(), self._signers(), at=at, actor=actor)
        self.publish()

    def history(self) -> tuple[Era, ...]:
        """Every set of keys there was. Raises `VerificationFailed` when the ledger's history was altered."""
        return eras(self._envelopes())

    def signers(self) -> tuple[Signer, ...]:
        """The keys that sign now, Ed25519 first. Raises `SettingsError` when they are not the last ones introduced."""
        self._finish()
        found = self._signers()
        known = self.history()
        if not known or {one.keyid for one in found} != {key.keyid for key in known[-1].keys}:
            raise SettingsError(
                "the signing keys are not those that were introduced last",
                "introduce them: retention certificate keys --rotate",
            )
        return found

    def public(self) -> tuple[PublicKey, ...]:
        """The public halves of the keys that sign."""
        return tuple(_public(one) for one in self._signers())

    def files(self) -> tuple[str, ...]:
        """The names of the key files that this site needs."""
        return (*(file for kind, file in FILES.items() if not (kind == P256 and self._service)), LOG_FILE)

    def rotate(self, *, at: datetime, actor: str) -> tuple[PublicKey, ...]:
        """Retire the signing keys and introduce new ones, signed by both. A key in a service is not made here: the one in the
        settings is introduced. Returns the new public keys."""
        self._finish()
        old = self._signers()
        new: list[Signer] = []
        for kind, file in FILES.items():
            if kind == P256 and self._service:
                new.append(self._service())
                continue
            key = generate(self._name, kind)
            (self._folder / (file + _NEXT)).unlink(missing_ok=True)
            self._write(file + _NEXT, key.dump())
            new.append(key)
        kept = {one.keyid for one in new}
        signing = [*new, *(one for one in old if one.keyid not in kept)]
        self._announce(tuple(new), tuple(signing), at=at, actor=actor)
        self._finish()
        self.publish()
        return self.public()

    def log_signer(self) -> SigningKey:
        return load_private(self._read(LOG_FILE), name="log")

    def log_key(self) -> NoteKey:
        """The name and public key of the log. A log without a name of its own is named after its key."""
        public = self.log_signer().public
        return NoteKey(
            name=self._log_name or f"retention.example/log/{public.keyid.partition(':')[2][:16]}",
            public=public,
        )

    def publish(self) -> None:
        """Write what a verifier needs beside the certificates: ``retention.pub``, and the history as ``retention.keys``."""
        lines = [*(key.line for key in self.public()), self.log_key().line]
        history = b"".join(envelope + b"\n" for envelope in self._envelopes())
        try:
            self._evidence.mkdir(parents=True, exist_ok=True)
            for name, data in (
                ("retention.pub", "".join(f"{line}\n" for line in lines).encode()),
                ("retention.keys", history),
            ):
                partial = self._evidence / f"{name}.partial"
                partial.write_bytes(data)
                partial.replace(self._evidence / name)
        except OSError as error:
            raise Unavailable(
                f"the evidence folder cannot be written: {os.strerror(error.errno or 0)}",
                "see whether its disk is full",
            ) from None

    def _announce(
        self, new: tuple[Signer, ...], signers: tuple[Signer, ...], *, at: datetime, actor: str
    ) -> None:
        envelope = announce([_public(one) for one in new], self._envelopes(), signers, at=at)
        self._ledger.log.append(
            EntryKind.SIGNING_KEYS, str(len(self._envelopes())), envelope, actor=actor, at=at
        )

    def _envelopes(self) -> list[bytes]:
        return [entry.envelope for entry in self._ledger.log.of_kind(EntryKind.SIGNING_KEYS)]

    def _finish(self) -> None:
        """Put new key files in place when the ledger has introduced them; remove them when it has not."""
        waiting = [file for file in FILES.values() if (self._folder / (file + _NEXT)).exists()]
        if not waiting:
            return
        known = self.history()
        introduced = {key.keyid for key in known[-1].keys} if known else set()
        for file in waiting:
            path = self._folder / (file + _NEXT)
            if load_private(self._read(file + _NEXT)).keyid in introduced:
                path.replace(self._folder / file)
            else:
                path.unlink()
        make_durable(self._folder)

    def _signers(self) -> tuple[Signer, ...]:
        first = load_private(self._read(FILES[ED25519]), name=self._name)
        second = self._service() if self._service else load_private(self._read(FILES[P256]), name=self._name)
        return first, second

    def _read(self, name: str) -> bytes:
        try:
            return (self._folder / name).read_bytes()
        except OSError:
            raise LedgerUnavailable(
                f"{self._folder / name} is missing",
                "a new site: retention db upgrade; otherwise restore it from your backup",
            ) from None

    def _write(self, name: str, content: bytes) -> None:
        with create_private(self._folder / name) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        make_durable(self._folder)


def _public(signer: Signer) -> PublicKey:
    assert isinstance(signer, SigningKey | KmsSigner)
    return signer.public
