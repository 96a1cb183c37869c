"""A P-256 signing key that never leaves AWS KMS. Refuses a key of another kind, and a signature its public half does not verify."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from retention.errors import SettingsError, Unavailable, UsageError
from retention.signing import P256, PublicKey, load_public_der, one_form

_ALGORITHM = "ECDSA_SHA_256"


class KmsSigner:
    """Signs with the key ``key_id`` (id, ARN or alias) of a KMS client. Raises `Unavailable` when the service does not answer."""

    def __init__(self, client: Any, key_id: str, *, name: str = "") -> None:
        self._client = client
        self._key_id = key_id
        found = self._ask("get_public_key", KeyId=key_id)
        try:
            self.public: PublicKey = load_public_der(found["PublicKey"], name)
        except UsageError:
            self._refuse()
        if self.public.kind != P256 or found.get("KeyUsage") != "SIGN_VERIFY":
            self._refuse()

    @property
    def keyid(self) -> str:
        return self.public.keyid

    def sign(self, message: bytes) -> bytes:
        found = self._ask(
            "sign", KeyId=self._key_id, Message=sha256(message).digest(), MessageType="DIGEST", SigningAlgorithm=_ALGORITHM
        )  # fmt: skip
        try:
            signature = one_form(found["Signature"])
        except ValueError:
            signature = b""
        if not self.public.verifies(signature, message):
            raise Unavailable(
                "the key service gave a signature that does not verify", "see the settings of its key"
            )
        return signature

    def _ask(self, method: str, **arguments: Any) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = getattr(self._client, method)(**arguments)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "unknown")
            raise Unavailable(
                f"the key service refused: {code}", "see RETENTION_SIGNING_KMS and its rights"
            ) from None
        except BotoCoreError as error:
            raise Unavailable(
                f"the key service does not answer ({type(error).__name__})", "run it again when it does"
            ) from None
        return answer

    @staticmethod
    def _refuse() -> None:
        raise SettingsError(
            "the key of RETENTION_SIGNING_KMS does not sign with P-256",
            "make one of ECC_NIST_P256, SIGN_VERIFY",
        )
