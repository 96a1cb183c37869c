"""An identity provider of its own process, with accounts, PKCE and signed ID tokens: Authlib's server side behind a loopback port.

Run as ``python -m tests.servers.oidc FILE``: it writes its issuer there once it listens. ``POST /flaw`` makes the next tokens wrong
in one thing; everything else about them stays right.
"""

from __future__ import annotations

import base64
import hmac
import json
import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

CLIENT, SECRET = "retention-console", "a client's secret"
FLAWS = (
    "", "nonce", "no nonce", "issuer", "audience", "another party", "expired", "of tomorrow", "none", "shared secret", "another key",
)  # fmt: skip


@dataclass
class Provider:
    """What the tests know of the process."""

    issuer: str
    client: httpx.Client = field(repr=False)

    def flawed(self, flaw: str) -> None:
        assert flaw in FLAWS
        assert self.client.post("/flaw", data={"flaw": flaw}).status_code == 204

    def rotate(self) -> None:
        """Sign with a new key from now on."""
        assert self.client.post("/rotate").status_code == 204

    def asked(self) -> int:
        """How many tokens were asked for."""
        return int(self.client.get("/asked").text)

    def ended(self) -> list[str]:
        """Whose sessions were ended there."""
        found: list[str] = self.client.get("/ended").json()
        return found

    def announces(self, ending: bool) -> None:
        """Whether it says that sessions can be ended there."""
        assert self.client.post("/announce", data={"ending": "yes" if ending else ""}).status_code == 204

    def sign_in(self, address: str, user: str) -> str:
        """What a browser does there: the form, the name, and the way back."""
        form = self.client.get(address)
        assert form.status_code == 200, form.text
        done = self.client.post(address, data={"user": user})
        assert done.status_code == 302, done.text
        return done.headers["location"]


