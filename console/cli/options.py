"""Options that several commands share, so that they are called and explained the same everywhere."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from console.cli.session import Session

Json = Annotated[
    bool,
    Parameter(
        name="--json", negative=(), show_default=False, help="Write one JSON document to standard output."
    ),
]
Here = Annotated[Session, Parameter(parse=False)]
HoldId = Annotated[str, Parameter(help="Id of a hold: see `retention hold list`.")]
Flag = Parameter(negative=(), show_default=False)
Pipe = Parameter(allow_leading_hyphen=True)
"""Takes ``-`` for standard input or output."""
Many = Parameter(negative=(), consume_multiple=False)
Name = Annotated[str, Parameter(name="--as", help="Who you are: a name from `retention person list`.")]
MaybeName = Annotated[
    str | None, Parameter(name="--as", help="Who you are: a name from `retention person list`.")
]
KeyFile = Annotated[
    Path | None, Parameter(help="Your signing key, when it is not in the keyring (RETENTION_KEYRING).")
]
Day = Annotated[date | None, Parameter(help="The day to decide for, as YYYY-MM-DD; today by default.")]
