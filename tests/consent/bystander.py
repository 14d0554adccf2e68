"""What a bystander remembers of what was said: promise 1 once more, without any of the product's words or states."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
START = datetime(2026, 10, 14, 8, 0, tzinfo=UTC)
PARIS = ZoneInfo("Europe/Paris")
BORN = date(2012, 2, 28)
OTHER_BIRTH_DATES = (
    BORN,
    date(1980, 5, 17),
    date(2008, 2, 29),
    date(2009, 2, 28),
    date(2010, 6, 1),
    date(2013, 7, 1),
    date(2020, 1, 1),
)
"""What a file may say instead: an adult, a minor who decides alone, a younger or an older child."""


def birthday(born: date, years: int) -> datetime:
    """Midnight in Paris on a birthday of the one it is about; in a year without a 29 February, on 1 March."""
    leap_day = (born.month, born.day) == (2, 29) and (born.year + years) % 4 > 0
    day = date(born.year + years, 3, 1) if leap_day else born.replace(year=born.year + years)
    return datetime.combine(day, time(0), tzinfo=PARIS).astimezone(UTC)


FIFTEEN = birthday(BORN, 15)
OF_AGE = birthday(BORN, 18)


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
    born: date = BORN

    @property
    def fifteen(self) -> datetime:
        """From when on the patient decides alone."""
        return birthday(self.born, 15)

    @property
    def of_age(self) -> datetime:
        """From when on no parent's word counts."""
        return birthday(self.born, 18)

    def hear_yes(self, stream: object, *, by_patient: bool, by_parent: bool, at: datetime, version: int) -> None:
        """Before fifteen it takes both, to the same words; whoever says it again begins anew."""
        said = self.said[stream]
        if not said.waits or said.yes_to_version != version:
            said = self.said[stream] = Said(yes_to_version=version)
        if by_patient:
            said.patient_yes = at
        if by_parent:
            said.parent_yes = at
        if said.patient_yes is not None and (said.parent_yes is not None or at >= self.fifteen):
            said.complete = at

    def hear_no(self, stream: object) -> None:
        """A no, a withdrawal, an objection, or an end: every yes is gone."""
        self.said[stream] = Said()

    def hear_birth_date(self, born: date) -> None:
        """They were born on another day than everybody thought: who was under fifteen said it alone, in vain."""
        self.born = born
        for stream, said in self.said.items():
            if said.complete is not None and said.complete < self.fifteen and said.parent_yes is None:
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
        # Who was of age when it was said needed no parent: what they said is their own.
        with_parent = said.parent_yes is not None and said.complete < self.of_age
        return not (with_parent and at >= self.of_age)

    def edges(self) -> set[datetime]:
        """When the answer changes although nobody says anything."""
        yeses = [said.complete for said in self.said.values() if said.complete is not None]
        begins = [at for _version, at in self.material]
        return {self.fifteen, self.of_age, *begins, *(three_years_after(one) for one in yeses)}
