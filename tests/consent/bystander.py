"""What a bystander remembers of what was said: promise 1 once more, without any of the product's words or states."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
START = datetime(2026, 10, 14, 8, 0, tzinfo=UTC)
BORN = date(2012, 2, 28)
FIFTEEN = datetime(2027, 2, 27, 23, 0, tzinfo=UTC)
OF_AGE = datetime(2030, 2, 27, 23, 0, tzinfo=UTC)
"""Midnight in Paris on the fifteenth and on the eighteenth birthday of the one it is about."""


def three_years_after(at: datetime) -> datetime:
    """Until when a yes holds: on 29 February, until the 28th."""
    return at.replace(year=at.year + 3, day=28 if (at.month, at.day) == (2, 29) else at.day)


@dataclass
class Said:
    """The last word of the patient and of the parent on one purpose and one channel."""

    patient_yes: datetime | None = None
    parent_yes: datetime | None = None
    yes_to_version: int = 0
    complete: datetime | None = None
    with_parent: bool = False

    @property
    def waits(self) -> bool:
        """One of the two said yes, and it takes both."""
        return self.complete is None and (self.patient_yes is not None or self.parent_yes is not None)


@dataclass
class Bystander:
    """Heard everything that was said about one patient, stream by stream (a purpose on a channel)."""

    said: defaultdict[object, Said] = field(default_factory=lambda: defaultdict(Said))
    objected: set[object] = field(default_factory=set)
    material: list[tuple[int, datetime]] = field(default_factory=list)
    restricted: bool = False
    deceased: bool = False
    erased: bool = False

    def hear_yes(self, stream: object, *, by_patient: bool, by_parent: bool, at: datetime, version: int) -> None:
        """Before fifteen it takes both, to the same words; whoever says it again begins anew."""
        said = self.said[stream]
        if not said.waits or said.yes_to_version != version:
            said = self.said[stream] = Said(yes_to_version=version)
        if by_patient:
            said.patient_yes = at
        if by_parent:
            said.parent_yes = at
        if said.patient_yes is not None and (said.parent_yes is not None or at >= FIFTEEN):
            said.complete = at
            said.with_parent = said.parent_yes is not None and at < OF_AGE

    def hear_no(self, stream: object) -> None:
        """A no, a withdrawal, an objection, or an end: every yes is gone."""
        self.said[stream] = Said()

    def may_be_sent(self, stream: object, at: datetime) -> bool:
        """Did somebody say yes who may, to these words, not too long ago, and nothing stands against it?"""
        said = self.said[stream]
        if self.erased or self.deceased or self.restricted or stream in self.objected or said.complete is None:
            return False
        if not said.complete <= at < three_years_after(said.complete):
            return False
        if any(version > said.yes_to_version and begins <= at for version, begins in self.material):
            return False
        return not (said.with_parent and at >= OF_AGE)

    def edges(self) -> set[datetime]:
        """When the answer changes although nobody says anything."""
        yeses = [said.complete for said in self.said.values() if said.complete is not None]
        begins = [at for _version, at in self.material]
        return {FIFTEEN, OF_AGE, *begins, *(three_years_after(one) for one in yeses)}
