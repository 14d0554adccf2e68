"""Patients and their appointments from one CSV file, as a spreadsheet or practice software writes it."""

import csv
import re
import unicodedata
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Final, Literal, TypeVar
from zoneinfo import ZoneInfo

from backend.patients.sources.elements import NAME_LIMIT, TEXT_LIMIT, Refused, clean_text
from backend.patients.sources.lines import Meter, RawLine, Unreadable, read_raw_lines
from backend.patients.sources.moments import read_clinic_days, read_clinic_moment
from backend.patients.sources.reasons import Why
from backend.patients.sources.records import (
    Identifier,
    OccasionRecord,
    OccasionStatus,
    PatientRecord,
    Problem,
    Record,
    Reference,
    Telecom,
    Where,
)
from backend.patients.sources.seen import Seen
from backend.patients.sources.telecoms import keep_once, read_contact, region_of
from backend.policy.vocabulary import Language

__all__ = ["COLUMNS", "MANDATORY", "CsvFile", "read_csv"]

# Under the names that people write: small letters, no accents, each run of anything else an underscore.
COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "identifier": ("identifier", "ipp", "identifiant", "numero_patient", "patient_id", "mrn"),
    "family_name": ("family_name", "nom", "nom_de_famille", "nom_usuel", "last_name", "surname"),
    "given_names": ("given_names", "given_name", "prenom", "prenoms", "first_name"),
    "birth_date": ("birth_date", "date_naissance", "date_de_naissance", "ne_le", "date_of_birth", "dob"),
    "gender": ("gender", "sexe", "sex", "genre"),
    "mobile": ("mobile", "portable", "telephone_mobile", "telephone_portable", "mobile_phone", "gsm"),
    "phone": ("phone", "telephone", "tel", "fixe", "telephone_fixe", "landline"),
    "email": ("email", "e_mail", "mail", "courriel", "adresse_email", "adresse_electronique", "email_address"),
    "language": ("language", "langue"),
    "address": ("address", "adresse", "adresse_1", "rue", "street"),
    "address_2": ("address_2", "adresse_2", "complement", "complement_adresse"),
    "postal_code": ("postal_code", "code_postal", "cp", "postcode", "zip"),
    "city": ("city", "ville", "commune", "town"),
    "country": ("country", "pays"),
    "deceased": ("deceased", "decede", "deces"),
    "deceased_on": ("deceased_on", "date_deces", "date_de_deces", "decede_le", "date_of_death"),
    "active": ("active", "actif"),
    "appointment_at": ("appointment_at", "rendez_vous", "rdv", "date_rendez_vous", "date_rdv", "appointment"),
    "appointment_time": ("appointment_time", "heure_rendez_vous", "heure_rdv"),
    "appointment_end": ("appointment_end", "fin_rendez_vous", "fin_rdv"),
    "appointment_id": ("appointment_id", "numero_rendez_vous", "id_rendez_vous", "id_rdv"),
    "appointment_status": ("appointment_status", "statut_rendez_vous", "statut_rdv", "etat_rendez_vous"),
    "appointment_place": ("appointment_place", "lieu_rendez_vous", "lieu_rdv", "lieu", "place"),
    "appointment_with": ("appointment_with", "praticien", "medecin", "practitioner", "doctor"),
    "appointment_label": ("appointment_label", "motif_rendez_vous", "type_rendez_vous", "appointment_type"),
}
MANDATORY: Final = ("identifier", "family_name")

_Known = TypeVar("_Known")

_BY_HEADER: Final = {name: column for column, names in COLUMNS.items() for name in names}
_DELIMITERS: Final = (";", ",", "\t")
_MOST_COLUMNS: Final = 200
_MOST_GIVEN_NAMES: Final = 20
# A cell may hold line breaks, an address does; beyond these it is a quote that was never closed.
_MOST_LINES_OF_A_ROW: Final = 20

