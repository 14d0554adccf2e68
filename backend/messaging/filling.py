"""Step 3, render: what a batch reveals, under the entry of its claim, and the words made of it."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from backend.audit.actors import Actor
from backend.audit.recording import Entry
from backend.clinics.queries import ClinicFacts, get_clinic
from backend.messaging.calendars import appointment_entry
from backend.messaging.carriers.base import (
    FailureCode,
    OutboundMessage,
    PermanentFailure,
)
from backend.messaging.digests import lay_together
from backend.messaging.held import (
    Delivered,
    Ended,
    Held,
    Unprepared,
    one_by_one_if_need_be,
)
from backend.messaging.links import Way
from backend.messaging.models import Message
from backend.messaging.operations.checks import CHECK_STEP
from backend.messaging.operations.confirming import link_in
from backend.messaging.operations.leaving import make_links
from backend.messaging.outcomes import settle
from backend.messaging.queries import RENEW_STEP, words_of
from backend.messaging.rendering import TemplateRefused, Words, render, says, says_a_name
from backend.messaging.values import Named, template_values
from backend.messaging.ways_out import CARRY_ONE, framed
from backend.patients.queries import (
    ContactPointRow,
    OccasionWords,
    PatientNames,
    contact_points_by_id,
    reveal_codes,
    reveal_contact_values,
    reveal_names,
    reveal_occasions,
)
from backend.policy.vocabulary import CATEGORY_OF, Channel, Language, Tone
from backend.preferences.queries import PreferenceRow, preferences_of


def fill(allowed: Sequence[Held], *, entry: Entry, now: datetime, actor: Actor, done: Delivered) -> list[Held]:
    """Reveal what the words need, under the claim's entry, and fill them."""
    if not allowed:
        return []
    filled = one_by_one_if_need_be(allowed, lambda several: _filled(several, entry=entry, now=now, actor=actor))
    unfit: list[tuple[Held, Ended]] = [
        (held, filled.get(held.attempt_id, Unprepared()))
        for held in allowed
        if filled.get(held.attempt_id, Unprepared()) is not None
    ]
    settle(unfit, carriers={}, now=now, actor=actor, done=done)
    ready = [held for held in allowed if held.outbound is not None]
    return lay_together(ready, preferences_of({held.message.patient_id for held in ready}), way_out=_way_out)


def fill_again(batch: Sequence[Held], *, entry: Entry) -> list[Held]:
    """The words that a message had, to be compared with what a carrier lists. Nothing is written, or said to fail."""
    one_by_one_if_need_be(batch, lambda several: _filled_again(several, entry=entry))
    return [held for held in batch if held.outbound is not None]


def _filled_again(batch: Sequence[Held], *, entry: Entry) -> dict[UUID, None]:
    inside = _Words.gathered(batch, entry=entry)
    for held in batch:
        with suppress(TemplateRefused):
            inside.fill(held)
    return {}


def _filled(batch: Sequence[Held], *, entry: Entry, now: datetime, actor: Actor) -> dict[UUID, PermanentFailure | None]:
    """None for each attempt whose message is ready; a template that can not be filled never can."""
    inside = _Words.gathered(batch, entry=entry)
    make_links([way for held in batch if (way := _way_out(held)) is not None], actor=actor, now=now)
    filled: dict[UUID, PermanentFailure | None] = {}
    for held in batch:
        try:
            inside.fill(held)
        except TemplateRefused:
            filled[held.attempt_id] = PermanentFailure(FailureCode.CONTENT_REFUSED)
        else:
            filled[held.attempt_id] = None
    return filled


