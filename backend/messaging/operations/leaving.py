"""Leaving without signing in: links are made, and followed; STOP comes by SMS."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid5

from backend.attempts.operations import MARGIN_SECONDS
from backend.audit.actions import Action
from backend.audit.actors import Actor, ActorKind, system_actor
from backend.audit.recording import Draft
from backend.clinics.queries import all_clinics, get_clinic
from backend.consent.operations import withdraw_consent
from backend.consent.queries import purposes_by_id, states_of
from backend.messaging.keywords import Keyword, understand
from backend.messaging.links import CAN_BE_STOPPED, Way, WayOut, digest_of, find_way_out, ways_with_links
from backend.messaging.models import ReceivedStop, UnsubscribeLink
from backend.patients.entries import record_about_patients
from backend.patients.models import ContactKind, SuppressedBy
from backend.patients.queries import patients_by_id
from backend.patients.sources.telecoms import normalise_phone
from backend.patients.suppression import suppress_contact
from backend.policy.vocabulary import Channel, Method
from backend.vault.identifiers import new_id

# Whoever opened a page waits for a margin at most, not for a lease: nothing new leaves from the fence on.
AT_A_LINK: Final = timedelta(0)
# A carrier that reports something waits for nothing: it is answered once the fence is committed.
AT_A_HOOK: Final = timedelta(seconds=-MARGIN_SECONDS)
# The namespace in which an SMS has one id in each clinic, however often it is delivered.
STOPS: Final = UUID("6f0d7f8e-6a6e-5c0e-9a55-0c1c8f6f8a10")


def make_links(ways: Iterable[Way], *, actor: Actor, now: datetime) -> None:
    """See to it that each of these ways out can be found by its token: a row for each, once and for all."""
    wanted = frozenset(ways)
    missing = sorted(wanted - ways_with_links(wanted), key=lambda way: (way.patient_id, way.purpose_id, way.channel))
    if not missing:
        return
    purposes = purposes_by_id({way.purpose_id for way in missing})
    rows = [
        UnsubscribeLink(
            id=new_id(),
            clinic_id=way.clinic_id,
            patient_id=way.patient_id,
            purpose_id=way.purpose_id,
            channel=way.channel,
            token_digest=digest_of(way.token()),
            created_at=now,
        )
        for way in missing
    ]
    drafts = [
        Draft(
            action=Action.LINKS_MADE,
            clinic_id=row.clinic_id,
            about=(row.patient_id,),
            details={"link": row.id, "purpose": purposes[row.purpose_id].slug, "channel": str(row.channel)},
        )
        for row in rows
    ]
    with record_about_patients(drafts, by=actor, now=now):
        # Another worker may make the same at the same time: its row says the same.
        UnsubscribeLink.objects.bulk_create(rows, ignore_conflicts=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What following a link came to. `confirmed`: nothing more leaves; else what was on its way may still arrive."""

    way_out: WayOut
    confirmed: bool


