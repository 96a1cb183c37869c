"""Signing in at an identity provider (OpenID Connect): authorization code with PKCE. Says who somebody is, and decides nothing else.

1. the provider is asked what it is, and has to be the one that was configured;
2. the browser is sent there with a state, a nonce and a challenge, each made for this one time and kept sealed in its cookie;
3. what comes back has to bear that state: else somebody else's sign-in is being finished in this browser;
4. the code is exchanged with the verifier of the challenge, from here to the provider, over TLS;
5. the ID token has to be signed with a key of the provider's by an algorithm with public keys: never ``none``, never a shared secret;
6. its issuer, audience, expiry and nonce have to be right;
7. its subject has to be the one that an administrator entered for a person, who is not disabled. Nobody comes to be by signing in.

The ID token is kept sealed with the session, and given back to the provider alone, to sign out there too (OpenID Connect
RP-Initiated Logout 1.0). Every other token is forgotten; none is written or shown.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import BoundedSemaphore
from typing import Any
from urllib.parse import urlencode, urlsplit

import requests
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from retention.errors import LedgerUnavailable, Refused, SettingsError, Unavailable, UsageError
from storage.ledger.sealing import Sealer

ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA", "Ed25519")
CALLBACK = "/sign-in/oidc/callback"
SECONDS = 10.0
"""How long the provider may take to answer."""
PAUSE = timedelta(seconds=30)
"""For how long it is not asked again after it did not answer."""
MOST = 4
"""Requests to the provider at a time."""
REREAD = timedelta(hours=1)
"""After that, what the provider says about itself is asked again."""
LIFE = timedelta(minutes=10)
"""From leaving for the provider to coming back."""
LEEWAY = 30
"""Seconds by which the provider's clock may be off."""
MAX_SUBJECT = 255
"""Characters of a subject (OpenID Connect Core, section 2)."""
MAX_HINT = 4096
"""Characters of an ID token that is kept to sign out with: it stands in an address then."""
SIGNED_OUT = "/sign-in"
"""Where the provider sends somebody who signed out there."""
_ROW = "S-sign-in"


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """How the pages are known at the provider. Without a secret: as a public client."""

    issuer: str
    client_id: str
    client_secret: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not _safe(self.issuer) or "?" in self.issuer or "#" in self.issuer:
            raise SettingsError(
                "RETENTION_CONSOLE_OIDC_ISSUER is not the address of an identity provider",
                "https://…, exactly as the provider writes its issuer; http only for this machine",
            )
        if not self.client_id:
            raise SettingsError("RETENTION_CONSOLE_OIDC_CLIENT_ID is missing", "see docs/settings.md")


@dataclass(frozen=True, slots=True, kw_only=True)
class Away:
    """Somebody who was sent to the provider. ``next``, ``draft``: where they wanted to go."""

    state: str
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)
    next: str
    draft: str
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Back:
    """Somebody who came back. ``subject``: as an account has it. ``id_token``: verified."""

    subject: str
    id_token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Known:
    """What the provider says of itself, and its keys."""

    metadata: Mapping[str, Any]
    keys: KeySet
    read_at: datetime


