"""Surveying a sealed location by its key store: cohorts that go whole, objects that were withdrawn, and what holds keep.

Counts objects, writes a line per key. Reads no ciphertext and needs no key.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date

from retention.decide import Criteria, Due, Keep, KeepReason, decide
from retention.holds import Hold
from storage.contract import Survey
from storage.keys.keystore import KeyStore, Writing
from storage.keys.values import Cohort, SealedObject
from storage.sealed.deciding import cohort_record, is_early, local_day, not_looked, object_record
from storage.sealed.lines import CohortLine, Line, ObjectLine, write_line

_TOLD_EVERY = 1000


class Count:
    """A survey as it grows."""

    def __init__(
        self, criteria: Criteria, write: Callable[[bytes], object], progress: Callable[[int], None]
    ) -> None:
        self.survey = Survey(location=criteria.location.name)
        self._criteria = criteria
        self._write = write
        self._progress = progress
        self._told = 0

    def cohort(self, cohort: Cohort, decision: Due | Keep, objects: int) -> None:
        triggers = (
            local_day(cohort.trigger_first, self._criteria),
            local_day(cohort.trigger_last, self._criteria),
        )
        line = CohortLine(cohort.id, cohort.last_seq, cohort.objects)
        if self._goes(decision, line, objects, triggers):
            self.survey.volume += cohort.size
            self.survey.seconds += cohort.seconds

    def object(self, item: SealedObject, decision: Due | Keep) -> None:
        day = local_day(item.trigger, self._criteria)
        if self._goes(decision, ObjectLine(item.id), 1, (day, day)):
            self.survey.volume += item.size
            self.survey.seconds += item.seconds
            self.survey.withdrawn += is_early(item, self._criteria)

    def done(self) -> Survey:
        self._progress(self.survey.population)
        return self.survey

    def _goes(self, decision: Due | Keep, line: Line, objects: int, triggers: tuple[date, date]) -> bool:
        survey = self.survey
        survey.population += objects
        if survey.population - self._told >= _TOLD_EVERY:
            self._told = survey.population
            self._progress(survey.population)
        if isinstance(decision, Keep):
            survey.kept[decision.primary] += objects
            if decision.primary is KeepReason.HELD:
                survey.note_held(*triggers)
            return False
        self._write(write_line(line))
        survey.due += 1
        survey.together += objects
        survey.past_maximum += decision.days_past_maximum(self._criteria.on) > 0
        survey.note_due(*triggers)
        first, last = triggers
        # Branches are sealed with the objects, and of a cohort only the first and the last trigger are known.
        survey.spread[None, first.year if first.year == last.year else None] += objects
        return True


def survey(
    keys: KeyStore, writing: Writing, criteria: Criteria, holds: Sequence[Hold], count: Count
) -> Survey:
    """Raises `KeyStoreUnavailable`. ``writing`` is left as it was: it is asked how far each hold has looked."""
    record_type, location = criteria.record_type.id, criteria.location.name
    alone = {item.id: item for item in keys.withdrawn(record_type, location)}
    alone |= {item.id: item for item in keys.held(record_type, location)}
    for cohort in keys.cohorts(record_type, location):
        kept_by = not_looked(holds, criteria, cohort.last_seq, writing.looked_at)
        decision = decide(cohort_record(cohort, kept_by), criteria, holds)
        withdrawn = [item for item in alone.values() if item.cohort == cohort.id]
        if isinstance(decision, Due):
            for item in withdrawn:
                del alone[item.id]  # it goes with the others
            withdrawn = []
        count.cohort(cohort, decision, cohort.objects - len(withdrawn))
    for item in alone.values():
        kept_by = not_looked(holds, criteria, item.seq, writing.looked_at)
        decision = decide(object_record(item, kept_by), criteria, holds)
        if isinstance(decision, Due) and item.holds:
            # Its hold is no longer in force, and it was not let go of yet: it stays until the push-down has come by.
            decision = Keep(reasons=(KeepReason.NOT_ELIGIBLE,))
        count.object(item, decision)
    return count.done()
