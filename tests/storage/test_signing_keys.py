"""The library's keys: made once, rotated in the open, finished or undone after a kill; and one that lives in a key service."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from moto import mock_aws
from moto.kms.utils import ECDSAPrivateKey

from retention.errors import LedgerUnavailable, SettingsError, Unavailable, VerificationFailed
from retention.key_history import announce, eras, read_history, retired, trusted
from retention.signing import P256, generate, key_ring, load_public_keys
from storage.kms_signing import KmsSigner
from storage.ledger.ledger import Ledger
from storage.ledger.log_entries import EntryKind
from storage.signing_keys import SigningKeys
from tests.storage.desk import NOW

LATER = NOW + timedelta(days=1)


def keys_at(tmp_path: Path, ledger: Ledger, **more: Any) -> SigningKeys:
    return SigningKeys(folder=tmp_path, evidence=tmp_path / "evidence", ledger=ledger, name="library", **more)


@pytest.fixture
def keys(sqlite_ledger: Ledger, tmp_path: Path) -> SigningKeys:
    made = keys_at(tmp_path, sqlite_ledger)
    assert len(made.make()) == 3
    made.introduce(at=NOW, actor="test")
    return made


def test_keys_are_made_and_introduced_once(keys: SigningKeys) -> None:
    assert keys.make() == []
    keys.introduce(at=LATER, actor="test")
    (era,) = keys.history()
    assert {key.keyid for key in era.keys} == {signer.keyid for signer in keys.signers()}
    assert [key.kind for key in era.keys] == ["ed25519", "p256"]


def test_what_is_published_is_what_signs(keys: SigningKeys, tmp_path: Path) -> None:
    keys.rotate(at=LATER, actor="test")
    published = load_public_keys((tmp_path / "evidence" / "retention.pub").read_bytes())
    assert published == keys.public()
    history = read_history((tmp_path / "evidence" / "retention.keys").read_bytes())
    assert history == keys.history()
    first, second = history
    assert (first.until, second.until) == (second.since, None)
    assert set(retired(history)) == {key.keyid for key in first.keys}
    assert len(trusted(history, key_ring(first.keys[0]))) == 4
    stranger = generate("stranger").public
    assert trusted(history, key_ring(stranger)) == key_ring(stranger)


@pytest.mark.parametrize("introduced", [False, True])
def test_a_rotation_killed_half_way_is_undone_or_finished(
    keys: SigningKeys, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, introduced: bool
) -> None:
    before = {signer.keyid for signer in keys.signers()}
    really = keys._announce

    def announce(*given: Any, **named: Any) -> None:
        if introduced:
            really(*given, **named)
        raise KeyboardInterrupt

    monkeypatch.setattr(keys, "_announce", announce)
    with pytest.raises(KeyboardInterrupt):
        keys.rotate(at=LATER, actor="test")
    monkeypatch.undo()
    after = {signer.keyid for signer in keys.signers()}
    assert (after == before) is not introduced
    assert after == {key.keyid for key in keys.history()[-1].keys}
    assert not list(tmp_path.glob("*.next"))


def test_keys_that_nobody_introduced_do_not_sign(keys: SigningKeys, tmp_path: Path) -> None:
    (tmp_path / "signing.pem").write_bytes(generate("other").dump())
    with pytest.raises(SettingsError, match="not those that were introduced"):
        keys.signers()
    (tmp_path / "signing.pem").unlink()
    with pytest.raises(LedgerUnavailable, match=r"signing\.pem is missing"):
        keys.signers()


def test_a_history_with_a_gap_a_stranger_or_a_changed_bit_is_refused(
    keys: SigningKeys, sqlite_ledger: Ledger
) -> None:
    keys.rotate(at=LATER, actor="test")
    keys.rotate(at=LATER + timedelta(days=1), actor="test")
    history = [entry.envelope for entry in sqlite_ledger.log.of_kind(EntryKind.SIGNING_KEYS)]
    assert len(eras(history)) == 3
    for wrong in (history[1:], history[::2], history[::-1], [history[0], history[0]]):
        with pytest.raises(VerificationFailed):
            eras(wrong)
    data = b"".join(one + b"\n" for one in history)
    for wrong_data in (b"", data[:-1], data + b"\n", data[: len(data) // 2] + b"\n", b"x" * (1 << 21)):
        with pytest.raises(VerificationFailed):
            read_history(wrong_data)
    for place in range(0, len(data), 7):
        changed = data[:place] + bytes([data[place] ^ 1 << place % 8]) + data[place + 1 :]
        with pytest.raises(VerificationFailed):
            read_history(changed)


def test_a_set_introduced_by_a_stranger_alone_is_refused(keys: SigningKeys) -> None:
    stranger = generate("stranger")
    with pytest.raises(VerificationFailed, match="not introduced by the ones before"):
        announce([stranger.public], keys._envelopes(), [stranger], at=LATER)


def signed_digest(self: ECDSAPrivateKey, message: bytes, signing_algorithm: str) -> bytes:
    assert signing_algorithm == "ECDSA_SHA_256"
    signature: bytes = self.private_key.sign(message, ec.ECDSA(Prehashed(SHA256())))
    return signature


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    # moto takes a digest for a message and hashes it again; the service signs the digest.
    monkeypatch.setattr(ECDSAPrivateKey, "sign", signed_digest)
    with mock_aws():
        yield boto3.client("kms")


def made_there(service: Any, spec: str = "ECC_NIST_P256", usage: str = "SIGN_VERIFY") -> str:
    id: str = service.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]["KeyId"]
    return id


def test_a_key_in_a_service_signs_in_the_one_form(service: Any) -> None:
    signer = KmsSigner(service, made_there(service), name="library")
    assert signer.keyid.startswith("p256:")
    for number in range(20):
        assert signer.public.verifies(signer.sign(b"%d" % number), b"%d" % number)


def test_a_key_of_another_kind_is_refused(service: Any) -> None:
    for spec in ("ECC_NIST_P384", "RSA_2048"):
        with pytest.raises(SettingsError, match="P-256"):
            KmsSigner(service, made_there(service, spec))


def test_a_service_that_refuses_is_an_error_without_details(service: Any) -> None:
    with pytest.raises(Unavailable, match="NotFoundException"):
        KmsSigner(service, "6f1c2a4e-0000-4000-8000-000000000000")
    signer = KmsSigner(service, made_there(service))
    with Stubber(service) as answers:
        answers.add_client_error("sign", "DisabledException")
        with pytest.raises(Unavailable, match="refused: DisabledException"):
            signer.sign(b"x")
        answers.add_response("sign", {"Signature": b"0"})
        with pytest.raises(Unavailable, match="does not verify"):
            signer.sign(b"x")


def test_the_second_key_may_live_in_a_service_and_move_there(
    service: Any, keys: SigningKeys, sqlite_ledger: Ledger, tmp_path: Path
) -> None:
    id = made_there(service)
    moved = keys_at(tmp_path, sqlite_ledger, service=lambda: KmsSigner(service, id))
    with pytest.raises(SettingsError, match="introduced last"):
        moved.signers()
    moved.rotate(at=LATER, actor="test")
    _, second = moved.signers()
    assert isinstance(second, KmsSigner)
    assert len(moved.history()) == 2
    assert [key.kind for key in moved.history()[1].keys] == ["ed25519", P256]