class Provider:
    def __init__(self, registration: Registration, origin: str, now: Callable[[], datetime]) -> None:
        self.registration = registration
        self._callback = origin + CALLBACK
        self._signed_out = origin + SIGNED_OUT
        self._now = now
        self._known: _Known | None = None
        self._away_until: datetime | None = None
        self._requests = BoundedSemaphore(MOST)

    def send(self, *, next: str, draft: str) -> tuple[str, Away]:
        """The provider's address to send a browser to, and what to keep of it. Raises `Unavailable`."""
        away = Away(
            state=secrets.token_urlsafe(32), nonce=secrets.token_urlsafe(32), verifier=secrets.token_urlsafe(48), next=next,
            draft=draft, until=self._now() + LIFE,
        )  # fmt: skip
        with self._session() as session:
            address, _ = session.create_authorization_url(
                self._what().metadata["authorization_endpoint"], state=away.state, nonce=away.nonce, code_verifier=away.verifier
            )  # fmt: skip
        return str(address), away

    def come_back(self, away: Away, query: Mapping[str, str]) -> Back:
        """Who came back, as the ledger has them: issuer and subject. Steps 3 to 6. Raises `Refused`, `Unavailable`."""
        # 3. The same browser
        if away.until <= self._now() or not secrets.compare_digest(
            away.state.encode(), query.get("state", "").encode()
        ):
            raise Refused("this sign-in was not begun here, or took too long", "begin again")
        if query.get("iss", self.registration.issuer) != self.registration.issuer:
            raise _invalid()
        if "error" in query or not query.get("code"):
            raise Refused("the identity provider did not sign you in", "begin again, or use your password")
        # 4. The code, once
        token = self._exchange(query["code"], away.verifier)
        if not isinstance(token, str):
            raise _invalid()
        # 5. and 6. The ID token
        claims = self._verified(token, away.nonce)
        return Back(subject=subject(self.registration.issuer, str(claims["sub"])), id_token=token)

    def sign_out(self, id_token: str | None) -> str | None:
        """The provider's address to sign out at; ``None`` where it announces none. Raises `Unavailable`.

        ``id_token``: whose session it is that ends there; without it the provider asks.
        """
        endpoint = self._what().metadata.get("end_session_endpoint")
        if not isinstance(endpoint, str) or not _safe(endpoint) or "#" in endpoint:
            return None
        query = {"client_id": self.registration.client_id, "post_logout_redirect_uri": self._signed_out}
        if id_token is not None and len(id_token) <= MAX_HINT:
            query["id_token_hint"] = id_token
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"

    def _exchange(self, code: str, verifier: str) -> object:
        endpoint = self._what().metadata["token_endpoint"]
        with self._asking(), self._session() as session:
            try:
                given = session.fetch_token(
                    endpoint, grant_type="authorization_code", code=code, code_verifier=verifier, timeout=SECONDS, allow_redirects=False
                )  # fmt: skip
            except requests.RequestException:
                raise _away() from None
            except (AuthlibBaseError, ValueError):
                raise _invalid() from None
        return given.get("id_token") if isinstance(given, dict) else None

    def _verified(self, token: str, nonce: str) -> CodeIDToken:
        known = self._what()
        try:
            decoded = _decoded(token, known.keys)
        except (JoseError, ValueError):  # signed with a key of since yesterday, perhaps
            try:
                decoded = _decoded(token, self._what(again=True).keys)
            except (JoseError, ValueError):
                raise _invalid() from None
        issuer, client = self.registration.issuer, self.registration.client_id
        wanted = {
            "iss": {"essential": True, "value": issuer},
            "aud": {"essential": True, "value": client},
            "sub": {"essential": True},
        }
        claims = CodeIDToken(
            decoded.claims, decoded.header, options=wanted, params={"nonce": nonce, "client_id": client}
        )
        try:
            claims.validate(now=int(self._now().timestamp()), leeway=LEEWAY)
        except (JoseError, AuthlibBaseError, ValueError, TypeError):
            raise _invalid() from None
        if not isinstance(claims["sub"], str) or not 0 < len(claims["sub"]) <= MAX_SUBJECT:
            raise _invalid()
        return claims

    def _what(self, *, again: bool = False) -> _Known:
        """Step 1. ``again``: whatever is known."""
        known = self._known
        if known is None or self._now() - known.read_at >= REREAD or again:
            with self._asking():
                self._known = known = self._read()
        return known

    def _read(self) -> _Known:
        metadata = _fetch(self.registration.issuer.rstrip("/") + "/.well-known/openid-configuration")
        names = ("authorization_endpoint", "token_endpoint", "jwks_uri")
        if metadata.get("issuer") != self.registration.issuer or not all(
            _safe(metadata.get(name)) for name in names
        ):
            raise _another()
        try:
            keys = KeySet.import_key_set(_fetch(metadata["jwks_uri"]))  # type: ignore[arg-type]
        except (JoseError, ValueError, KeyError, TypeError):
            raise _another() from None
        return _Known(metadata, keys, self._now())

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """A request to the provider. Anybody at all may begin one, and a provider that hangs must not take the pages along.

        Raises `Unavailable` at once when it did not answer just now, or too many wait for it already.
        """
        away = self._away_until is not None and self._now() < self._away_until
        if away or not self._requests.acquire(blocking=False):
            raise _away()
        try:
            yield
        except Unavailable:
            self._away_until = self._now() + PAUSE
            raise
        finally:
            self._requests.release()

    def _session(self) -> OAuth2Session:
        secret = self.registration.client_secret
        methods = self._what().metadata.get("token_endpoint_auth_methods_supported") or [
            "client_secret_basic"
        ]
        method = "client_secret_basic" if "client_secret_basic" in methods else "client_secret_post"
        return OAuth2Session(
            client_id=self.registration.client_id, client_secret=secret, redirect_uri=self._callback, scope="openid",
            code_challenge_method="S256", token_endpoint_auth_method=method if secret else "none",
        )  # fmt: skip


