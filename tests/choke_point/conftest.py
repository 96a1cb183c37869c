"""The choke point's tests run on every store of the contract suite."""

from __future__ import annotations

from tests.contract.conftest import build, factory

__all__ = ["build", "factory"]
