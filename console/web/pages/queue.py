"""The first page: what waits for this person."""

from __future__ import annotations

from starlette.responses import Response

from console.web.doors import Doors, Here
from retention.permissions import Act

doors = Doors()


@doors.get("/", Act.READ)
def queue(visit: Here) -> Response:
    """What waits for a decision."""
    return visit.page("queue.html", title="Queue", facts={"waiting": []})
