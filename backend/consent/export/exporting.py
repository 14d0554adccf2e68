"""Exports the consents of a clinic, and everything that happened to them, as one signed archive."""

from base64 import b64encode
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, datetime
from typing import IO, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from backend.audit.actions import Action
from backend.audit.actors import Actor
from backend.audit.bundle.archive import Archive
from backend.audit.bundle.exporting import SignedLog, policy_of, signed_log
from backend.audit.models import AuditEntry
from backend.audit.recording import Entry, microseconds, record
from backend.audit.sequencing import Place, require_inclusion
from backend.audit.snapshots import one_snapshot
from backend.audit.tree import StoredTree
from backend.clinics.queries import get_clinic
from backend.consent.export.columns import Notices, Writing, notice_file
from backend.consent.export.reading import consents_in_pages
from backend.consent.export.selection import Form, Selection
from backend.consent.export.standards import DpvOutput, FhirOutput
from backend.consent.export.tables import CsvOutput, Output, XlsxOutput
from backend.consent.queries import PurposeRow, get_purpose, notices_by_id, purposes_of
from backend.errors import NotFound
from backend.patients.queries import count_patients, patients_by_id
from backend.policy.vocabulary import Language
from backend.vault.identifiers import new_id

FORM: Final = "accord-consent-export/v1"
ANY: Final = "any"


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export holds: how many rows in each of its files."""

    rows: dict[str, int]


def export_consents(
    file: IO[bytes],
    *,
    clinic_id: UUID,
    selection: Selection,
    forms: Collection[Form],
    language: Language,
    actor: Actor,
    now: datetime,
    progress: Callable[[int, int], object] = lambda _done, _of: None,
) -> Exported:
    """Write the export to a file that can be wound back; memory does not grow with the consents.

    It is in the log before anything is read, and the log is signed with it. `progress` is told how many patients are
    done, and of how many. Raises NotFound (no such purpose or patient), NotSequenced; where it is broken off, the file
    is left empty.
    """
    clinic = get_clinic(clinic_id)
    purposes = _purposes(clinic_id, selection)
    entry = _recorded(clinic_id, selection, forms, actor=actor, now=now)
    place = require_inclusion(entry.id, now=now)
    with one_snapshot(), Archive(file, form=FORM) as archive, ExitStack() as stack:
        log = signed_log(clinic_id)
        writing = Writing(language, ZoneInfo(clinic.time_zone), Notices.of(notices_by_id(clinic_id)))
        outputs = [stack.enter_context(made) for made in _outputs(forms, writing, made_at=now)]
        total = 1 if selection.patient_id else count_patients(clinic_id)
        done = 0
        for patients, consents in consents_in_pages(
            clinic_id=clinic_id,
            patient_id=selection.patient_id,
            purposes=purposes,
            period=selection.period(writing.zone),
            entry=entry,
            records_at=now if {Form.FHIR, Form.DPV} & set(forms) else None,
        ):
            for told in consents:
                for output in outputs:
                    output.add(told)
            done += len(patients)
            progress(done, total)
        archive.add("about", f"{FORM}\n".encode())
        archive.add("policy", policy_of(log))
        archive.add("checkpoint", log.note.encode())
        archive.add("entry", bytes(AuditEntry.objects.values_list("leaf", flat=True).get(id=entry.id)))
        archive.add("proof", _proof(log, place))
        for notice in writing.notices.by_id.values():
            archive.add(notice_file(notice), notice.shown)
        rows: dict[str, int] = {}
        for output in outputs:
            for name, content in output.files():
                archive.add_file(name, content)
            rows |= output.rows
        facts = _facts(log.origin, clinic_id, selection, entry=entry, now=now, rows=rows)
        archive.close(log.key.sign(archive.manifest(facts)))
    return Exported(rows)


def _purposes(clinic_id: UUID, selection: Selection) -> dict[UUID, PurposeRow]:
    if not selection.purposes:
        return purposes_of(clinic_id)
    asked = [get_purpose(clinic_id=clinic_id, slug=slug) for slug in selection.purposes]
    return {purpose.id: purpose for purpose in asked}


def _recorded(clinic_id: UUID, selection: Selection, forms: Collection[Form], *, actor: Actor, now: datetime) -> Entry:
    """The entry that says so: in the part of the patient whom it is about, else in the clinic's own."""
    about: tuple[UUID, ...] = ()
    if selection.patient_id is not None:
        patient = patients_by_id([selection.patient_id]).get(selection.patient_id)
        if patient is None or patient.clinic_id != clinic_id:
            raise NotFound(field="patient")
        # Of an erased patient nothing sealed can be read any more, and nothing can be written under their key.
        about = () if patient.is_erased else (patient.id,)
    with record(
        Action.CONSENTS_EXPORTED,
        by=actor,
        now=now,
        clinic_id=clinic_id,
        about=about,
        whole_clinic=not about,
        export=new_id(),
        forms=sorted(form.value for form in forms),
        purposes=list(selection.purposes),
        first_day=_day(selection.first_day),
        last_day=_day(selection.last_day),
    ) as entry:
        pass
    return entry


def _outputs(forms: Collection[Form], writing: Writing, *, made_at: datetime) -> Iterator[Output]:
    if Form.CSV in forms:
        yield CsvOutput(writing)
    if Form.XLSX in forms:
        yield XlsxOutput(writing, made_at=made_at)
    if Form.FHIR in forms:
        yield FhirOutput()
    if Form.DPV in forms:
        yield DpvOutput()


def _proof(log: SignedLog, place: Place) -> bytes:
    """Where the entry stands, and the hashes that lead from it to the root of the checkpoint (RFC 6962, 2.1.1)."""
    hashes = StoredTree(log.id, using=log.using).inclusion_proof(place.index, log.size)
    return "".join([f"index {place.index}\n", *(f"{b64encode(one).decode()}\n" for one in hashes)]).encode()


def _facts(
    origin: str, clinic_id: UUID, selection: Selection, *, entry: Entry, now: datetime, rows: dict[str, int]
) -> Iterator[str]:
    """What the manifest says besides the names and hashes of the files."""
    yield f"origin {origin}"
    yield f"clinic {clinic_id}"
    yield f"entry {entry.id}"
    yield f"made-at {microseconds(now)}"
    yield f"first-day {_day(selection.first_day)}"
    yield f"last-day {_day(selection.last_day)}"
    yield f"purposes {','.join(selection.purposes) or ANY}"
    yield f"patient {selection.patient_id or ANY}"
    for name, count in rows.items():
        yield f"rows {count} {name}"


def _day(day: date | None) -> str:
    return ANY if day is None else day.isoformat()
