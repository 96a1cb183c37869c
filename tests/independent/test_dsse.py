"""Envelopes are ones to others' implementations of DSSE, with both kinds of signatures."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer._key import SSlibKey

from retention import envelope
from retention.certificate import statement
from retention.signing import P256, SigningKey, generate
from tests.independent.tools import node_package
from tests.retention.certificate_facts import LIBRARY, certificate

SECOND = generate("library", P256)
SIGNERS = (LIBRARY, SECOND)
DATA = envelope.sign(statement(certificate()), SIGNERS)


def theirs(key: SigningKey) -> SSlibKey:
    return SSlibKey.from_crypto(load_pem_public_key(key.public.pem), keyid=key.keyid)


@pytest.mark.parametrize("key", SIGNERS, ids=["ed25519", "p256"])
def test_securesystemslib_verifies_the_envelope(key: SigningKey) -> None:
    found = Envelope.from_dict(json.loads(DATA))
    assert list(found.verify([theirs(key)], 1)) == [key.keyid]
    found.payload = found.payload.replace(b'"destroyed":4', b'"destroyed":5')
    with pytest.raises(VerificationError):
        found.verify([theirs(key)], 1)


def test_securesystemslib_wants_both_when_asked_for_both() -> None:
    assert len(Envelope.from_dict(json.loads(DATA)).verify([theirs(key) for key in SIGNERS], 2)) == 2


SCRIPT = """
const { dsse, crypto } = require("@sigstore/core");
const fs = require("fs");
const envelope = JSON.parse(fs.readFileSync(process.argv[1]));
const payload = Buffer.from(envelope.payload, "base64");
const signed = dsse.preAuthEncoding(envelope.payloadType, payload);
const said = envelope.signatures.map(({ keyid, sig }) => {
  const key = crypto.createPublicKey(fs.readFileSync(keyid.startsWith("p256") ? "p256.pem" : "ed25519.pem", "utf-8"));
  return crypto.verify(signed, key, Buffer.from(sig, "base64"), keyid.startsWith("p256") ? "sha256" : undefined);
});
console.log(JSON.stringify(said));
"""


def test_sigstore_for_node_verifies_both_signatures(tmp_path: Path) -> None:
    folder = node_package(tmp_path)
    (folder / "ed25519.pem").write_bytes(LIBRARY.public.pem)
    (folder / "p256.pem").write_bytes(SECOND.public.pem)
    changed = json.loads(DATA)
    changed["payload"] = base64.b64encode(base64.b64decode(changed["payload"]) + b" ").decode()
    for data, expected in ((DATA, [True, True]), (json.dumps(changed).encode(), [False, False])):
        (folder / "c.json").write_bytes(data)
        done = subprocess.run(
            ["node", "-e", SCRIPT, "c.json"], cwd=folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == expected
