"""``NAME.retention.json`` beside an export: what its producer says about it.

It is a claim of whoever may write to the folder, and is taken as one: it can say what an export is for and when it was produced, and
nothing else. A sidecar that says more, or is not well-formed, is an error and never half believed.
"""

from __future__ import annotations

from datetime import date

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from retention.errors import UsageError

LARGEST = 1 << 16


class Sidecar(BaseModel):
    """The manifest of one export."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    purpose: str = Field(min_length=1, max_length=200)
    recipient: str = Field(min_length=1, max_length=200)
    ground: str = Field(default="", max_length=200)
    consent: str = Field(default="", max_length=200)
    produced_at: AwareDatetime | None = None
    reason: str = Field(default="", max_length=200)
    """Why it was produced before anything about the file shows."""
    due_on: date | None = None
    sealed: bool = False
    attestation: bool = False
    copies: tuple[str, ...] = Field(default=(), max_length=20)

    @model_validator(mode="after")
    def _one_ground(self) -> Sidecar:
        if bool(self.ground) == bool(self.consent):
            raise ValueError("either ground or consent")
        return self


def read_sidecar(content: bytes) -> Sidecar:
    """Raises `UsageError` that names the first wrong member, never its value."""
    if len(content) > LARGEST:
        raise UsageError("a sidecar is larger than 64 KiB", "see docs/exports.md")
    try:
        return Sidecar.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the document"
        raise UsageError(f"a sidecar is wrong: {where}: {first['type']}", "see docs/exports.md") from None
