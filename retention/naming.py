"""Holds in a location's own words: cameras by their present names, copies under the store they were copied from.

Everything that matches holds against the records of a tree goes through here first, whether these are files, objects or sealed: a hold
that names a camera by an old name, or a store whose copies lie elsewhere, must not keep less in one place than in another.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from retention.holds import Hold
from retention.layout import compile_layout
from retention.schedule import TableLocation, TreeLocation


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """``cameras``: other name and present name, sorted. ``any_camera``: footage whose path names none, so it may be of any.

    ``vault_of``: the store whose copies lie in ``store``.
    """

    store: str
    cameras: tuple[tuple[str, str], ...] = ()
    any_camera: bool = False
    vault_of: str | None = None

    @classmethod
    def of(cls, location: TableLocation | TreeLocation) -> Naming:
        """Raises ``ValueError`` for a layout that makes no sense."""
        if not isinstance(location, TreeLocation):
            return cls(store=location.store)
        present = {other: name for name, camera in location.cameras.items() for other in camera.also_called}
        names_camera = compile_layout(location.template).names_camera
        return cls(
            store=location.store, cameras=tuple(sorted(present.items())), vault_of=location.vault_of,
            any_camera=location.max_length > 0 and not names_camera,
        )  # fmt: skip

    def camera(self, name: str | None) -> str | None:
        """The present name."""
        return next((present for other, present in self.cameras if other == name), name)

    def holds(self, holds: Iterable[Hold]) -> list[Hold]:
        """The holds as they apply here."""
        return [
            replace(
                hold,
                scope=replace(hold.scope, cameras=self._cameras(hold), stores=self._stores(hold)),
            )
            if self._speaks_of(hold)
            else hold
            for hold in holds
        ]

    def _speaks_of(self, hold: Hold) -> bool:
        return (
            bool(hold.scope.cameras and (self.cameras or self.any_camera))
            or self.vault_of in hold.scope.stores
        )

    def _cameras(self, hold: Hold) -> frozenset[str]:
        if self.any_camera:
            return frozenset()
        present = dict(self.cameras)
        return frozenset(present.get(name, name) for name in hold.scope.cameras)

    def _stores(self, hold: Hold) -> frozenset[str]:
        stores = hold.scope.stores
        return stores | {self.store} if self.vault_of in stores else stores
