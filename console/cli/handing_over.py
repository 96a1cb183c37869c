"""The README of a folder that is handed over: how to check a certificate with openssl and jq, in the numbers of the steps."""

from __future__ import annotations

from collections.abc import Sequence


def readme(certificate: str, organization: str, keys: Sequence[str], *, stamped: bool, attested: bool) -> str:
    """``keys``: the PEM files, in the folder, of the keys that sign now; ``stamped``: whether a time stamp lies in the folder;
    ``attested``: whether it is of media destroyed by hand."""
    text = _TEXT.replace("LEAVES\n", "" if attested else _LEAVES).replace(
        "SAID\n", _SAID_BY_HAND if attested else _SAID
    )
    text = text.replace("CERTIFICATE", certificate).replace("ORGANIZATION", organization)
    checks = "\n".join(
        f"openssl dgst -sha256 -verify {key} -signature {name}.sig signed\n" if "p256" in key
        else f"openssl pkeyutl -verify -rawin -pubin -inkey {key} -in signed -sigfile {name}.sig\n"
        for key in keys
        for name in (_kind(key),)
    )  # fmt: skip
    text = text.replace("SIGNATURES\n", checks.replace("\n\n", "\n"))
    return text + (_STAMP.replace("CERTIFICATE", certificate) if stamped else "")


def _kind(key: str) -> str:
    return "p256" if "p256" in key else "ed25519"


_TEXT = """\
# Certificate of destruction CERTIFICATE

Issued by ORGANIZATION. With the program `retention`, all at once:

```
retention certificate verify . --key KEYS-YOU-GOT-IN-ANOTHER-WAY
```

Without it, with `openssl`, `jq` and a shell, in this folder. The keys here came with the certificate: compare `retention.pub`
with one that you got from the library in another way, first.

| File | What it is |
|---|---|
| `CERTIFICATE.dsse.json` | the certificate: a signed statement |
LEAVES
| `CERTIFICATE.tlog-proof` | the proof that the certificate is in the library's log, with the log's checkpoint |
| `log` | the checkpoint, and the hashes of the log that show that it only ever grew |
| `retention.pub`, `retention.keys`, `keys` | the library's public keys; their history, each set signed by the one before; the same as PEM |

## 1. Readable and canonical

`cmp` says nothing when the statement is in its one spelling.

```sh
jq -j .payload CERTIFICATE.dsse.json | base64 -d > statement.json
jq -cjS . statement.json | cmp - statement.json
```

## 2. Signed

Both signatures are over the same bytes.

```sh
{ printf 'DSSEv1 28 application/vnd.in-toto+json %d ' "$(wc -c < statement.json)"; cat statement.json; } > signed
for kind in ed25519 p256; do
  jq -j ".signatures[] | select(.keyid | startswith(\\"$kind\\")) | .sig" CERTIFICATE.dsse.json | base64 -d > $kind.sig
done
SIGNATURES
```

## 3. to 7. What it says

SAID

## 8. In the library's log

The checkpoint is signed by the log, and the proof leads from the certificate to its root.

```sh
sed '1,/^$/d' CERTIFICATE.tlog-proof > checkpoint
sed '/^$/,$d' checkpoint > checkpoint.text
sed -n 's/^retention-log //p' retention.pub | cut -d+ -f3- | base64 -d | tail -c 32 > log.raw
{ printf '\\060\\052\\060\\005\\006\\003\\053\\145\\160\\003\\041\\000'; cat log.raw; } > log.der
grep -F "$(printf '\\342\\200\\224 ')$(head -n 1 checkpoint) " checkpoint | sed 's/.* //' | base64 -d | tail -c 64 > checkpoint.sig
openssl pkeyutl -verify -rawin -pubin -keyform DER -inkey log.der -in checkpoint.text -sigfile checkpoint.sig
```

```sh
at=$(sed -n 's/^index //p' CERTIFICATE.tlog-proof)
last=$(( $(sed -n 2p checkpoint) - 1 ))
{ printf '\\000'; cat CERTIFICATE.dsse.json; } | openssl dgst -sha256 -binary > hash
sed -n '/^index /,/^$/p' CERTIFICATE.tlog-proof | sed '1d;$d' > path
while read -r line; do
  printf '%s' "$line" | base64 -d > sibling
  if [ $(( at % 2 )) = 1 ] || [ "$at" = "$last" ]; then
    { printf '\\001'; cat sibling hash; } | openssl dgst -sha256 -binary > next
    while [ $(( at % 2 )) = 0 ] && [ "$at" != 0 ]; do at=$(( at / 2 )); last=$(( last / 2 )); done
  else
    { printf '\\001'; cat hash sibling; } | openssl dgst -sha256 -binary > next
  fi
  mv next hash
  at=$(( at / 2 )); last=$(( last / 2 ))
done < path
[ "$last" = 0 ] && [ "$(base64 < hash)" = "$(sed -n 3p checkpoint)" ] && echo "in the log"
```
"""

_LEAVES = "| `CERTIFICATE.leaves` | one salted hash per record of the case; it names nobody |\n"
_SAID = """\
```sh
jq -r '.predicate.sentences[]' statement.json
jq '.predicate | {summary, exceptions, authority, people}' statement.json
```
"""
_SAID_BY_HAND = """\
The media were destroyed by hand. The program saw nothing of it: what counts is what four steps say that people signed. The digest of the lot
is in each of them, so no medium can be added or changed afterwards.

```sh
jq -r '.predicate.sentences[]' statement.json
jq '.predicate.lot.media' statement.json
jq -cjS .predicate.lot statement.json | openssl dgst -sha256 -r | cut -c 1-64
jq -e '.subject[0].digest.sha256 as $lot | .predicate.signed | map(.statement.step) == ["plan", "approve", "attest", "witness"]
  and all(.[]; .statement.digest == $lot)' statement.json
jq -r '.predicate.signed[] | "\\(.statement.step): \\(.person), \\(.title), \\(.statement.at), \\(.keyid)"' statement.json
```

Each of the four signatures is over its statement. For keys of their own (`ed25519`, `p256`); a passkey's is over an assertion, see docs/certificate.md.

```sh
for i in 0 1 2 3; do
  jq -cjS ".predicate.signed[$i].statement" statement.json > step.json
  jq -j ".predicate.signed[$i].signature" statement.json | base64 -d > step.sig
  { case $(jq -r ".predicate.signed[$i].keyid" statement.json) in
      ed25519:*) printf '\\060\\052\\060\\005\\006\\003\\053\\145\\160\\003\\041\\000' ;;
      p256:*) printf '\\060\\131\\060\\023\\006\\007\\052\\206\\110\\316\\075\\002\\001\\006\\010\\052\\206\\110\\316\\075\\003\\001\\007\\003\\102\\000' ;;
    esac
    jq -j ".predicate.signed[$i].publicKey" statement.json | base64 -d; } > step.der
  openssl pkeyutl -verify -rawin -pubin -keyform DER -inkey step.der -in step.json -sigfile step.sig
done
```
"""
_STAMP = """
## 10. Since when

`openssl ts` needs the root certificate of the time-stamping authority, which you get from the authority.

```
openssl ts -verify -data checkpoint -in CERTIFICATE.tsr -CAfile AUTHORITY.pem
```
"""
