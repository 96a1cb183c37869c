"""Origins of pages, as far as signatures by passkeys need them: the address of the console, and what a passkey is bound to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from retention.errors import UsageError

_LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME = rf"{_LABEL}(?:\.{_LABEL})*"
_ORIGIN = re.compile(rf"(?:https://(?P<name>{_NAME})|http://localhost)(?::[1-9][0-9]{{0,4}})?", re.ASCII)
MAX_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class Origin:
    """``https://HOST[:PORT]`` by name, or ``http://localhost[:PORT]``; as browsers write it. Raises `UsageError` for anything else.

    No addresses in numbers and no HTTP but to this machine: browsers give no passkey there.
    """

    text: str

    def __post_init__(self) -> None:
        found = _ORIGIN.fullmatch(self.text) if len(self.text) <= MAX_CHARACTERS else None
        if found is None or (found["name"] or "localhost").rpartition(".")[2].isdigit():
            raise UsageError(
                "this is not the origin of a console",
                "https://NAME or https://NAME:PORT in lower case without a path; http://localhost:PORT to try it",
            )

    @property
    def host(self) -> str:
        """What passkeys of a console at this origin are bound to: the relying party's id."""
        return self.text.partition("://")[2].partition(":")[0]

    def relying_parties(self) -> Iterator[str]:
        """Every relying party that a page here can be: its host, and the domains above it but the topmost.

        Which of these are public suffixes (``co.uk``) is not known here; browsers refuse those.
        """
        labels = self.host.split(".")
        yield self.host
        for start in range(1, len(labels) - 1):
            yield ".".join(labels[start:])
