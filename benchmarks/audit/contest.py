"""What it costs to have every action on record: Accord beside its peers, on SQLite and on PostgreSQL."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks import databases
from benchmarks.audit.contestants import BATCH, CONTESTANTS, POSTGRES, SQLITE
from benchmarks.databases import say
from benchmarks.lanes import Lane, interleave, rounds_and_units
from benchmarks.results import Result, Row, Sample, paired

SIZE: Final = 3000
BATCH_ROUNDS: Final = 15
STAGE_TIMES: Final = 200
PROOFS: Final = 40
PROOF_ROUNDS: Final = 5
SHORT_LOG: Final = 10_000
LONG_LOG: Final = 1_000_000
OURS: Final = "accord"
# Each task, and what stands before the names of its ratios. `together`: 500 saves in one transaction, which shows what
# an entry costs where no transaction is opened for it; `batch`: 500 rows by bulk_create.
COMPARED: Final[Mapping[str, str]] = {
    "create": "",
    "update": "update_",
    "read": "read_",
    "together": "together_",
    "batch": "batch_",
}
BATCHED: Final = frozenset({"together", "batch"})


def run(*, size: int, is_long: bool) -> Result:
    """Every contestant at every task it knows; `is_long`: a log of a million entries beside one of ten thousand."""
    result = Result()
    address = databases.server()
    with tempfile.TemporaryDirectory(prefix="accord-bench-") as folder:
        for vendor, server in ((SQLITE, None), (POSTGRES, address)):
            if vendor == SQLITE or server is not None:
                _contest(vendor, server, Path(folder) / vendor, size=size, result=result)
                if is_long:
                    _growth(vendor, server, Path(folder) / vendor / "growth", size=size, result=result)
    return result


def _contest(vendor: str, server: str | None, folder: Path, *, size: int, result: Result) -> None:
    names = [name for name, contestant in CONTESTANTS.items() if vendor in contestant.vendors]
    with _lanes({name: name for name in names}, server=server, folder=folder) as lanes:
        for task, prefix in COMPARED.items():
            rounds, units = rounds_and_units(size)
            if task in BATCHED:
                rounds, units = min(rounds, BATCH_ROUNDS), min(BATCH, size)
            say(f"{vendor}: {task}, {rounds} rounds of {units}")
            turns = {lane.name: (lane, task) for lane in lanes if task in lane.tasks}
            # What a contestant does in a second way stands beside the first: create_cold, batch_rows_only.
            turns |= {
                f"{lane.name}{other.removeprefix(task)}": (lane, other)
                for lane in lanes
                for other in sorted(lane.tasks)
                if other.startswith(f"{task}_")
            }
            samples = interleave(turns, rounds=rounds, units=units)
            result.rows += [Row.of(f"{vendor} {task} {name}", rounds) for name, rounds in samples.items()]
            result.ratios |= {
                f"{prefix}vs_{name}_{vendor}": paired(samples[OURS], theirs)
                for name, theirs in samples.items()
                if not name.startswith(OURS)
            }
            if "auditlog" in samples:
                # What nobody can pass who writes at least the row: how far from it a peer leaves room.
                limit = paired(samples["unaudited"], samples["auditlog"])
                result.ratios[f"{prefix}unaudited_vs_auditlog_{vendor}"] = limit
            result.ratios |= {
                f"{prefix}{name.removeprefix(f'{OURS}_')}_vs_unaudited_{vendor}": paired(own, samples["unaudited"])
                for name, own in samples.items()
                if name.startswith(f"{OURS}_")
            }
        _tree(vendor, _named(lanes, OURS), result)
        stages = _named(lanes, OURS).ask("stages", times=min(size, STAGE_TIMES))
        result.stages |= {f"{vendor} {name}": number for name, number in stages.items()}


def _tree(vendor: str, lane: Lane, result: Result, *, name: str = "the log") -> None:
    """What is done with the log behind the writers: its tree, proofs from it, and the verifier of its bundle."""
    say(f"{vendor}: sequencing {name}, proofs from it, its verification")
    sequenced = Sample(**lane.ask("sequence"))
    proofs = [lane.run("prove", PROOFS) for _ in range(PROOF_ROUNDS)]
    result.rows.append(Row.of(f"{vendor} sequence {name}", [sequenced]))
    result.rows.append(Row.of(f"{vendor} inclusion proof from {name}", proofs))
    if vendor == SQLITE:
        # Neither reads a database; once is enough.
        times = lane.ask("verify", rounds=PROOF_ROUNDS)
        result.ratios["verifier_vs_hashlib"] = round(median(bare / whole for whole, bare in times), 3)


def _growth(vendor: str, server: str | None, folder: Path, *, size: int, result: Result) -> None:
    """What one more entry costs in a long log, to what it costs in a short one."""
    lengths = {"short": SHORT_LOG, "long": LONG_LOG}
    with _lanes(dict.fromkeys(lengths, OURS), server=server, folder=folder) as lanes:
        for lane in lanes:
            say(f"{vendor}: filling a log with {lengths[lane.name]:,} entries")
            lane.ask("fill", entries=lengths[lane.name])
        rounds, units = rounds_and_units(size)
        samples = interleave({lane.name: (lane, "create") for lane in lanes}, rounds=rounds, units=units)
        _tree(vendor, _named(lanes, "long"), result, name=f"a log of {LONG_LOG:,}")
    result.rows += [Row.of(f"{vendor} create in a {name} log", rounds) for name, rounds in samples.items()]
    result.ratios[f"growth_{vendor}"] = paired(samples["short"], samples["long"])


@contextmanager
def _lanes(contestants: Mapping[str, str], *, server: str | None, folder: Path) -> Iterator[list[Lane]]:
    """A process and a database for each, by the name of its lane."""
    with ExitStack() as stack:
        lanes = []
        for name, contestant in contestants.items():
            address = stack.enter_context(
                databases.sqlite_file(folder, name) if server is None else databases.postgres_database(server, name)
            )
            folder.joinpath(name).mkdir(parents=True)
            lane = Lane(name, ["benchmarks.audit.worker", contestant, address, str(folder / name)])
            stack.callback(lane.close)
            lanes.append(lane)
        yield [lane.wait_until_ready() for lane in lanes]


def _named(lanes: Sequence[Lane], name: str) -> Lane:
    return next(lane for lane in lanes if lane.name == name)