@contextmanager
def provider(folder: Path) -> Iterator[Provider]:
    told = folder / "issuer"
    command = [sys.executable, "-m", "tests.servers.oidc", str(told)]
    environment = {**os.environ, "AUTHLIB_INSECURE_TRANSPORT": "1"}
    with (folder / "provider.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        until = time.monotonic() + 60
        while not told.exists():
            assert process.poll() is None, (folder / "provider.log").read_text()
            assert time.monotonic() < until, "the identity provider did not start in time"
            time.sleep(0.05)
        issuer = told.read_text()
        with httpx.Client(base_url=issuer, timeout=30) as client:
            yield Provider(issuer=issuer, client=client)
    finally:
        process.terminate()
        process.wait(timeout=20)


def serve(told: Path) -> None:
    from authlib.integrations.flask_oauth2 import AuthorizationServer
    from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant
    from authlib.oauth2.rfc6749.models import ClientMixin
    from authlib.oauth2.rfc7636 import CodeChallenge
    from authlib.oidc.core.grants import OpenIDCode
    from authlib.oidc.core.models import AuthorizationCodeMixin as OpenIDCodeMixin
    from flask import Flask, Response, jsonify, request
    from joserfc import jwt
    from joserfc.jwk import OctKey, RSAKey
    from joserfc.jws import JWSRegistry
    from werkzeug.serving import make_server

    app = Flask(__name__)
    app.config["SECRET_KEY"] = secrets.token_hex()
    state: dict[str, Any] = {
        "key": RSAKey.generate_key(2048, {"kid": "first", "alg": "RS256"}),
        "flaw": "",
        "asked": 0,
        "ending": True,
        "ended": [],
    }
    stranger = RSAKey.generate_key(2048, {"kid": "first", "alg": "RS256"})
    codes: dict[str, Any] = {}

    class Client(ClientMixin):  # type: ignore[misc]
        def get_client_id(self) -> str:
            return CLIENT

        def get_default_redirect_uri(self) -> str:
            return ""

        def get_allowed_scope(self, scope: str) -> str:
            return "openid" if "openid" in scope.split() else ""

        def check_redirect_uri(self, redirect_uri: str) -> bool:
            return redirect_uri.startswith("http://localhost:") and redirect_uri.endswith(
                "/sign-in/oidc/callback"
            )

        def check_client_secret(self, client_secret: str) -> bool:
            return client_secret == SECRET

        def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
            return method == "client_secret_basic"

        def check_response_type(self, response_type: str) -> bool:
            return response_type == "code"

        def check_grant_type(self, grant_type: str) -> bool:
            return grant_type == "authorization_code"

    @dataclass
    class Code(OpenIDCodeMixin):  # type: ignore[misc]
        user: str
        redirect_uri: str
        scope: str
        nonce: str | None
        code_challenge: str | None
        code_challenge_method: str | None

        def get_redirect_uri(self) -> str:
            return self.redirect_uri

        def get_scope(self) -> str:
            return self.scope

        def get_nonce(self) -> str | None:
            return self.nonce

        def get_auth_time(self) -> int:
            return int(time.time())

        def get_acr(self) -> None:
            return None

        def get_amr(self) -> None:
            return None

    class Grant(AuthorizationCodeGrant):  # type: ignore[misc]
        TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic"]  # noqa: RUF012  # as the library declares it

        def save_authorization_code(self, code: str, request: Any) -> None:
            data = request.payload.data
            codes[code] = Code(
                user=request.user, redirect_uri=request.payload.redirect_uri, scope=request.payload.scope, nonce=data.get("nonce"),
                code_challenge=data.get("code_challenge"), code_challenge_method=data.get("code_challenge_method"),
            )  # fmt: skip

        def query_authorization_code(self, code: str, client: Any) -> Any:
            return codes.get(code)

        def delete_authorization_code(self, authorization_code: Any) -> None:
            for code, found in list(codes.items()):
                if found is authorization_code:
                    del codes[code]

        def authenticate_user(self, authorization_code: Any) -> Any:
            return authorization_code.user

    class Tokens(OpenIDCode):  # type: ignore[misc]
        def exists_nonce(self, nonce: str, request: Any) -> bool:
            return False

        def get_client_algorithm(self, client: Any) -> str:
            return "RS256"

        def resolve_client_private_key(self, client: Any) -> Any:
            return state["key"]

        def get_client_claims(self, client: Any) -> dict[str, Any]:
            return {"iss": state["issuer"]}

        def generate_user_info(self, user: Any, scope: str) -> Any:
            from authlib.oidc.core import UserInfo

            return UserInfo(sub=user)

    server = AuthorizationServer(
        app,
        query_client=lambda id: Client() if id == CLIENT else None,
        save_token=lambda token, request: None,
    )
    server.register_grant(Grant, [CodeChallenge(required=True), Tokens(require_nonce=True)])

    def encoded(claims: dict[str, Any], key: Any, alg: str = "RS256") -> str:
        header = {"alg": alg, **({"kid": "first"} if alg != "none" else {})}
        return jwt.encode(header, claims, key, registry=JWSRegistry(algorithms=[alg]))

    def by_hand(claims: dict[str, Any], secret: bytes) -> str:
        """With the public key as if it were a shared secret; libraries refuse to."""
        parts = [
            base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=")
            for one in ({"alg": "HS256"}, claims)
        ]
        mac = hmac.digest(secret, b".".join(parts), "sha256")
        return b".".join([*parts, base64.urlsafe_b64encode(mac).rstrip(b"=")]).decode()

    def spoiled(token: str) -> str | None:
        claims = dict(jwt.decode(token, state["key"]).claims)
        flaw, now = state["flaw"], int(time.time())
        changes: dict[str, dict[str, Any]] = {
            "nonce": {"nonce": "another"},
            "issuer": {"iss": "https://evil.example"},
            "audience": {"aud": ["another-client"]},
            "another party": {"aud": [CLIENT, "another-client"], "azp": "another-client"},
            "expired": {"iat": now - 7200, "exp": now - 3600},
            "of tomorrow": {"iat": now + 86400, "exp": now + 90000, "nbf": now + 86400},
            "long subject": {"sub": "x" * 256},
            "subject a number": {"sub": 7},
        }
        claims |= changes.get(flaw, {})
        for name in {"no nonce": ("nonce",), "no subject": ("sub",)}.get(flaw, ()):
            del claims[name]
        makers: dict[str, Callable[[], str | None]] = {
            "": lambda: token,
            "none": lambda: encoded(claims, OctKey.generate_key(), "none"),
            "shared secret": lambda: by_hand(claims, state["key"].as_pem(private=False)),
            "another key": lambda: encoded(claims, stranger),
            "no token": lambda: None,
            "changed": lambda: token[:-8] + ("AAAAAAAA" if token[-8:] != "AAAAAAAA" else "BBBBBBBB"),
        }
        return makers.get(flaw, lambda: encoded(claims, state["key"]))()

    @app.get("/.well-known/openid-configuration")
    def configuration() -> Response:
        issuer = state["issuer"]
        return jsonify(
            issuer=issuer, authorization_endpoint=f"{issuer}/authorize", token_endpoint=f"{issuer}/token", jwks_uri=f"{issuer}/keys",
            response_types_supported=["code"], subject_types_supported=["public"], id_token_signing_alg_values_supported=["RS256"],
            code_challenge_methods_supported=["S256"], token_endpoint_auth_methods_supported=["client_secret_basic"],
            **({"end_session_endpoint": f"{issuer}/end?from=discovery"} if state["ending"] else {}),
        )  # fmt: skip

    @app.get("/keys")
    def keys() -> Response:
        return jsonify(keys=[state["key"].as_dict(private=False)])

    @app.route("/authorize", methods=["GET", "POST"])
    def authorize() -> Any:
        if request.method == "GET":
            server.get_consent_grant(end_user=None)
            return "<form method=post>Who are you? <input name=user><button>Sign in</button></form>"
        user = request.form["user"]
        return server.create_authorization_response(
            grant_user=user or None, grant=server.get_consent_grant(end_user=user)
        )

    @app.post("/token")
    def token() -> Any:
        state["asked"] += 1
        answer = server.create_token_response()
        body = json.loads(answer.get_data())
        if "id_token" in body:
            body["id_token"] = spoiled(body["id_token"])
            answer.set_data(json.dumps({name: value for name, value in body.items() if value is not None}))
        return answer

    @app.post("/flaw")
    def flaw() -> tuple[str, int]:
        state["flaw"] = request.form["flaw"]
        return "", 204

    @app.post("/rotate")
    def rotate() -> tuple[str, int]:
        state["key"] = RSAKey.generate_key(2048, {"kid": secrets.token_hex(4), "alg": "RS256"})
        return "", 204

    @app.get("/end")
    def end() -> Any:
        """RP-Initiated Logout 1.0, section 2: the hint is a token of ours for that client, and the way back one that it registered."""
        hinted = jwt.decode(request.args["id_token_hint"], state["key"]).claims
        back = request.args["post_logout_redirect_uri"]
        known = hinted["aud"] in (CLIENT, [CLIENT]) and request.args["client_id"] == CLIENT
        if not known or not (back.startswith("http://localhost:") and back.endswith("/sign-in")):
            return "refused", 400
        state["ended"].append(hinted["sub"])
        return "", 303, {"Location": back}

    @app.get("/ended")
    def ended() -> Response:
        return jsonify(state["ended"])

    @app.post("/announce")
    def announce() -> tuple[str, int]:
        state["ending"] = bool(request.form["ending"])
        return "", 204

    @app.get("/asked")
    def asked() -> str:
        return str(state["asked"])

    http = make_server("127.0.0.1", 0, app, threaded=True)
    state["issuer"] = f"http://127.0.0.1:{http.server_port}"
    serving = threading.Thread(target=http.serve_forever)
    serving.start()
    partial = told.with_suffix(".partial")
    partial.write_text(state["issuer"])
    partial.replace(told)
    serving.join()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