def _invalid() -> Refused:
    return Refused("what the identity provider answered is not valid", "begin again, or use your password")


def _away() -> Unavailable:
    return Unavailable(
        "the identity provider does not answer", "wait a moment and begin again, or use your password"
    )


def _another() -> Unavailable:
    return Unavailable(
        "the identity provider is not the one that was configured", "tell whoever looks after this program"
    )


def subject(issuer: str, name: str) -> str:
    """A subject as an account has it: unique only together with its issuer."""
    return f"{issuer} {name}"


def entered(issuer: str, name: str) -> str:
    """A subject as an administrator types it. Raises `UsageError` for what is none."""
    if not name.isprintable() or not 0 < len(name) <= MAX_SUBJECT:
        raise UsageError(
            "this is no subject of an identity provider", "give the `sub` exactly as its tokens have it"
        )
    return subject(issuer, name)


def seal(sealer: Sealer, away: Away) -> str:
    """For the browser's cookie: nobody reads or changes it there."""
    body = [away.state, away.nonce, away.verifier, away.next, away.draft, away.until.isoformat()]
    return base64.urlsafe_b64encode(sealer.seal(json.dumps(body).encode(), _ROW)).decode("ascii")


def unseal(sealer: Sealer, cookie: str | None) -> Away:
    """Raises `Refused` for a cookie that is missing or not ours."""
    try:
        body = json.loads(sealer.open(base64.urlsafe_b64decode((cookie or "").encode("ascii")), _ROW))
        state, nonce, verifier, next, draft, until = body
        return Away(
            state=state,
            nonce=nonce,
            verifier=verifier,
            next=next,
            draft=draft,
            until=datetime.fromisoformat(until),
        )
    except (LedgerUnavailable, ValueError, binascii.Error, UnicodeEncodeError):
        raise Refused("this sign-in was not begun here, or took too long", "begin again") from None


def _decoded(token: str, keys: KeySet) -> jwt.Token:
    return jwt.decode(token, keys, algorithms=list(ALGORITHMS))


def _fetch(address: str) -> dict[str, Any]:
    try:
        answer = requests.get(
            address, timeout=SECONDS, allow_redirects=False, headers={"Accept": "application/json"}
        )
        if answer.status_code != 200:
            raise _away()
        body = answer.json()
    except (requests.RequestException, ValueError):
        raise _away() from None
    if not isinstance(body, dict):
        raise _another()
    return body


def _safe(address: object) -> bool:
    """Whether an address is one to send secrets to: TLS, or this machine; and nothing but one, since it stands in headers."""
    if not isinstance(address, str) or not all("!" <= one <= "~" for one in address):
        return False
    try:
        parts = urlsplit(address)
        host = parts.hostname
    except ValueError:
        return False
    return bool(host) and (
        parts.scheme == "https" or (parts.scheme == "http" and host in ("localhost", "127.0.0.1"))
    )
