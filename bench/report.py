"""What a bench measured: pairs of values, their median ratio, the goal, a table and a JSON file. Facts here, sentences last."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.machine import facts


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """``at_least``: the value must reach ``value``, otherwise it must not pass it. ``of_ours``: our own value, not the ratio."""

    value: float
    at_least: bool = True
    of_ours: bool = False

    def met(self, found: float) -> bool:
        return found >= self.value if self.at_least else found <= self.value

    @property
    def words(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.value:,.4g}{'' if self.of_ours else ' ×'}"


@dataclass(kw_only=True)
class Measure:
    """One comparison. ``pairs``: ours and the peer's value (``None`` where there is no peer), in the order they were measured."""

    name: str
    unit: str
    peer: str = ""
    goal: Goal | None = None
    pairs: list[tuple[float, float | None]] = field(default_factory=list)
    loads: list[float] = field(default_factory=list)
    """Load average of the machine (last minute) at the end of each pair: how busy we and others kept it."""

    def add(self, ours: float, peer: float | None = None) -> None:
        self.pairs.append((ours, peer))
        self.loads.append(os.getloadavg()[0])

    @property
    def ours(self) -> float:
        return median(ours for ours, _ in self.pairs)

    @property
    def peers(self) -> float | None:
        values = [peer for _, peer in self.pairs if peer is not None]
        return median(values) if values else None

    @property
    def ratio(self) -> float | None:
        """Median of the ratios pair by pair: what a noisy machine does to both sides of a pair cancels out."""
        ratios = [ours / peer for ours, peer in self.pairs if peer]
        return median(ratios) if ratios else None

    @property
    def met(self) -> bool | None:
        if self.goal is None or not self.pairs:
            return None
        found = self.ours if self.goal.of_ours else self.ratio
        return None if found is None else self.goal.met(found)

    def document(self) -> dict[str, Any]:
        return {
            "name": self.name, "unit": self.unit, "peer": self.peer, "goal": None if self.goal is None else self.goal.words,
            "pairs": [
                {"ours": _short(ours), "peer": _short(peer), "load": _short(load)}
                for (ours, peer), load in zip(self.pairs, self.loads, strict=True)
            ],
            "ours": _short(self.ours), "peer_median": _short(self.peers), "ratio": _short(self.ratio), "met": self.met,
        }  # fmt: skip


@dataclass(kw_only=True)
class Findings:
    """All that one bench found. ``sizes``: what it ran on. ``notes``: what a reader must know, left-out parts with their reason."""

    bench: str
    title: str
    sizes: Mapping[str, Any]
    versions: Mapping[str, str] = field(default_factory=dict)
    measures: list[Measure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def measure(self, name: str, unit: str, peer: str = "", goal: Goal | None = None) -> Measure:
        made = Measure(name=name, unit=unit, peer=peer, goal=goal)
        self.measures.append(made)
        return made

    def document(self) -> dict[str, Any]:
        return {
            "bench": self.bench, "title": self.title, "at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), "machine": facts(),
            "versions": dict(self.versions), "sizes": dict(self.sizes),
            "measures": [measure.document() for measure in self.measures if measure.pairs], "notes": self.notes,
        }  # fmt: skip

    def save(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.bench}.json"
        path.write_text(json.dumps(self.document(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        return path


def show(findings: Sequence[Findings], console: Console) -> None:
    """The table."""
    for found in findings:
        table = Table(title=found.title, title_justify="left", show_edge=False, pad_edge=False)
        for heading in ("measure", "beside"):
            table.add_column(heading, overflow="fold")
        for heading in ("ours", "peer", "ratio", "goal", ""):
            table.add_column(heading, justify="right", no_wrap=True)
        for measure in found.measures:
            if measure.pairs:
                table.add_row(
                    measure.name, measure.peer, _figure(measure.ours, measure.unit), _figure(measure.peers, measure.unit),
                    "" if measure.ratio is None else f"{measure.ratio:.2f}", "" if measure.goal is None else measure.goal.words,
                    {None: "", True: "met", False: "MISSED"}[measure.met],
                )  # fmt: skip
        console.print(table)
        for note in found.notes:
            console.print(f"  {note}", style="dim")
        console.print()


def _figure(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")
