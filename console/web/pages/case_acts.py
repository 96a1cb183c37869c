"""What people sign about a case, in pages: the acts, what each is told to be about, and where to go on."""

from __future__ import annotations

from datetime import date

from console.cli import words
from console.web.acting import Operation, Values
from console.web.desk import Desk
from console.web.doors import Visit
from console.web.wording import day
from storage.signatures import Signing


def _approve(desk: Desk, by: Signing, values: Values) -> None:
    desk.dispositions.approve(
        values["case"], by, records=values["records"], lifts=values["lifts"], epoch=values["epoch"]
    )


def _return(desk: Desk, by: Signing, values: Values) -> None:
    desk.dispositions.return_case(values["case"], by, values["reason"])


def _tell(visit: Visit, values: Values) -> list[tuple[str, str]]:
    desk = visit.desk
    case = desk.ledger.cases.get(values["case"])
    told = [
        ("Case", case.id),
        ("Record type", desk.title_of(case.record_type)),
        ("Records", f"{values.get('records', case.records):,}"),
        ("As of", day(case.on)),
        ("Manifest", case.manifest_digest[:12]),
    ]
    if values.get("positions"):
        told.append(("Items taken out, by position", ", ".join(str(one) for one in values["positions"])))
    if values.get("until"):
        told.append(("No new case before", values["until"]))
    if values.get("lifts"):
        told.append(("Brakes that this lifts", words.listed(list(values["lifts"]))))
    if values.get("reason"):
        told.append(("Reason", values["reason"]))
    return told


def _extend(desk: Desk, by: Signing, values: Values) -> None:
    desk.dispositions.extend(values["case"], by, date.fromisoformat(values["until"]), values["reason"])


def _except(desk: Desk, by: Signing, values: Values) -> None:
    desk.dispositions.except_items(values["case"], by, values["positions"], values["reason"])


def _back(values: Values) -> str:
    return f"/cases/{values['case']}"


APPROVE = Operation(
    name="approve-case", title="Sign your approval", run=_approve, tell=_tell, done=_back
)  # fmt: skip
RETURN = Operation(
    name="return-case", title="Sign that you send it back", run=_return, tell=_tell, done=_back
)
WITHDRAW = Operation(
    name="withdraw-approval", title="Sign that you take your approval back", tell=_tell, done=_back,
    run=lambda desk, by, values: desk.dispositions.withdraw(values["case"], by),
)  # fmt: skip
EXCEPT = Operation(
    name="except-items", title="Sign that you take items out", run=_except, tell=_tell, done=_back
)
EXTEND = Operation(name="extend-case", title="Sign that you put it off", run=_extend, tell=_tell, done=_back)
CANCEL = Operation(
    name="cancel-extension", title="Sign that it is no longer put off", tell=_tell, done=_back,
    run=lambda desk, by, values: desk.dispositions.cancel_extension(values["case"], by, values["reason"]),
)  # fmt: skip
OPERATIONS = (APPROVE, RETURN, WITHDRAW, EXCEPT, EXTEND, CANCEL)
