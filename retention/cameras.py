"""One register of cameras for the whole schedule, whichever location wrote a camera down.

A hold that names a camera by an old name must not keep less in an archive, or among incident clips, than on the recorder's disk only
because the register stands there. What can make a hold keep more is shared, other names and drift; the branch is not, since
an unknown branch is kept by a hold on any. What a location says itself of a name counts there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from retention.layout import compile_layout
from retention.schedule import Camera, RecordType, TableLocation, TreeLocation


def share_cameras(record_types: Sequence[RecordType]) -> list[RecordType]:
    """The record types with every camera known wherever a layout names cameras. Raises ``ValueError`` for a broken layout."""
    registers = [
        location.cameras
        for record_type in record_types
        for location in record_type.locations
        if isinstance(location, TreeLocation) and location.cameras
    ]
    return [
        replace(record_type, locations=tuple(_known(location, registers) for location in record_type.locations))
        for record_type in record_types
    ]  # fmt: skip


def _known(
    location: TableLocation | TreeLocation, registers: Sequence[Mapping[str, Camera]]
) -> TableLocation | TreeLocation:
    if not isinstance(location, TreeLocation) or not compile_layout(location.template).names_camera:
        return location
    cameras = dict(location.cameras)
    owners = {word: name for name, camera in cameras.items() for word in (name, *camera.also_called)}
    for register in registers:
        for name, camera in register.items():
            present = owners.get(name, name)
            own = cameras.get(present, Camera(drift=camera.drift))
            names = tuple(
                word for word in (name, *camera.also_called) if owners.setdefault(word, present) == present
            )
            also = dict.fromkeys((*own.also_called, *names))
            cameras[present] = replace(own, also_called=tuple(word for word in also if word != present))
    return replace(location, cameras=cameras)