def withdraw_by_link(*, token: str, method: Method, now: datetime) -> Left | None:
    """Stop what the link stops: once, however often it is followed. None where the token leads nowhere.

    Never turns anything on again, and asks for nothing: neither who, nor why (GDPR Art. 7(3); RFC 8058).
    """
    found = find_way_out(token)
    if found is None:
        return None
    if not found.is_open:
        return Left(way_out=found, confirmed=not found.is_in_hand)
    withdrawal = withdraw_consent(
        clinic_id=found.way.clinic_id,
        patient_id=found.way.patient_id,
        purpose=found.purpose.slug,
        channels=[found.way.channel],
        method=method,
        actor=Actor(kind=ActorKind.PATIENT, id=found.way.patient_id),
        now=now,
        patience=AT_A_LINK,
    )
    return Left(way_out=found, confirmed=withdrawal.confirmed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What came of an SMS: how it was understood, and the patients whose messages it stopped."""

    keyword: Keyword
    patients: tuple[UUID, ...] = ()
    confirmed: bool = True


def take_inbound_sms(
    *,
    clinic_id: UUID,
    sender: str,
    text: str,
    now: datetime,
    actor: Actor | None = None,
    received: UUID | None = None,
    patience: timedelta = AT_A_LINK,
) -> Heard:
    """Take an SMS that somebody sent to a clinic's number. STOP is obeyed at once; START opts nobody in.

    STOP suppresses the number in this clinic first, so that nothing leaves for it from then on, and then withdraws
    whatever needs consent by SMS from every patient who has the number: which of them it was can not be known. The
    text itself is not kept. Received twice, it is obeyed twice and changes nothing more; `received` is the carrier's
    name for it, by which staff see it once.
    """
    actor = actor or system_actor("inbound_sms")
    keyword = understand(text)
    number = normalise_phone(sender, get_clinic(clinic_id).country)
    if keyword is not Keyword.STOP or not number.usable:
        return Heard(keyword=keyword)
    owners = suppress_contact(
        clinic_id=clinic_id,
        kind=ContactKind.PHONE,
        value=number.value,
        channels=[Channel.SMS],
        source=SuppressedBy.STOP,
        actor=actor,
        now=now,
    )
    patients = [one for one, facts in patients_by_id(owners).items() if not facts.is_erased]
    withdrawn: dict[UUID, int] = {}
    confirmed = True
    for patient_id in sorted(patients):
        done = withdraw_everything(
            clinic_id=clinic_id,
            patient_id=patient_id,
            channel=Channel.SMS,
            method=Method.SMS_KEYWORD,
            actor=actor,
            now=now,
            patience=patience,
        )
        confirmed = confirmed and done.confirmed
        withdrawn[patient_id] = done.count
    _note_stop(withdrawn, received=received or new_id(), clinic_id=clinic_id, actor=actor, now=now)
    return Heard(keyword=keyword, patients=tuple(sorted(patients)), confirmed=confirmed)


def take_shared_sms(*, sender: str, text: str, reference: str, now: datetime, actor: Actor | None = None) -> Keyword:
    """Take an SMS to the one number from which all clinics send: which of them was meant, nobody can know.

    So STOP counts in each. It is committed everywhere when this returns, and nothing is waited for. A clinic where it
    could not be stored keeps it from none of the others; that it failed is raised at the end, so that it comes again.
    """
    if (keyword := understand(text)) is not Keyword.STOP:
        return keyword
    failed: list[Exception] = []
    for clinic in all_clinics():
        try:
            take_inbound_sms(
                clinic_id=clinic.id,
                sender=sender,
                text=text,
                received=uuid5(STOPS, f"{clinic.id}|{reference}"),
                patience=AT_A_HOOK,
                actor=actor,
                now=now,
            )
        except Exception as error:  # noqa: BLE001 - raised below, when every clinic has had its turn
            failed.append(error)
    if failed:
        raise failed[0]
    return keyword


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawn:
    """How many consents were withdrawn, and whether nothing more leaves."""

    count: int
    confirmed: bool


def withdraw_everything(
    *,
    clinic_id: UUID,
    patient_id: UUID,
    channel: Channel,
    method: Method,
    actor: Actor,
    now: datetime,
    patience: timedelta = AT_A_LINK,
) -> Withdrawn:
    """Withdraw whatever one patient consented to by one channel."""
    open_ones = [
        state.purpose
        for state in states_of(clinic_id=clinic_id, patient_id=patient_id)
        if state.channel is channel and state.status in CAN_BE_STOPPED
    ]
    confirmed = True
    for purpose in open_ones:
        done = withdraw_consent(
            clinic_id=clinic_id,
            patient_id=patient_id,
            purpose=purpose,
            channels=[channel],
            method=method,
            actor=actor,
            now=now,
            patience=patience,
        )
        confirmed = confirmed and done.confirmed
    return Withdrawn(count=len(open_ones), confirmed=confirmed)


def _note_stop(withdrawn: dict[UUID, int], *, received: UUID, clinic_id: UUID, actor: Actor, now: datetime) -> None:
    """A row for each patient concerned, so that staff see it; nothing but the list itself where there is none."""
    if ReceivedStop.objects.in_clinic(clinic_id).filter(received=received).exists():
        return
    draft = Draft(
        action=Action.STOP_RECEIVED,
        clinic_id=clinic_id,
        about=tuple(withdrawn),
        details={"stop": received, "patients": len(withdrawn)},
    )
    rows = [
        ReceivedStop(
            id=new_id(),
            clinic_id=clinic_id,
            patient_id=patient_id,
            received=received,
            received_at=now,
            sharing=len(withdrawn) - 1,
            withdrawn=count,
        )
        for patient_id, count in withdrawn.items()
    ]
    with record_about_patients([draft], by=actor, now=now):
        ReceivedStop.objects.bulk_create(rows)