@dataclass(frozen=True, slots=True)
class _Words:
    """Everything that is revealed for one batch, with a number of queries that does not depend on its size."""

    variants: "Variants"
    names: dict[UUID, PatientNames]
    addresses: dict[UUID, str]
    points: dict[UUID, ContactPointRow]
    occasions: dict[UUID, OccasionWords]
    codes: dict[UUID, str]
    preferences: dict[UUID, PreferenceRow]
    clinics: dict[UUID, ClinicFacts]

    @classmethod
    def gathered(cls, batch: Sequence[Held], *, entry: Entry) -> "_Words":
        messages = [held.message for held in batch]
        points = {message.contact_point_id for message in messages if message.contact_point_id is not None}
        patients = {message.patient_id for message in messages}
        variants = words_of({one.template_version_id for one in messages if one.template_version_id is not None})
        named = {one.patient_id for one in messages if (words := _words_for(one, variants)) and says_a_name(words)}
        return cls(
            variants=variants,
            # A name that the words do not say is not looked at.
            names=reveal_names(named, entry=entry) if named else {},
            addresses=reveal_contact_values(points, entry=entry),
            points=contact_points_by_id(points),
            occasions=reveal_occasions(
                {message.occasion_id for message in messages if message.occasion_id is not None}, entry=entry
            ),
            codes=reveal_codes(
                {
                    one.contact_point_id
                    for one in messages
                    if one.step == CHECK_STEP and one.contact_point_id is not None
                },
                entry=entry,
            ),
            preferences=preferences_of(patients),
            clinics={one: get_clinic(one) for one in {message.clinic_id for message in messages}},
        )

    def fill(self, held: Held) -> None:
        message = held.message
        words = _words_for(message, self.variants)
        point = self.points.get(message.contact_point_id) if message.contact_point_id else None
        address = self.addresses.get(point.id) if point is not None else None
        if words is None or point is None or not address:
            raise TemplateRefused
        names = self.names.get(message.patient_id) or (None if says_a_name(words) else NOBODY)
        if names is None:
            raise TemplateRefused
        preferences = self.preferences.get(message.patient_id) or PreferenceRow()
        clinic = self.clinics[message.clinic_id]
        values = template_values(
            patient=names,
            clinic=clinic,
            occasion=self.occasions.get(message.occasion_id) if message.occasion_id is not None else None,
            language=words.language,
            time_zone=clinic.time_zone,
            for_child=point.representative_id is not None,
            code=self.codes.get(point.id, ""),
            link=link_in(message),
            ends_at=message.expires_at if message.step == RENEW_STEP else None,
            named=_named(preferences),
        )
        if message.step == CHECK_STEP and not values["code"]:
            # The code was used or replaced meanwhile: there is nothing left to send.
            raise TemplateRefused
        held.rendered = render(
            words,
            values,
            discreet=preferences.discreet,
            large_print=preferences.large_print,
            gaps=_named(preferences) is not Named.IN_FULL,
        )
        held.for_child = point.representative_id is not None
        held.bare = OutboundMessage(
            message_id=message.id,
            channel=held.channel,
            to=address,
            language=words.language,
            text=held.rendered.text,
            subject=held.rendered.subject,
            html=held.rendered.html,
            sender_name=clinic.discreet_name,
            reference=str(message.id),
            category=CATEGORY_OF[held.purpose.nature],
            calendar=self._calendar(held, words, clinic, discreet=preferences.discreet),
        )
        held.outbound = framed(held.bare, _way_out(held), purpose=held.purpose)

    def _calendar(self, held: Held, words: Words, clinic: ClinicFacts, *, discreet: bool) -> str:
        """The appointment that an e-mail speaks of, for the patient's calendar; nothing for one that is over."""
        message, said_at = held.message, held.message.claimed_at or held.message.planned_at
        occasion = None if message.occasion_id is None else self.occasions.get(message.occasion_id)
        if held.channel is not Channel.EMAIL or not says(words, APPOINTMENT) or occasion is None:
            return ""
        if message.occasion_id is None or occasion.starts_at is None or occasion.starts_at <= said_at:
            return ""
        return appointment_entry(
            occasion_id=message.occasion_id,
            clinic_id=clinic.id,
            clinic=clinic.discreet_name,
            starts_at=occasion.starts_at,
            planned_at=message.planned_at,
            said_at=said_at,
            language=words.language,
            place="" if discreet else occasion.place,
        )


APPOINTMENT: Final = "appointment"
NOBODY: Final = PatientNames(family_name="", given_names=())
Variants = dict[UUID, dict[tuple[Channel, Language, Tone], Words]]


def _words_for(message: Message, variants: Variants) -> Words | None:
    own = variants.get(message.template_version_id, {}) if message.template_version_id else {}
    return own.get((Channel(message.channel), Language(message.language), Tone(message.tone)))


def _named(preferences: PreferenceRow) -> Named:
    if preferences.no_personalisation:
        return Named.NOT_AT_ALL
    return Named.WITHOUT_FIRST_NAME if preferences.no_first_name else Named.IN_FULL


def _way_out(held: Held) -> Way | None:
    if held.channel not in CARRY_ONE or not held.purpose.requires_consent:
        return None
    return Way(
        clinic_id=held.message.clinic_id,
        patient_id=held.message.patient_id,
        purpose_id=held.purpose.id,
        channel=held.channel,
    )
