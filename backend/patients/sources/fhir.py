"""FHIR R4 as it comes: a folder of bulk NDJSON files, or one bundle."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import ClassVar, Final
from zoneinfo import ZoneInfo

from backend.errors import InvalidInput
from backend.patients.sources.lines import (
    Line,
    Meter,
    Unreadable,
    count_lines,
    parse_object,
    read_lines,
    read_raw_lines,
)
from backend.patients.sources.reasons import Why
from backend.patients.sources.records import OccasionRecord, PatientRecord, Problem, Record, Where
from backend.patients.sources.resources import READ_TYPES, parse_resource
from backend.patients.sources.seen import Seen

__all__ = ["FhirFolder", "IgnoredFile", "SourceFile", "SourceRefused", "parse_resource", "read_bundle", "read_folder"]

_NDJSON: Final = (".ndjson", ".jsonl")
_LEADING_LETTERS: Final = re.compile(r"[A-Za-z]+")
# Types of FHIR whose names begin with the name of a type that is read.
_OTHER_TYPES: Final = frozenset(
    {"appointmentresponse", "encounterhistory", "immunizationevaluation", "immunizationrecommendation"}
)
_BY_SMALL_NAME: Final = {name.lower(): name for name in READ_TYPES}
_METHODS: Final = frozenset({"POST", "PUT"})
# Those that say what is so now. A history says what was, a response what became of something else.
_BUNDLE_TYPES: Final = ("transaction", "batch", "collection", "searchset")
_COMPRESSED: Final = frozenset({".gz", ".zip", ".bz2", ".xz", ".zst", ".7z"})


class SourceRefused(InvalidInput):
    """There is nothing to import under the name that was given."""

    code: ClassVar[str] = "source_refused"
    sentence: ClassVar[str] = "There is nothing here that could be imported."


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """One file that is read, and the type of resource it holds by its name."""

    path: Path
    resource_type: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IgnoredFile:
    """One file that is not read: its lines where it is NDJSON of another type, or else the reason why it is not.

    `is_missed`: by its name it would have been read, so something of the export may be missing.
    """

    file: str
    resource_type: str
    lines: int | None
    why: Why | None = None
    is_missed: bool = False


class FhirFolder:
    """The files of one bulk export, in the order in which they are read: patients before all that refers to them."""

    def __init__(
        self, files: tuple[SourceFile, ...], others: tuple[Path, ...], *, region: str, zone: str, today: date | None
    ) -> None:
        self.files = files
        self.size = sum(file.size for file in files)
        self._others = others
        self._region = region
        self._zone = zone
        self._today = today
        self._meter = Meter()

    @property
    def position(self) -> int:
        """How many bytes of `size` were read so far."""
        return self._meter.position

    def ignored(self) -> tuple[IgnoredFile, ...]:
        """Every file of the folder that is not read, with its lines counted: this reads them through once."""
        return tuple(_ignored(path) for path in self._others)

    def records(self) -> Iterator[Record | Problem]:
        """Every line of every file, as a record with its problems before it, or as the one problem that refuses it.

        Of a record that is there twice the first is kept. Memory does not grow with the files.
        """
        self._meter = Meter()
        with Seen() as seen:
            for file in self.files:
                for line in read_lines(file.path, meter=self._meter):
                    yield from (line,) if isinstance(line, Problem) else self._translate(line, file.resource_type, seen)

    def _translate(self, line: Line, expected: str, seen: Seen) -> Iterator[Record | Problem]:
        record, problems = parse_resource(
            line.data, where=line.where, region=self._region, zone=self._zone, today=self._today, expected=expected
        )
        yield from _once(record, problems, seen)


def read_folder(
    folder: Path, *, region: str = "FR", zone: str = "Europe/Paris", today: date | None = None
) -> FhirFolder:
    """Look through a folder of NDJSON files; nothing is read until `records()` is asked for.

    A file is known by its name (`Patient.ndjson`, `patient_file_1.ndjson`), or else by the type that its first line
    names. Folders inside are not entered; they are among the ignored. For `region`, `zone` and `today` see
    `parse_resource`. Raises `SourceRefused` when there is no such folder, or nothing in it that is read.
    """
    ZoneInfo(zone)
    try:
        paths = sorted(folder.iterdir())
        typed = [(path, _type_of_file(path)) for path in paths]
        files = [
            SourceFile(path=path, resource_type=kind, size=path.stat().st_size)
            for path, kind in typed
            if kind in READ_TYPES
        ]
    except OSError:
        raise SourceRefused("The folder can not be read.", field="folder", reason=Why.FILE_UNREADABLE) from None
    if not files:
        if any(_ignored(path).why is Why.FILE_COMPRESSED for path in paths):
            raise SourceRefused(
                "The folder holds compressed files only: unpack them first.",
                field="folder",
                reason=Why.FILE_COMPRESSED,
            )
        raise SourceRefused("The folder holds no file that is imported.", field="folder", reason=Why.MISSING)
    files.sort(key=lambda file: READ_TYPES.index(file.resource_type))
    others = tuple(path for path, kind in typed if kind not in READ_TYPES)
    return FhirFolder(tuple(files), others, region=region, zone=zone, today=today)


def read_bundle(
    bundle: Mapping[str, object], *, region: str = "FR", zone: str = "Europe/Paris", today: date | None = None
) -> Iterator[Record | Problem]:
    """Every entry of a FHIR bundle, patients first, as records and problems; `line` is the number of the entry.

    References by `fullUrl` lead to the entry they name; an entry without an id has the UUID of its `fullUrl` for one.
    """
    entries = bundle.get("entry", [])
    if bundle.get("resourceType") != "Bundle":
        yield _bundle_problem(0, "resourceType", Why.WRONG_RESOURCE_TYPE)
    elif bundle.get("type") is None:
        yield _bundle_problem(0, "type", Why.MISSING)
    elif bundle["type"] not in _BUNDLE_TYPES:
        yield _bundle_problem(0, "type", Why.BUNDLE_TYPE_NOT_READ)
    elif not isinstance(entries, list):
        yield _bundle_problem(0, "entry", Why.WRONG_TYPE)
    else:
        yield from _read_entries(entries, region=region, zone=zone, today=today)


def _read_entries(entries: list[object], *, region: str, zone: str, today: date | None) -> Iterator[Record | Problem]:
    resources: list[tuple[int, Mapping[str, object]]] = []
    targets: dict[str, tuple[str, str]] = {}
    for number, entry in enumerate(entries, start=1):
        resource = _resource_of(entry, number)
        if isinstance(resource, Problem):
            yield resource
            continue
        resources.append((number, resource))
        address = entry.get("fullUrl") if isinstance(entry, Mapping) else None
        kind, source_id = resource.get("resourceType"), resource.get("id")
        if isinstance(address, str) and isinstance(kind, str) and isinstance(source_id, str):
            targets[address] = (kind, source_id)
    resources.sort(key=lambda each: _reading_order(each[1]))
    with Seen() as seen:
        for number, resource in resources:
            record, problems = parse_resource(
                resource, where=_entry(number), region=region, zone=zone, today=today, targets=targets
            )
            yield from _once(record, problems, seen)


def _resource_of(entry: object, number: int) -> Mapping[str, object] | Problem:
    if not isinstance(entry, Mapping):
        return _bundle_problem(number, "entry", Why.WRONG_TYPE)
    request = entry.get("request")
    if isinstance(request, Mapping) and request.get("method") not in _METHODS:
        return _bundle_problem(number, "request.method", Why.METHOD_NOT_READ)
    resource = entry.get("resource")
    if resource is None:
        return _bundle_problem(number, "resource", Why.MISSING)
    if not isinstance(resource, Mapping):
        return _bundle_problem(number, "resource", Why.WRONG_TYPE)
    address = entry.get("fullUrl")
    if "id" not in resource and isinstance(address, str) and address.startswith("urn:uuid:"):
        return {**resource, "id": address.removeprefix("urn:uuid:")}
    return resource


def _reading_order(resource: Mapping[str, object]) -> int:
    kind = resource.get("resourceType")
    return READ_TYPES.index(kind) if kind in READ_TYPES else len(READ_TYPES)


def _entry(number: int) -> Where:
    return Where(file="bundle", line=number)


def _bundle_problem(number: int, field: str, why: Why) -> Problem:
    return Problem(where=_entry(number), field=field, reason=why, kind="refused")


def _once(record: Record | None, problems: tuple[Problem, ...], seen: Seen) -> Iterator[Record | Problem]:
    """The record and its problems, or the refusal of a record that was there before."""
    if record is None:
        yield from problems
        return
    marks = _marks(record)
    known = seen.first_known([mark for _, mark in marks])
    if known is not None:
        yield Problem(where=record.where, field=marks[known][0], reason=Why.RECORD_TWICE, kind="refused")
        return
    seen.add([mark for _, mark in marks])
    yield from problems
    yield record


def _marks(record: Record) -> list[tuple[str, tuple[str, ...]]]:
    """By what a record is recognised as one that was there before, each with the field it stands in.

    A patient is one person per identifier. Of anything else an identifier may be shared (a mother of two is two related
    persons), so it only counts where there is no id.
    """
    kind = record.kind if isinstance(record, OccasionRecord) else type(record).__name__
    marks: list[tuple[str, tuple[str, ...]]] = []
    if record.source_id is not None:
        marks.append(("id", (kind, "id", record.source_id)))
    if isinstance(record, PatientRecord):
        marks.extend(("identifier", (kind, "identifier", each.system, each.value)) for each in record.identifiers)
    elif not marks:
        about = record.patient.identifier
        patient = (about.system, about.value) if about is not None else (record.patient.source_id or "",)
        marks.extend(
            ("identifier", (kind, "identifier", each.system, each.value, *patient)) for each in record.identifiers
        )
    return marks


def _type_of_file(path: Path) -> str:
    """The type of resource in a file; empty when it is no NDJSON file."""
    if path.suffix.lower() not in _NDJSON or not path.is_file():
        return ""
    letters = _LEADING_LETTERS.match(path.name.removesuffix(path.suffix))
    name = letters[0] if letters else ""
    small = name.lower()
    if small in _BY_SMALL_NAME:
        return _BY_SMALL_NAME[small]
    if small in _OTHER_TYPES:
        return name
    begun = next((kind for begin, kind in _BY_SMALL_NAME.items() if small.startswith(begin)), None)
    return begun or _type_of_first_line(path) or name


def _type_of_first_line(path: Path) -> str:
    first = next(iter(read_raw_lines(path)), None)
    if first is None or isinstance(first, Problem):
        return ""
    try:
        kind = parse_object(first.content).get("resourceType")
    except Unreadable:
        return ""
    return kind if kind in READ_TYPES and isinstance(kind, str) else ""


def _ignored(path: Path) -> IgnoredFile:
    kind, why = _type_of_file(path), _why_not_lines(path)
    plain = path.stem if path.suffix.lower() in _COMPRESSED else path.name
    return IgnoredFile(
        file=path.name,
        resource_type=kind,
        lines=count_lines(path) if why is None else None,
        why=why,
        is_missed=why is not None and plain.lower().endswith(_NDJSON),
    )


def _why_not_lines(path: Path) -> Why | None:
    """Why a file can not be read line by line; None when it can."""
    if not path.is_file():
        return Why.FILE_NOT_REGULAR
    if path.suffix.lower() in _COMPRESSED:
        return Why.FILE_COMPRESSED
    if path.suffix.lower() not in _NDJSON:
        return Why.FILE_NOT_NDJSON
    try:
        path.open("rb").close()
    except OSError:
        return Why.FILE_UNREADABLE
    return None
