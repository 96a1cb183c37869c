"""Forecast: what comes due in the next months, the backlog, and how late it is. Drawn here, as SVG with the same numbers in a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from console.web.doors import Doors, Here
from console.web.pages import asking
from retention.permissions import Act

doors = Doors()
MONTHS = 12
WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 960, 300, 70, 24, 36


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One month, in the picture's own units."""

    x: float
    y: float
    width: float
    height: float
    label: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    bars: tuple[Bar, ...]
    ticks: tuple[tuple[float, int], ...]
    """Height and number of each line across."""
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    bottom: int = HEIGHT - BOTTOM


@doors.get("/forecast", Act.READ)
def forecast(visit: Here, question: str = "") -> Response:
    """What comes due in the next twelve months."""
    asked = asking.maybe(visit, question, asking.FORECAST)
    answer = None if asked is None else asked.answer
    known = answer if answer is not None and "error" not in answer else None
    facts = {"question": None if asked is None else asked.id, "forecast": known}
    return visit.page(
        "forecast.html", title="Forecast", facts=facts, asked=asked, late=asked is not None and asking.is_late(visit, asked),
        chart=None if known is None else chart(totals(known)), sums={} if known is None else totals(known),
    )  # fmt: skip


@doors.post("/forecast", Act.READ)
def ask(visit: Here) -> Response:
    """Have the stores counted."""
    desk = visit.desk
    asked = desk.ledger.questions.ask(
        asking.FORECAST, {"months": MONTHS}, person=visit.who.name, at=desk.now()
    )
    return visit.see(f"/forecast?question={asked}")


def totals(forecast: Mapping[str, Any]) -> dict[str, int]:
    """How many records come due in each month, of all record types."""
    sums: dict[str, int] = {}
    for one in forecast["record_types"]:
        for month, count in one["months"].items():
            sums[month] = sums.get(month, 0) + count
    return dict(sorted(sums.items()))


def chart(sums: Mapping[str, int]) -> Chart:
    """Bars from zero, on a scale that ends at a round number."""
    top = _round_up(max(sums.values(), default=0))
    step = (WIDTH - LEFT) / max(1, len(sums))
    room = HEIGHT - TOP - BOTTOM
    bars = []
    for index, (month, count) in enumerate(sums.items()):
        height = room * count / top
        bars.append(
            Bar(x=round(LEFT + step * index + step * 0.15, 1), y=round(HEIGHT - BOTTOM - height, 1), width=round(step * 0.7, 1),
                height=round(height, 1), label=month, count=count)
        )  # fmt: skip
    ticks = tuple((round(HEIGHT - BOTTOM - room * part / 4, 1), top * part // 4) for part in range(5))
    return Chart(bars=tuple(bars), ticks=ticks)


def _round_up(value: int) -> int:
    """The next of 4, 8, 20, 40, 80, 200 …: a quarter of it is a whole number."""
    scale = 4
    while scale < value:
        for factor in (2, 5, 10):
            if scale * factor >= value:
                return scale * factor
        scale *= 10
    return scale
