"""The numbered steps of a verification and what may come of one. The same numbers in docs/certificate.md and in the tests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

STEPS = {
    1: "readable and canonical",
    2: "signed by a given key",
    3: "a certificate of destruction with all its fields",
    4: "counts add up and read-backs cover them",
    5: "approvals",
    6: "leaves file and Merkle root",
    7: "dates",
    8: "in the transparency log",
    9: "consistent with older checkpoints",
    10: "time stamp",
    11: "opened record",
}
OPENING = 11
"""Only in the report about an opened record."""


class Result(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    NOT_CHECKED = "not-checked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One numbered step and what came of it. ``detail``: one line; for a failure or an unchecked step, why."""

    number: int
    result: Result
    detail: str

    @property
    def name(self) -> str:
        return STEPS[self.number]


def step(number: int, problems: Iterator[str], detail: str) -> Step:
    """Failed with the first problem; passed without one."""
    problem = next(problems, None)
    if problem is not None:
        return Step(number=number, result=Result.FAILED, detail=problem)
    return Step(number=number, result=Result.PASSED, detail=detail)


def unchecked(number: int, why: str) -> Step:
    return Step(number=number, result=Result.NOT_CHECKED, detail=why)
