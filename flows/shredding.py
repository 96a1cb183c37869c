"""Step 11 for keys, once per run: replace the root key when keys were destroyed, then remove the ciphertext that they left.

Refuses nothing of its own and raises nothing that a later night cannot mend: what could not be done is told, certificates stay
provisional, and the journal of the rotation says where to go on.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from flows.wiring import Site
from retention.errors import Refused, RetentionError, Unavailable, VerificationFailed
from storage.sealed.remembering import remember


@dataclass(kw_only=True)
class Shredded:
    """``rotated``: the root key was replaced. ``removed``: sealed files that went. ``trouble``: what could not be done."""

    rotated: bool = False
    removed: int = 0
    trouble: list[RetentionError] = field(default_factory=list)


def finish(site: Site, *, actor: str) -> Shredded:
    """Does nothing at a site where nothing is sealed, and destroys nothing while the kill switch is engaged."""
    done = Shredded()
    if not site.seals or site.ledger.cases.halted() is not None:
        return done
    try:
        site.require_keys()
        done.rotated = site.key_worker.rotate(at=site.now()).rotated
        remember(site.ledger, site.keys.epoch(), actor=actor, at=site.now())
    except (Refused, Unavailable, VerificationFailed) as error:
        done.trouble.append(error)
    try:
        done.removed = site.destroyer.clear_ciphertext(site.schedule, site.today())
    except (Refused, Unavailable, VerificationFailed) as error:
        done.trouble.append(error)
    return done
