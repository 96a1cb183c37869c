"""``sign``: a person's signature over a statement that a page shows, for pages without a passkey or without JavaScript.

Signs nothing but statements that people sign here, in their one spelling, and none that is another person's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from console.cli.answer import Answer
from console.cli.options import Here, Json, KeyFile, Name
from console.cli.site import opened
from retention.document import parse
from retention.errors import Refused, UsageError, VerificationFailed
from storage.personal_keys import keys_of
from storage.statements import in_words, noun_of

MAX_STATEMENT = 1024 * 1024
STDIN = Path("-")


def sign(
    file: Annotated[
        Path, Parameter(help="File with the statement as the page shows it; `-`: standard input.")
    ] = STDIN,
    /,
    *,
    as_: Name,
    key_file: KeyFile = None,
    json: Json = False,
    session: Here,
) -> Answer:
    data = _read(file, session)
    try:
        statement = parse(data.strip(), "the statement")
    except VerificationFailed as error:
        raise UsageError(error.message, "give exactly what the page shows") from None
    noun_of(statement)
    assert isinstance(statement, dict)
    told = list(in_words(statement))
    with opened(session) as site:
        by = site.signatory(as_, key_file)
        if by.public not in keys_of(site.ledger, by.person):
            raise Refused(
                f"this is not a signing key of {as_}", "give the key file made by: retention person add"
            )
        if statement.get("person", as_) != as_:
            raise Refused("this is a statement of another person", "each person signs their own")
        signed = by.sign(statement)
    notes = [
        *told,
        "signed, and without effect until you give the line below to the page; do not, if this is not what you mean",
    ]
    body = {"person": as_, "type": statement["type"], "keyid": signed.keyid, "signature": signed.text}
    return Answer(command="sign", body=body, notes=notes, plain=signed.text + "\n")


def _read(file: Path, session: Here) -> bytes:
    """At most one byte more than is taken."""
    try:
        if file == STDIN:
            data = session.stdin.read(MAX_STATEMENT + 1)
        else:
            with file.open("rb") as source:
                data = source.read(MAX_STATEMENT + 1)
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}", "give the file with the statement") from None
    if len(data) > MAX_STATEMENT:
        raise UsageError("the statement is too long", "give exactly what the page shows")
    return data
