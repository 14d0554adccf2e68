"""Very many patients who said yes to a reminder by e-mail, and the reminder of each, due now."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

from backend.accounts.operations import create_account
from backend.accounts.queries import get_staff_actor
from backend.audit.actions import Action
from backend.audit.actors import system_actor
from backend.audit.keys import issue_subject_keys
from backend.audit.recording import Draft, record_many
from backend.clinics.models import MembershipRole
from backend.clinics.operations import add_member, create_clinic
from backend.consent.models import ConsentEvent, ConsentState, Notice, Purpose
from backend.consent.operations import note_impact_assessment
from backend.messaging.links import Way
from backend.messaging.models import Message, TemplateVersion
from backend.messaging.operations.leaving import make_links
from backend.messaging.ways_out import CARRY_ONE
from backend.patients.models import ContactKind, ContactPoint, Occasion, Patient
from backend.policy.vocabulary import (
    Channel,
    ConsentStatus,
    ContactStatus,
    EventKind,
    Language,
    LegalBasis,
    MessageState,
    Method,
    Tone,
)
from backend.programmes.models import Enrolment, Programme
from backend.programmes.operations import approve_programme, start_programme
from backend.programmes.operations.installing import install_library
from backend.vault.blind import Indexed, blind_index
from backend.vault.identifiers import new_id

# An entry has room for the keys of about 250 patients.
AT_ONCE: Final = 200
REMINDER: Final = "appointment_reminder"
STEP: Final = "day_before"


def found_clinic(slug: str, *, now: datetime) -> UUID:
    """A clinic with the ready-made purposes, notice, templates and programmes; the reminder approved and running."""
    system = system_actor("benchmark")
    clinic_id = create_clinic(
        slug=slug,
        name="Clinique des Tilleuls",
        discreet_name="Les Tilleuls",
        telephone="01 99 00 12 34",
        address="1 rue des Tilleuls, 00000 Exempleville",
        actor=system,
        now=now,
    )
    account_id = create_account(handle=f"{slug}-doctor", actor=system, now=now)
    add_member(
        clinic_id=clinic_id,
        account_id=account_id,
        role=MembershipRole.STAFF,
        is_health_professional=True,
        actor=system,
        now=now,
    )
    doctor = get_staff_actor(account_id)
    programme_id = install_library(clinic_id=clinic_id, actor=system, now=now)[REMINDER]
    note_impact_assessment(clinic_id=clinic_id, purpose=REMINDER, reference="DPIA-1", actor=doctor, now=now)
    approve_programme(clinic_id=clinic_id, programme_id=programme_id, actor=doctor, now=now)
    start_programme(clinic_id=clinic_id, programme_id=programme_id, actor=doctor, now=now)
    return clinic_id


def populate(
    clinic_id: UUID,
    *,
    patients: int,
    now: datetime,
    channels: Sequence[Channel] = (Channel.EMAIL,),
    due_at: datetime | None = None,
    progress: Callable[[int], object] = lambda _count: None,
) -> None:
    """So many patients, each with an appointment tomorrow and its reminder, by these channels in turn."""
    purpose = Purpose.objects.in_clinic(clinic_id).get(slug=REMINDER)
    shelf = _Shelf(
        clinic_id=clinic_id,
        purpose=purpose,
        notice=Notice.objects.in_clinic(clinic_id).filter(language=Language.FRENCH).latest("version"),
        programme=Programme.objects.in_clinic(clinic_id).get(slug=REMINDER),
        template=TemplateVersion.objects.in_clinic(clinic_id).filter(slug=REMINDER).latest("number"),
        due_at=due_at or now,
    )
    made = 0
    while made < patients:
        page = [new_id() for _ in range(min(AT_ONCE, patients - made))]
        shelf.write(page, [channels[(made + place) % len(channels)] for place in range(len(page))], now=now)
        made += len(page)
        progress(made)


class _Shelf:
    """What the rows of one clinic have in common."""

    def __init__(
        self,
        *,
        clinic_id: UUID,
        purpose: Purpose,
        notice: Notice,
        programme: Programme,
        template: TemplateVersion,
        due_at: datetime,
    ) -> None:
        self.clinic_id, self.purpose, self.notice = clinic_id, purpose, notice
        self.programme, self.template, self.due_at = programme, template, due_at
        self._made = 0

    def write(self, page: Sequence[UUID], channels: Sequence[Channel], *, now: datetime) -> None:
        """Patients, what they said, their address, appointment and message; keys and entries as ever."""
        issued = issue_subject_keys(page, clinic_id=self.clinic_id, now=now)
        details = {"count": len(page), "different": 0}
        drafts = [
            issued.draft(self.clinic_id),
            Draft(action=Action.STATES_REBUILT, clinic_id=self.clinic_id, details=details),
        ]
        with issued.at_hand(), record_many(drafts, by=system_actor("benchmark"), now=now):
            issued.save()
            Patient.objects.bulk_create(self._patient(one, now) for one in page)
            points = [self._point(one, channel, now) for one, channel in zip(page, channels, strict=True)]
            ContactPoint.objects.bulk_create(points)
            occasions = [self._occasion(one, now) for one in page]
            Occasion.objects.bulk_create(occasions)
            events = [self._event(one, channel, now) for one, channel in zip(page, channels, strict=True)]
            ConsentEvent.objects.bulk_create(events)
            ConsentState.objects.bulk_create(self._state(event) for event in events)
            enrolments = [self._enrolment(occasion, now) for occasion in occasions]
            Enrolment.objects.bulk_create(enrolments)
            Message.objects.bulk_create(
                self._message(enrolment, point, event, now)
                for enrolment, point, event in zip(enrolments, points, events, strict=True)
            )
        # A clinic at work has written to most of them before, and a way out is made once for each.
        ways = [
            Way(clinic_id=self.clinic_id, patient_id=one, purpose_id=self.purpose.id, channel=channel)
            for one, channel in zip(page, channels, strict=True)
            if channel in CARRY_ONE
        ]
        make_links(ways, actor=system_actor("benchmark"), now=now)

    def _patient(self, patient_id: UUID, now: datetime) -> Patient:
        return Patient(
            id=patient_id,
            clinic_id=self.clinic_id,
            family_name="Exemple",
            given_names=["Dominique"],
            birth_date=date(1970, 1, 1).isoformat(),
            language=Language.FRENCH,
            created_at=now,
            updated_at=now,
        )

    def _point(self, patient_id: UUID, channel: Channel, now: datetime) -> ContactPoint:
        self._made += 1
        kind, value, indexed = _ADDRESSES[channel](self._made)
        return ContactPoint(
            clinic_id=self.clinic_id,
            patient_id=patient_id,
            kind=kind,
            value=value,
            value_index=blind_index(indexed, value, clinic_id=self.clinic_id),
            takes_sms=kind is ContactKind.PHONE,
            status=ContactStatus.VERIFIED,
            confirmed_at=now,
            created_at=now,
        )

    def _occasion(self, patient_id: UUID, now: datetime) -> Occasion:
        return Occasion(
            clinic_id=self.clinic_id,
            patient_id=patient_id,
            source_index=new_id().bytes,
            kind="appointment",
            status="booked",
            # A day has its hours: not everybody comes at the same time.
            starts_at=now + timedelta(days=1, minutes=15 * (patient_id.int % 40)),
            details={"place": "Cabinet 2", "practitioner": "Dr Exemple"},
            created_at=now,
            updated_at=now,
        )

    def _event(self, patient_id: UUID, channel: Channel, now: datetime) -> ConsentEvent:
        return ConsentEvent(
            clinic_id=self.clinic_id,
            patient_id=patient_id,
            purpose=self.purpose,
            channel=channel,
            kind=EventKind.GIVEN,
            method=Method.APP,
            legal_basis=LegalBasis.CONSENT,
            occurred_at=now - timedelta(days=1),
            recorded_at=now - timedelta(days=1),
            notice=self.notice,
            notice_sha256=self.notice.sha256,
            language=self.notice.language,
            expressed_by=[{"role": "patient"}],
            recorded_by="p",
            evidence={"notice_version": self.notice.version, "initial_state": "off"},
            number=1,
        )

    def _state(self, event: ConsentEvent) -> ConsentState:
        return ConsentState(
            clinic_id=self.clinic_id,
            patient_id=event.patient_id,
            purpose_id=event.purpose_id,
            channel=event.channel,
            status=ConsentStatus.GIVEN,
            since=event.occurred_at,
            notice_version=self.notice.version,
            last_event_id=event.id,
            standing_event_id=event.id,
        )

    def _enrolment(self, occasion: Occasion, now: datetime) -> Enrolment:
        return Enrolment(
            clinic_id=self.clinic_id,
            patient_id=occasion.patient_id,
            programme=self.programme,
            occasion=occasion,
            enrolled_at=now,
        )

    def _message(self, enrolment: Enrolment, point: ContactPoint, event: ConsentEvent, now: datetime) -> Message:
        return Message(
            clinic_id=self.clinic_id,
            patient_id=enrolment.patient_id,
            enrolment=enrolment,
            programme=self.programme,
            occasion=enrolment.occasion,
            occasion_starts_at=enrolment.occasion.starts_at,
            step=STEP,
            occurrence="1",
            purpose=self.purpose,
            channel=event.channel,
            contact_point=point,
            template_version=self.template,
            language=Language.FRENCH,
            tone=Tone.FORMAL,
            due_at=self.due_at,
            expires_at=self.due_at + timedelta(hours=22),
            state=MessageState.PLANNED,
            verdict={"decided": "allow", "stage": "planning", "reasons": [], "consent_event_id": str(event.id)},
            planned_at=now,
        )


_Address = tuple[ContactKind, str, Indexed]
# Numbers of the ranges that are kept for fiction (ARCEP, decision 2018-0881), as far as they go.
_ADDRESSES: Final[Mapping[Channel, Callable[[int], _Address]]] = {
    Channel.EMAIL: lambda n: (ContactKind.EMAIL, f"patient.{n}@example.org", Indexed.EMAIL),
    Channel.SMS: lambda n: (ContactKind.PHONE, f"+336399{80_000 + n % 20_000:05d}", Indexed.PHONE),
    Channel.PUSH: lambda n: (ContactKind.PUSH, f"token:patient-{n}", Indexed.DEVICE),
}