YES: Final = frozenset({"oui", "o", "yes", "y", "true", "vrai", "1", "x"})
NO: Final = frozenset({"non", "n", "no", "false", "faux", "0"})
_DEAD: Final = YES | {"decede", "decedee", "deceased", "dead"}
_ALIVE: Final = NO | {"vivant", "vivante", "alive"}
GENDERS: Final = {
    **dict.fromkeys(("m", "h", "male", "homme", "masculin", "man", "1"), "male"),
    **dict.fromkeys(("f", "female", "femme", "feminin", "woman", "2"), "female"),
    **dict.fromkeys(("autre", "other", "x"), "other"),
    **dict.fromkeys(("inconnu", "unknown", "u"), "unknown"),
}
LANGUAGES: Final = {
    **dict.fromkeys(("fr", "fra", "fre", "francais", "french"), Language.FRENCH),
    **dict.fromkeys(("en", "eng", "anglais", "english"), Language.ENGLISH),
}
STATUSES: Final[Mapping[str, OccasionStatus]] = {
    **dict.fromkeys(("booked", "confirmed", "prevu", "confirme", "reserve", "planifie"), "booked"),
    **dict.fromkeys(("pending", "proposed", "en_attente", "propose"), "pending"),
    **dict.fromkeys(("cancelled", "canceled", "annule"), "cancelled"),
    **dict.fromkeys(("fulfilled", "done", "honore", "venu", "termine"), "fulfilled"),
    **dict.fromkeys(("missed", "noshow", "no_show", "absent", "non_venu", "non_honore", "manque"), "missed"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    """The columns that are read, by place, under the name that the file gives them."""

    delimiter: str
    names: tuple[str, ...]
    columns: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class _TextLine:
    """One line as text. `bad` says why it could not be read as text."""

    where: Where
    text: str
    bad: Why | None


@dataclass(slots=True, kw_only=True, repr=False)
class _Row:
    """One row: its cells by column, and what was unusable so far."""

    where: Where
    header: _Header
    cells: list[str]
    problems: list[Problem] = field(default_factory=list)

    def name(self, column: str) -> str:
        """The column as the file names it; our own name when the file has none."""
        place = self.header.columns.get(column)
        return column if place is None else self.header.names[place]

    def text(self, column: str, *, limit: int = NAME_LIMIT) -> str:
        place = self.header.columns.get(column)
        return "" if place is None else clean_text(self.cells[place], field=self.name(column), limit=limit)

    def word(self, column: str) -> str:
        """A cell as one of a few words: without capitals and accents."""
        return _plain(self.text(column))

    def unusable(self, column: str, why: Why) -> None:
        self.problems.append(Problem(where=self.where, field=self.name(column), reason=why, kind="unusable"))


class CsvFile:
    """One CSV file, read row by row."""

    def __init__(self, path: Path, *, region: str, zone: str, system: str, today: date | None) -> None:
        self._path = path
        self._region = region
        self._zone = ZoneInfo(zone)
        self._system = system
        self._today = today
        self._meter = Meter()

    @property
    def size(self) -> int:
        """How many bytes there are to read; 0 when there is no such file."""
        try:
            return self._path.stat().st_size
        except OSError:
            return 0

    @property
    def position(self) -> int:
        """How many bytes of `size` were read so far."""
        return self._meter.position

    def __iter__(self) -> Iterator[Record | Problem]:
        return self.records()

    def records(self) -> Iterator[Record | Problem]:
        """Every row: the patient, then the appointment if there is one, each after its problems; or what refuses it.

        A patient who is there twice is refused the second time, unless the row says the same of them and brings another
        appointment. Memory does not grow with the file.
        """
        encoding, notice = self._encoding()
        if notice is not None:
            yield notice
        if encoding is None:
            return
        self._meter = Meter()
        lines = _Lines(_decoded(self._path, encoding, self._meter))
        first = lines.take()
        if isinstance(first, Problem):
            yield first
            return
        number = 1 if first is None else first.where.line
        try:
            header = _header_of(first)
        except Unreadable as error:
            yield self._problem(number, error.field, error.why)
            return
        for place, name in enumerate(header.names):
            if place not in header.columns.values():
                yield self._problem(number, name or f"#{place + 1}", Why.COLUMN_UNKNOWN, kind="unusable")
        with Seen() as seen:
            for row in _rows(lines, header):
                yield from (row,) if isinstance(row, Problem) else self._translate(row, seen)

    def _problem(self, line: int, name: str, why: Why, *, kind: Literal["refused", "unusable"] = "refused") -> Problem:
        return Problem(where=Where(file=self._path.name, line=line), field=name, reason=why, kind=kind)

    def _encoding(self) -> tuple[str | None, Problem | None]:
        """UTF-8, unless more lines contradict it than confirm it; and what is to be said of that."""
        confirming = contradicting = 0
        for raw in read_raw_lines(self._path):
            if isinstance(raw, Problem):
                if raw.reason == Why.FILE_UNREADABLE:
                    return None, raw
                if raw.reason == Why.NUL_BYTE and raw.where.line == 1:
                    return None, self._problem(1, "", Why.ENCODING_NOT_SUPPORTED)
                continue
            if not raw.content.isascii():
                utf8 = _is_utf8(raw.content)
                confirming += utf8
                contradicting += not utf8
        if contradicting > confirming:
            return "cp1252", self._problem(1, "", Why.ENCODING_CP1252, kind="unusable")
        return "utf-8", None

    def _translate(self, row: _Row, seen: Seen) -> Iterator[Record | Problem]:
        try:
            patient = self._patient(row)
        except Refused as error:
            yield Problem(where=row.where, field=error.field, reason=error.why, kind="refused")
            return
        mark = ("patient", patient.identifiers[0].value)
        content = seen.hash_of([row.text(column, limit=len(row.cells[place])) for column, place in _of_patient(row)])
        before = seen.content_of(mark)
        if before is None:
            seen.add([mark], content)
            occasion = self._occasion(row, seen)
            yield from row.problems
            yield patient
        else:
            # What is unusable in the patient was reported with the first row that said the same.
            row.problems.clear()
            occasion = self._occasion(row, seen) if before == content else None
            if occasion is None:
                name, why = row.name("identifier"), str(Why.RECORD_TWICE)
                if row.problems:
                    name, why = row.problems[0].field, row.problems[0].reason
                yield Problem(where=row.where, field=name, reason=why, kind="refused")
                return
            yield from row.problems
        if occasion is not None:
            yield occasion

    def _patient(self, row: _Row) -> PatientRecord:
        number = row.text("identifier")
        if not number:
            raise Refused(Why.NO_IDENTIFIER, row.name("identifier"))
        family_name = row.text("family_name")
        if not family_name:
            row.unusable("family_name", Why.NAME_MISSING)
        given_names = tuple(
            name.strip() for name in row.text("given_names", limit=TEXT_LIMIT).split(",") if name.strip()
        )
        if len(given_names) > _MOST_GIVEN_NAMES:
            raise Refused(Why.TOO_MANY, row.name("given_names"))
        deceased, deceased_at = _death(row)
        country = row.text("country")
        lines = (row.text("address", limit=TEXT_LIMIT), row.text("address_2", limit=TEXT_LIMIT))
        return PatientRecord(
            where=row.where,
            source_id=None,
            identifiers=(Identifier(system=self._system, value=number),),
            family_name=family_name,
            given_names=given_names,
            birth_date=self._birth_date(row),
            deceased=deceased,
            deceased_at=deceased_at,
            gender=_one_of(row, "gender", GENDERS, otherwise=Why.CODE_NOT_UNDERSTOOD),
            language=_one_of(row, "language", LANGUAGES, otherwise=Why.LANGUAGE_NOT_AVAILABLE),
            telecoms=_telecoms(row, region_of(country, default=self._region)),
            address_lines=tuple(line for line in lines if line),
            postal_code=row.text("postal_code"),
            city=row.text("city"),
            country=country,
            active=_is_active(row),
        )

    def _birth_date(self, row: _Row) -> date | None:
        """The day of birth. One that can not be used is reported, and does not cost the patient."""
        try:
            text = row.text("birth_date")
            if not text:
                return None
            first, last = read_clinic_days(text)
        except (Unreadable, Refused) as error:
            row.unusable("birth_date", error.why)
            return None
        why = Why.DATE_INCOMPLETE if first != last else None
        if self._today is not None and first > self._today:
            why = Why.DATE_IN_FUTURE
        if why is not None:
            row.unusable("birth_date", why)
            return None
        return first

    def _occasion(self, row: _Row, seen: Seen) -> OccasionRecord | None:
        """The appointment of a row. One that can not be read is reported, and does not cost the patient."""
        day = row.text("appointment_at")
        if not day:
            return None
        column = "appointment_at"
        try:
            starts_at = read_clinic_moment(f"{day} {row.text('appointment_time')}".strip(), self._zone)
            column = "appointment_end"
            end = row.text(column)
            ends_at = read_clinic_moment(end, self._zone) if end else None
            column = "appointment_status"
            status = STATUSES.get(_plain(row.text(column)) or "booked")
            if status is None:
                raise Unreadable(Why.CODE_NOT_UNDERSTOOD)  # noqa: TRY301 - one report for all of these, below.
            texts = {name: row.text(name, limit=TEXT_LIMIT) for name in _APPOINTMENT_TEXTS}
        except Unreadable as error:
            row.unusable(column, error.why)
            return None
        except Refused as error:
            row.problems.append(Problem(where=row.where, field=error.field, reason=error.why, kind="unusable"))
            return None
        if ends_at is not None and ends_at < starts_at:
            row.unusable("appointment_end", Why.END_BEFORE_START)
            ends_at = None
        number = row.text("identifier")
        # Without a number of its own, an appointment is known by its patient and its time: moved, it is another one.
        key = texts["appointment_id"] or f"{number} {starts_at.isoformat()}"
        if seen.content_of(("appointment", key)) is not None:
            row.unusable("appointment_id" if texts["appointment_id"] else "appointment_at", Why.RECORD_TWICE)
            return None
        seen.add([("appointment", key)])
        return OccasionRecord(
            where=row.where,
            source_id=None,
            identifiers=(Identifier(system=f"{self._system}:appointment", value=key),),
            patient=Reference(identifier=Identifier(system=self._system, value=number), source_id=None),
            kind="appointment",
            topic="",
            status=status,
            starts_at=starts_at,
            ends_at=ends_at,
            place=texts["appointment_place"],
            practitioner=texts["appointment_with"],
            label=texts["appointment_label"],
        )


_APPOINTMENT_TEXTS: Final = ("appointment_id", "appointment_place", "appointment_with", "appointment_label")


def read_csv(
    path: Path,
    *,
    region: str = "FR",
    zone: str = "Europe/Paris",
    system: str = "urn:accord:ipp",
    today: date | None = None,
) -> CsvFile:
    """Look at a CSV file; nothing is read until `records()` is asked for, or the file is iterated over.

    The first line names the columns, in French or English (`COLUMNS`), in any order, separated by semicolons, commas or
    tabs. `region` is the country whose telephone numbers need no country code where a row names none. `zone` is the
    clinic's, for the times of appointments. `system` says who gave the patients' identifiers. With `today`, a date of
    birth after it is refused.
    """
    return CsvFile(path, region=region, zone=zone, system=system, today=today)


# ---- Lines and rows


class _Lines:
    """Lines with the possibility to put some back."""

    def __init__(self, lines: Iterator[_TextLine | Problem]) -> None:
        self._lines = lines
        self._returned: deque[_TextLine | Problem] = deque()

    def take(self) -> _TextLine | Problem | None:
        return self._returned.popleft() if self._returned else next(self._lines, None)

    def put_back(self, lines: list[_TextLine | Problem]) -> None:
        self._returned.extendleft(reversed(lines))


def _decoded(path: Path, encoding: str, meter: Meter) -> Iterator[_TextLine | Problem]:
    for raw in read_raw_lines(path, meter=meter):
        yield raw if isinstance(raw, Problem) else _as_text(raw, encoding)


def _as_text(raw: RawLine, encoding: str) -> _TextLine:
    try:
        return _TextLine(where=raw.where, text=raw.content.decode(encoding), bad=None)
    except UnicodeDecodeError:
        why = Why.BAD_UTF8 if encoding == "utf-8" else Why.BAD_CHARACTER
        return _TextLine(where=raw.where, text="", bad=why)


def _rows(lines: _Lines, header: _Header) -> Iterator[_Row | Problem]:
    """Every row, or the problem that refuses its first line; the lines after that one are then rows of their own."""
    while (first := lines.take()) is not None:
        if isinstance(first, Problem):
            yield first
            continue
        block = [first]
        cells = _split(block, header)
        while cells is Why.QUOTES_NOT_UNDERSTOOD and len(block) < _MOST_LINES_OF_A_ROW:
            further = lines.take()
            if further is None:
                break
            if isinstance(further, Problem) or further.bad is not None:
                lines.put_back([further])
                break
            block.append(further)
            cells = _split(block, header)
        if isinstance(cells, Why):
            # A quote that is never closed must not swallow the rows below it.
            lines.put_back(list(block[1:]))
            yield Problem(where=first.where, field="", reason=cells, kind="refused")
        elif any(cell.strip() for cell in cells):
            # Spreadsheets end in rows of separators only; there is nothing in them to lose.
            yield _Row(where=first.where, header=header, cells=cells)


def _split(block: list[_TextLine], header: _Header) -> list[str] | Why:
    bad = block[0].bad
    if bad is not None:
        return bad
    text = "\n".join(line.text for line in block)
    if max(len(line.text) for line in block) > csv.field_size_limit():
        return Why.TOO_LONG
    try:
        rows = list(csv.reader([line + "\n" for line in text.split("\n")], delimiter=header.delimiter, strict=True))
    except csv.Error:
        return Why.BAD_CHARACTER if "\r" in text else Why.QUOTES_NOT_UNDERSTOOD
    if len(rows) != 1 or len(rows[0]) != len(header.names):
        return Why.CELL_COUNT
    return rows[0]


def _header_of(line: _TextLine | None) -> _Header:
    """What the first line says, with the separator that makes most sense of it. Raises `Unreadable` for the file."""
    if line is None:
        raise Unreadable(Why.HEADER_MISSING)
    if line.bad is not None:
        raise Unreadable(line.bad)
    best = max((_read_header(line.text, delimiter) for delimiter in _DELIMITERS), key=lambda each: len(each.columns))
    if not best.columns:
        raise Unreadable(Why.HEADER_MISSING)
    if len(best.names) > _MOST_COLUMNS:
        raise Unreadable(Why.TOO_MANY)
    missing = next((column for column in MANDATORY if column not in best.columns), None)
    if missing is not None:
        raise Unreadable(Why.COLUMN_MISSING, missing)
    known = [_BY_HEADER[_plain(name)] for name in best.names if _plain(name) in _BY_HEADER]
    twice = next((column for column in known if known.count(column) > 1), None)
    if twice is not None:
        raise Unreadable(Why.COLUMN_TWICE, twice)
    return best


def _read_header(text: str, delimiter: str) -> _Header:
    try:
        names = next(csv.reader([text], delimiter=delimiter, strict=True), [])
    except csv.Error:
        names = []
    shown = tuple(_shown(name) for name in names)
    columns: dict[str, int] = {}
    for place, name in enumerate(shown):
        column = _BY_HEADER.get(_plain(name))
        if column is not None:
            columns.setdefault(column, place)
    return _Header(delimiter=delimiter, names=shown, columns=columns)


def _shown(name: str) -> str:
    """The name of a column as it may stand in a report: one line, not long, nothing that does not print."""
    return " ".join("".join(letter for letter in name if letter.isprintable()).split())[:100]


def _plain(text: str) -> str:
    bare = "".join(letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))
    return re.sub(r"[^a-z0-9]+", "_", bare.casefold()).strip("_")


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


# ---- Cells


def _of_patient(row: _Row) -> list[tuple[str, int]]:
    return [(column, place) for column, place in row.header.columns.items() if not column.startswith("appointment_")]


def _telecoms(row: _Row, region: str) -> tuple[Telecom, ...]:
    columns: tuple[tuple[str, Literal["phone", "email"], str | None], ...] = (
        ("mobile", "phone", "mobile"),
        ("phone", "phone", None),
        ("email", "email", None),
    )
    contacts = [
        read_contact(text, kind=kind, field=row.name(column), region=region, use=use)
        for column, kind, use in columns
        if (text := row.text(column))
    ]
    telecoms, problems = keep_once(contacts)
    row.problems.extend(Problem(where=row.where, field=name, reason=why, kind="unusable") for name, why in problems)
    return telecoms


def _death(row: _Row) -> tuple[bool, datetime | date | None]:
    """Whether the patient has died, and when. Whatever stands there and can not be read says that they have.

    A mistake in this direction is seen by staff and harms nobody; one in the other writes to the dead.
    """
    on, said = _death_in(row, "deceased_on"), _death_in(row, "deceased")
    return on[0] or said[0], on[1] or said[1]


def _death_in(row: _Row, column: str) -> tuple[bool, datetime | date | None]:
    try:
        text = row.text(column)
        word = _plain(text)
        if not text or word in _ALIVE:
            return False, None
        if word in _DEAD:
            return True, None
        if not text[0].isdigit():
            raise Refused(Why.CODE_NOT_UNDERSTOOD, row.name(column))  # noqa: TRY301 - one report for all of these, below.
        first, last = read_clinic_days(text)
    except (Refused, Unreadable) as error:
        row.unusable(column, error.why)
        return True, None
    if first != last:
        row.unusable(column, Why.DATE_INCOMPLETE)
        return True, None
    return True, first


def _is_active(row: _Row) -> bool:
    """Whether the record is in use. What can not be read is taken for no: nobody is contacted by mistake."""
    try:
        text = row.text("active")
    except Refused as error:
        row.unusable("active", error.why)
        return False
    word = _plain(text)
    if text and word not in YES | NO:
        row.unusable("active", Why.CODE_NOT_UNDERSTOOD)
    return not text or word in YES


def _one_of(row: _Row, column: str, known: Mapping[str, _Known], *, otherwise: Why) -> _Known | None:
    word = row.word(column)
    if word and word not in known:
        row.unusable(column, otherwise)
    return known.get(word)
