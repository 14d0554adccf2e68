"""Why a message was sent or not: rule by rule, in codes for programs and in sentences for people."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_datetime
from rest_framework import serializers

from backend.api.fields import Moment, Output, choice_of
from backend.api.preferences import FrequencyField, QuietHoursField
from backend.api.sentences import CHANNELS, DECISIONS, METHODS, reason_sentence, remedy_sentence
from backend.clinics.queries import ClinicFacts
from backend.consent.queries import EventRow, PurposeRow, events_by_id, get_purpose, states_of
from backend.errors import NotFound
from backend.messaging.queries import RENEW_STEP, MessageRow
from backend.policy.contact import Remedy, Verdict
from backend.policy.vocabulary import (
    Channel,
    ConsentStatus,
    Decided,
    Decision,
    Language,
    MessageState,
    Method,
    Reason,
    Tone,
)
from backend.preferences.queries import PreferenceRow, get_preferences
from backend.programmes.queries import ProgrammeRow, get_programme_by_slug

LOCALE: Final = {Language.FRENCH: "fr_FR", Language.ENGLISH: "en_GB"}

# The order is that of the rules: restriction and objection, consent, the address, use and law, preferences, wording.
GROUPS: Final[Mapping[str, frozenset[Reason]]] = {
    "restriction": frozenset({Reason.DECEASED, Reason.ERASED, Reason.RESTRICTED, Reason.OBJECTED}),
    "consent": frozenset(
        {
            Reason.PURPOSE_UNKNOWN,
            Reason.CHANNEL_NOT_OF_PURPOSE,
            Reason.NO_CONSENT,
            Reason.CONSENT_PENDING,
            Reason.CONSENT_REFUSED,
            Reason.CONSENT_WITHDRAWN,
            Reason.CONSENT_NOT_YET_VALID,
            Reason.CONSENT_EXPIRED,
            Reason.RECONSENT_REQUIRED,
            Reason.CONSENT_ENDED,
        }
    ),
    "contact_point": frozenset(
        {
            Reason.SUPPRESSED,
            Reason.NO_CONTACT_POINT,
            Reason.CONTACT_UNUSABLE,
            Reason.CONTACT_UNVERIFIED,
            Reason.REPRESENTATION_ENDED,
            Reason.CONFIDENTIAL_FROM_REPRESENTATIVE,
        }
    ),
    "occasion": frozenset(
        {
            Reason.PROGRAMME_NOT_RUNNING,
            Reason.OCCASION_CHANGED,
            Reason.TOO_LATE,
            Reason.LEGAL_WINDOW,
            Reason.DAILY_LIMIT,
        }
    ),
    "preferences": frozenset(
        {
            Reason.PURPOSE_SWITCHED_OFF,
            Reason.CHANNEL_SWITCHED_OFF,
            Reason.PAUSED,
            Reason.FREQUENCY_CAP,
            Reason.QUIET_HOURS,
            Reason.DIGEST,
        }
    ),
    "wording": frozenset({Reason.NO_TEMPLATE}),
}


class ReasonOutput(Output):
    """A reason: a code that never changes, and a sentence."""

    code = choice_of(Reason)
    sentence = serializers.CharField()


class RemedyOutput(Output):
    """Something that would change the answer. All that are listed are needed."""

    code = choice_of(Remedy)
    sentence = serializers.CharField()


class ShortWhyOutput(Output):
    """The answer that stands for a message, and its reasons."""

    decided = choice_of(Decided, allow_null=True)
    reasons = ReasonOutput(many=True)
    sentence = serializers.CharField()


class RuleOutput(Output):
    """One group of rules: whether all of them let the message pass."""

    group = serializers.ChoiceField(choices=list(GROUPS))
    passed = serializers.BooleanField()
    reasons = ReasonOutput(many=True)


class ConsideredOutput(Output):
    """What was decided for one of the channels that could have been used."""

    channel = choice_of(Channel)
    decided = choice_of(Decided)
    reasons = ReasonOutput(many=True)


class ReliedUponOutput(Output):
    """The consent that the message relies upon: when and how it was said, and to which words."""

    event_id = serializers.UUIDField(source="id")
    decision = choice_of(Decision, allow_null=True)
    method = choice_of(Method)
    occurred_at = Moment()
    recorded_at = Moment()
    valid_until = Moment(allow_null=True)
    notice_version = serializers.IntegerField(allow_null=True)
    notice_sha256 = serializers.CharField()
    language = serializers.CharField()
    expressed_by = serializers.ListField(child=serializers.CharField())


class StandingConsentOutput(Output):
    """Where the consent stands now."""

    state = choice_of(ConsentStatus)
    since = Moment(allow_null=True)


class MatteringPreferencesOutput(Output):
    """The preferences that mattered, as they are now; and which version of them the message was decided by."""

    version = serializers.IntegerField()
    decided_by_version = serializers.IntegerField(
        allow_null=True, help_text="In the history of the preferences; 0 where nothing was chosen yet."
    )
    channel_order = serializers.ListField(child=choice_of(Channel))
    language = choice_of(Language, allow_null=True)
    tone = choice_of(Tone, allow_null=True)
    discreet = serializers.BooleanField()
    frequency = FrequencyField(required=False, allow_null=True)
    quiet_hours = QuietHoursField(required=False, allow_null=True)
    digest = serializers.BooleanField(required=False)
    paused_until = Moment(required=False, allow_null=True)
    purpose_switched_off = serializers.BooleanField(required=False)


class NamedOutput(Output):
    """A programme or a purpose, by its code and by its name."""

    slug = serializers.CharField()
    name = serializers.CharField()


class TemplateOutput(Output):
    """Which words."""

    slug = serializers.CharField()
    version = serializers.IntegerField(allow_null=True)


class WhyOutput(Output):
    """Why a message was sent or not."""

    message = serializers.UUIDField()
    state = choice_of(MessageState)
    programme = NamedOutput()
    step = serializers.CharField()
    purpose = NamedOutput()
    channel = choice_of(Channel)
    language = choice_of(Language)
    tone = choice_of(Tone)
    template = TemplateOutput()
    due_at = Moment()
    planned_at = Moment()
    settled_at = Moment(allow_null=True)
    expires_at = Moment(allow_null=True)
    decided = choice_of(Decided, allow_null=True)
    until = Moment(allow_null=True)
    rules_version = serializers.CharField()
    rules = RuleOutput(many=True)
    reasons = ReasonOutput(many=True)
    consent = ReliedUponOutput(allow_null=True)
    consent_now = StandingConsentOutput()
    preferences = MatteringPreferencesOutput()
    considered = ConsideredOutput(many=True)
    remedies = RemedyOutput(many=True)
    sentences = serializers.ListField(child=serializers.CharField())


def reasons_on_the_wire(reasons: Iterable[Reason], language: Language) -> list[dict[str, str]]:
    """Codes, each with its sentence."""
    return [{"code": reason.value, "sentence": reason_sentence(reason, language)} for reason in reasons]


def short_reasons(
    messages: Iterable[MessageRow], *, clinic: ClinicFacts, language: Language
) -> dict[UUID, dict[str, Any]]:
    """In a few words, for every message of a list: the consent it relies upon, or the reasons against it."""
    rows = list(messages)
    relied = {row.id: row.verdict.consent_event_id for row in rows if row.verdict is not None}
    events = events_by_id([event_id for event_id in relied.values() if event_id is not None])
    return {row.id: _short(row, events.get(relied.get(row.id) or UUID(int=0)), clinic, language) for row in rows}


def explain(message: MessageRow, *, clinic: ClinicFacts, language: Language) -> dict[str, Any]:
    """Everything that was decided about a message, rule by rule."""
    verdict = message.verdict
    reasons = () if verdict is None else verdict.reasons
    purpose = get_purpose(clinic_id=clinic.id, slug=message.purpose)
    programme = _programme(clinic, message)
    event = _relied_upon(verdict)
    preferences = get_preferences(clinic_id=clinic.id, patient_id=message.patient_id)
    shown = {
        "message": message.id,
        "state": message.state,
        "programme": {"slug": message.programme, "name": programme.name(language) if programme else message.programme},
        "step": message.step,
        "purpose": {"slug": purpose.slug, "name": purpose.name(language)},
        "channel": message.channel,
        "language": message.language,
        "tone": message.tone,
        "template": {"slug": message.template, "version": message.template_number},
        "due_at": message.due_at,
        "planned_at": message.planned_at,
        "settled_at": message.settled_at,
        "expires_at": message.expires_at,
        "decided": None if verdict is None else verdict.decided,
        "until": None if verdict is None else verdict.until,
        "rules_version": "" if verdict is None else verdict.rules_version,
        "rules": _rules(reasons, language),
        "reasons": reasons_on_the_wire(reasons, language),
        "consent": event,
        "consent_now": _consent_now(clinic, message),
        "preferences": _mattering(preferences, message, reasons, clinic),
        "considered": list(_considered(message, language)),
        "remedies": [
            {"code": remedy.value, "sentence": remedy_sentence(remedy, language)}
            for remedy in (() if verdict is None else verdict.remedies)
        ],
        "sentences": _sentences(
            message=message,
            purpose=purpose,
            programme=programme,
            event=event,
            preferences=preferences,
            clinic=clinic,
            language=language,
        ),
    }
    return dict(WhyOutput(shown).data)


def _programme(clinic: ClinicFacts, message: MessageRow) -> ProgrammeRow | None:
    try:
        return get_programme_by_slug(clinic_id=clinic.id, slug=message.programme)
    except NotFound:
        return None


def _relied_upon(verdict: Verdict | None) -> EventRow | None:
    if verdict is None or verdict.consent_event_id is None:
        return None
    return events_by_id([verdict.consent_event_id]).get(verdict.consent_event_id)


def _consent_now(clinic: ClinicFacts, message: MessageRow) -> dict[str, Any]:
    for state in states_of(clinic_id=clinic.id, patient_id=message.patient_id):
        if (state.purpose, state.channel) == (message.purpose, message.channel):
            return {"state": state.status, "since": state.since}
    return {"state": ConsentStatus.NONE, "since": None}


def _rules(reasons: Iterable[Reason], language: Language) -> list[dict[str, Any]]:
    found = list(reasons)
    rules = []
    for group, members in GROUPS.items():
        own = [reason for reason in found if reason in members]
        rules.append({"group": group, "passed": not own, "reasons": reasons_on_the_wire(own, language)})
    return rules


def _mattering(
    row: PreferenceRow, message: MessageRow, reasons: Iterable[Reason], clinic: ClinicFacts
) -> dict[str, Any]:
    found = set(reasons)
    shown: dict[str, Any] = {
        "version": row.version,
        "decided_by_version": None if message.verdict is None else message.verdict.preferences_version,
        "channel_order": row.channel_order,
        "language": row.language,
        "tone": row.tone,
        "discreet": row.discreet,
    }
    if Reason.FREQUENCY_CAP in found:
        shown["frequency"] = None if row.frequency is None else {"max": row.frequency.max, "per": row.frequency.per}
    if Reason.QUIET_HOURS in found and row.quiet_from is not None and row.quiet_to is not None:
        zone = row.time_zone or clinic.time_zone
        shown["quiet_hours"] = {"from": row.quiet_from, "to": row.quiet_to, "time_zone": zone}
    if Reason.DIGEST in found:
        shown["digest"] = row.digest
    if Reason.PAUSED in found:
        shown["paused_until"] = row.paused_until
    if Reason.PURPOSE_SWITCHED_OFF in found:
        shown["purpose_switched_off"] = not row.purposes.get(message.purpose, True)
    return shown


def _considered(message: MessageRow, language: Language) -> Iterable[dict[str, Any]]:
    for channel, record in message.considered.items():
        verdict = Verdict.from_record(record)
        yield {
            "channel": Channel(channel),
            "decided": verdict.decided,
            "reasons": reasons_on_the_wire(verdict.reasons, language),
        }


# ------------------------------------------------------------------------------------------------------ sentences


def _short(message: MessageRow, event: EventRow | None, clinic: ClinicFacts, language: Language) -> dict[str, Any]:
    verdict = message.verdict
    reasons = () if verdict is None else verdict.reasons
    sentence = " ".join(reason_sentence(reason, language) for reason in reasons)
    if not sentence and event is not None:
        sentence = _consent_sentence(event, clinic, language)
    return {
        "decided": None if verdict is None else verdict.decided,
        "reasons": reasons_on_the_wire(reasons, language),
        "sentence": sentence,
    }


def _sentences(
    *,
    message: MessageRow,
    purpose: PurposeRow,
    programme: ProgrammeRow | None,
    event: EventRow | None,
    preferences: PreferenceRow,
    clinic: ClinicFacts,
    language: Language,
) -> list[str]:
    french = language is Language.FRENCH
    named = programme.name(language) if programme else message.programme
    channel = CHANNELS[message.channel][language]
    when = _moment(message.due_at, clinic, language)
    origin = (
        f"Le programme « {named} » (étape {message.step}) a prévu ce message pour le {when}, par {channel}."
        if french
        else f"The programme “{named}” (step {message.step}) planned this message for {when}, by {channel}."
    )
    if message.step == RENEW_STEP:
        origin = (
            f"Ce message, prévu pour le {when}, par {channel}, dit qu’un accord prend bientôt fin."
            if french
            else f"This message, planned for {when}, by {channel}, says that a consent ends soon."
        )
    elif not message.programme:
        origin = (
            f"Ce message a été demandé pour le {when}, par {channel} ; il n’appartient à aucun programme."
            if french
            else f"This message was asked for, for {when}, by {channel}; it belongs to no programme."
        )
    sentences = [
        origin,
        f"Sa finalité : {purpose.name(language)}." if french else f"Its purpose: {purpose.name(language)}.",
    ]
    if event is not None:
        sentences.append(_consent_sentence(event, clinic, language))
    elif not purpose.requires_consent:
        sentences.append("Cette finalité ne demande pas d’accord." if french else "This purpose needs no consent.")
    if preferences.version:
        order = ", ".join(CHANNELS[one][language] for one in preferences.channel_order)
        sentences.append(
            f"Canaux, dans l’ordre choisi : {order}." if french else f"Channels, in the order chosen: {order}."
        )
    verdict = message.verdict
    if verdict is None:
        return sentences
    sentences += [reason_sentence(reason, language) for reason in verdict.reasons]
    if verdict.until is not None:
        until = _moment(verdict.until, clinic, language)
        sentences.append(f"Pas avant le {until}." if french else f"Not before {until}.")
    if verdict.remedies == (Remedy.NONE,):
        sentences.append(remedy_sentence(Remedy.NONE, language))
    elif verdict.remedies:
        remedies = " ".join(remedy_sentence(remedy, language) for remedy in verdict.remedies)
        sentences.append(
            f"Ce qui changerait la réponse : {remedies}" if french else f"What would change this: {remedies}"
        )
    return sentences


def _consent_sentence(event: EventRow, clinic: ClinicFacts, language: Language) -> str:
    local = event.occurred_at.astimezone(ZoneInfo(clinic.time_zone))
    day = format_date(local, "long", locale=LOCALE[language])
    said, how = DECISIONS[event.decision or Decision.GIVEN][language], METHODS[event.method][language]
    if language is Language.FRENCH:
        notice = "" if event.notice_version is None else f" (notice, version {event.notice_version})"
        together = ", avec un représentant" if "representative" in event.expressed_by else ""
        return f"{said} le {day} {how}{together}{notice}."
    notice = "" if event.notice_version is None else f" (notice version {event.notice_version})"
    together = ", together with a representative" if "representative" in event.expressed_by else ""
    return f"{said} on {day} {how}{together}{notice}."


def _moment(at: datetime, clinic: ClinicFacts, language: Language) -> str:
    local = at.astimezone(ZoneInfo(clinic.time_zone))
    pattern = "d MMMM y 'à' HH:mm" if language is Language.FRENCH else "d MMMM y, HH:mm"
    return format_datetime(local.replace(tzinfo=None), pattern, locale=LOCALE[language])
