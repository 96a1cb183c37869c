"""An authenticator in software, as a browser and a passkey answer together. Every part of the answer can be made wrong."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from retention import approval
from retention.approval import Approval
from retention.document import JSON, encode
from retention.signed import Assertion, Signed
from retention.signing import ED25519, P256, PublicKey, SigningKey, generate, other_form
from tests.retention.certificate_facts import DIRECTOR, approved

ORIGIN = "https://retention.library.example"
USED = 0x05
"""User present, user verified."""


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")


@dataclass(frozen=True, kw_only=True)
class Authenticator:
    key: SigningKey

    @property
    def public(self) -> PublicKey:
        return self.key.public

    def sign(
        self, statement: Mapping[str, JSON], *, origin: str = ORIGIN, party: str | None = None, flags: int = USED,
        counter: int = 0, extensions: bytes = b"", high: bool | None = None, client: Mapping[str, Any] | None = None,
        written: Callable[[dict[str, Any]], bytes] = lambda value: json.dumps(value).encode(),
    ) -> Signed:  # fmt: skip
        """The assertion over a statement. ``client``: members of the client data that differ; ``high``: which *s*, if not any."""
        said: dict[str, Any] = {
            "type": "webauthn.get",
            "challenge": b64url(sha256(encode(dict(statement))).digest()),
            "origin": origin,
            "crossOrigin": False,
        }
        client_data = written(said | dict(client or {}))
        host = origin.partition("://")[2].partition(":")[0] if party is None else party
        head = sha256(host.encode()).digest() + bytes([flags]) + counter.to_bytes(4, "big") + extensions
        signature = self.key.sign(head + sha256(client_data).digest())
        return Signed(
            keyid=self.key.keyid,
            signature=b64(other_form(signature) if high else signature),
            assertion=Assertion(authenticator_data=b64(head), client_data=b64(client_data)),
        )


def authenticator(kind: str = P256) -> Authenticator:
    return Authenticator(key=generate("passkey", kind))


def by_passkey(person: str, passkey: Authenticator, **changes: Any) -> Approval:
    """An approval of the invented case. ``changes``: of the passkey's answer."""
    said = approved(DIRECTOR, person).statement
    return approval.given(
        passkey.sign(said, **changes), passkey.public, said, person=person, title="Library Director"
    )


def by_passkeys(**changes: Any) -> tuple[Approval, Approval]:
    """Both approvals of the invented case, by passkeys of both kinds. ``changes``: of the first one's answer."""
    return (
        by_passkey("Mei Lind", authenticator(P256), **changes),
        by_passkey("Jo Reyes", authenticator(ED25519)),
    )
