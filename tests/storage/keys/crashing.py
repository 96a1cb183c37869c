"""Power cuts at what a rotation does to the world: each commit, and each making and destroying of a root or a backup."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from storage.keys import backup
from storage.keys.database import KeyDatabase
from storage.keys.roots.local import LocalRoot
from tests.simulator.power import Power

STEPS = (
    (KeyDatabase, "write"),
    (KeyDatabase, "truncate"),
    (LocalRoot, "create"),
    (LocalRoot, "end"),
    (backup, "make"),
)


@contextmanager
def powered(power: Power) -> Iterator[None]:
    """Each of them is two steps of this power: the cut comes before it, or right after."""
    with pytest.MonkeyPatch.context() as patch:
        for owner, name in STEPS:
            real = getattr(owner, name)
            patch.setattr(
                owner, name, _writing(real, power) if name == "write" else _doing(real, name, power)
            )
        yield


@contextmanager
def cut_off(after: int) -> Iterator[None]:
    """The ``after``-th step finds no power."""
    power = Power()
    power.cut_at(after)
    with powered(power):
        yield


def _writing(real: Callable[..., Any], power: Power) -> Callable[..., Any]:
    @contextmanager
    def write(self: KeyDatabase, *arguments: Any) -> Iterator[Any]:
        power.step("before a transaction")
        with real(self, *arguments) as entry:
            yield entry
            power.step("before its commit")
        power.step("after its commit")

    return write


def _doing(real: Callable[..., Any], name: str, power: Power) -> Callable[..., Any]:
    def do(*arguments: Any, **options: Any) -> Any:
        power.step(f"before {name}")
        done = real(*arguments, **options)
        power.step(f"after {name}")
        return done

    return do
