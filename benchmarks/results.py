"""What a benchmark measured, and how it is shown."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One round of one contestant: how much was done, in how much time, with how much of the processor and memory."""

    units: int
    seconds: float
    cpu_seconds: float
    peak_mib: float

    @property
    def rate(self) -> float:
        """Units per second, by the clock on the wall."""
        return self.units / self.seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One contestant at one task: medians over its rounds; of the memory, the most of any round."""

    name: str
    units_per_s: float
    cpu_us_per_unit: float
    peak_mib: float

    @classmethod
    def of(cls, name: str, samples: Sequence[Sample]) -> "Row":
        """Sum the rounds of one contestant up."""
        return cls(
            name=name,
            units_per_s=round(median(sample.rate for sample in samples), 1),
            cpu_us_per_unit=round(median(sample.cpu_seconds / sample.units for sample in samples) * 1e6, 1),
            peak_mib=round(max(sample.peak_mib for sample in samples), 1),
        )


@dataclass(slots=True)
class Result:
    """Everything one benchmark has to say. A ratio that was not measured is absent."""

    rows: list[Row] = field(default_factory=list)
    ratios: dict[str, float] = field(default_factory=dict)
    stages: dict[str, float] = field(default_factory=dict)

    def json(self) -> str:
        """For programs."""
        rows = [
            {
                "name": row.name,
                "units_per_s": row.units_per_s,
                "cpu_us_per_unit": row.cpu_us_per_unit,
                "peak_mib": row.peak_mib,
            }
            for row in self.rows
        ]
        return json.dumps({"rows": rows, "ratios": self.ratios, "stages": self.stages}, indent=2)

    def table(self) -> str:
        """For people."""
        width = max([len(row.name) for row in self.rows] + [len(name) for name in (*self.ratios, *self.stages)] + [20])
        lines = [f"{'':{width}}  {'per second':>12}  {'CPU us each':>12}  {'peak MiB':>9}"]
        lines += [
            f"{row.name:{width}}  {row.units_per_s:12,.0f}  {row.cpu_us_per_unit:12,.1f}  {row.peak_mib:9,.0f}"
            for row in self.rows
        ]
        lines += _section("ratios", self.ratios, width, digits=2) + _section("stages, CPU us", self.stages, width)
        return "\n".join(lines)


def paired(ours: Sequence[Sample], theirs: Sequence[Sample]) -> float:
    """Our rate to theirs, round by round, and of these the median: a busy moment slows both of a pair alike."""
    return round(median(mine.rate / other.rate for mine, other in zip(ours, theirs, strict=True)), 3)


def _section(title: str, numbers: Mapping[str, float], width: int, digits: int = 1) -> list[str]:
    if not numbers:
        return []
    return ["", title, *(f"{name:{width}}  {number:12,.{digits}f}" for name, number in numbers.items())]
