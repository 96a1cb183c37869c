"""Who may do what. One table: the command line, the pages and the ledger ask it; nothing else compares roles.

A permission is necessary, never sufficient: what a hold or a case allows in its present state, four eyes and the need to know
are decided where it is acted upon.
"""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    CUSTODIAN = "custodian"
    """Library Director or designee: places, confirms and releases holds; approves dispositions."""
    SECOND_CUSTODIAN = "second-custodian"
    """The second of two people: confirms what another custodian began, and begins nothing."""
    COUNSEL = "counsel"
    """Sees matters and verifies requests; decides nothing else."""
    OPERATOR = "operator"
    """Runs and halts; cannot approve."""
    AUDITOR = "auditor"
    """Reads."""
    ADMINISTRATOR = "administrator"
    """Manages people; cannot approve."""


class Act(StrEnum):
    """What a person does, as far as their role decides it."""

    READ = "read"
    """Cases, certificates, events, the schedule; holds as far as they are not sealed."""
    READ_MATTERS = "read matters"
    """The legal request behind a hold."""
    REQUEST_HOLD = "record a request"
    PLACE_HOLD = "place a hold"
    """And widen, narrow, link, review; and request or cancel a release."""
    CONFIRM_HOLD = "confirm a hold"
    """And approve its release."""
    VERIFY_REQUEST = "verify a request"
    ACKNOWLEDGE = "acknowledge a hold"
    APPROVE = "approve a disposition"
    """As the first of two, or the only one; and return, extend, except, propose or revoke a standing approval."""
    SECOND = "approve a disposition second"
    DESTROY_MEDIA = "plan and attest the destruction of media"
    WITNESS_MEDIA = "approve and witness the destruction of media"
    OPEN_SEALED = "open sealed records"
    RUN = "run"
    HALT = "halt"
    LIFT_HALT = "lift a halt"
    MANAGE_PEOPLE = "manage people"


_READERS = {Act.READ, Act.ACKNOWLEDGE}
_SECOND = _READERS | {Act.READ_MATTERS, Act.CONFIRM_HOLD, Act.SECOND, Act.WITNESS_MEDIA, Act.HALT}
PERMISSIONS: dict[Role, frozenset[Act]] = {
    Role.CUSTODIAN: frozenset(
        _SECOND
        | {
            Act.REQUEST_HOLD,
            Act.PLACE_HOLD,
            Act.VERIFY_REQUEST,
            Act.APPROVE,
            Act.DESTROY_MEDIA,
            Act.OPEN_SEALED,
            Act.RUN,
            Act.LIFT_HALT,
        }
    ),
    Role.SECOND_CUSTODIAN: frozenset(_SECOND),
    Role.COUNSEL: frozenset(_READERS | {Act.READ_MATTERS, Act.REQUEST_HOLD, Act.VERIFY_REQUEST}),
    Role.OPERATOR: frozenset(_READERS | {Act.RUN, Act.HALT}),
    Role.AUDITOR: frozenset(_READERS),
    Role.ADMINISTRATOR: frozenset(_READERS | {Act.MANAGE_PEOPLE}),
}


def may(role: Role, act: Act) -> bool:
    """Whether somebody with that role may do that at all."""
    return act in PERMISSIONS[role]


def roles_for(act: Act) -> tuple[Role, ...]:
    """The roles that may, in the order in which they are told to people."""
    return tuple(role for role in Role if may(role, act))
