"""The demo clinic: its files are those that its generator writes, hold nobody real, and tell the story they promise."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Any, Literal
from uuid import UUID

import pytest
import yaml

from backend.patients.sources.fhir import read_folder
from backend.patients.sources.records import OccasionRecord, PatientRecord, Problem
from backend.policy.ages import age_on
from backend.policy.contact import (
    ConsentFact,
    ContactFacts,
    ContactPointFacts,
    FrequencyCap,
    PreferenceFacts,
    PurposeFacts,
    QuietHours,
    Verdict,
    decide,
)
from backend.policy.timing import local_instant, months_after
from backend.policy.vocabulary import (
    Channel,
    ConsentStatus,
    ContactStatus,
    Decided,
    Decision,
    Language,
    Method,
    Nature,
    Reason,
    Tone,
)
from demo.clinic.build import HERE, IDENTIFIERS, STORY_DAY, files

PARIS = "Europe/Paris"
NOW = local_instant(STORY_DAY, time(10), PARIS)
MOST_BYTES = 200_000
CHANNELS = frozenset({Channel.PUSH, Channel.SMS, Channel.EMAIL})
PURPOSES = {
    slug: PurposeFacts(slug=slug, nature=nature, requires_consent=True, channels=CHANNELS)
    for slug, nature in (("appointment_reminder", Nature.CARE), ("vaccination_recall", Nature.PREVENTION))
}
REMINDER, RECALL = PURPOSES


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A message that the story's programmes plan for the story day."""

    patient: str
    purpose: str
    expires_at: datetime


@cache
def choices() -> dict[str, dict[str, Any]]:
    chosen: dict[str, dict[str, Any]] = yaml.safe_load((HERE / "choices.yaml").read_text())
    return chosen


@cache
def imported() -> tuple[tuple[PatientRecord, ...], tuple[OccasionRecord, ...], tuple[Problem, ...]]:
    found = list(read_folder(HERE, today=STORY_DAY).records())
    return (
        tuple(each for each in found if isinstance(each, PatientRecord)),
        tuple(each for each in found if isinstance(each, OccasionRecord)),
        tuple(each for each in found if isinstance(each, Problem)),
    )


def patients() -> dict[str, PatientRecord]:
    return {patient.source_id or "": patient for patient in imported()[0]}


def patient_of(occasion: OccasionRecord) -> str:
    about = occasion.patient
    if about.source_id is not None:
        return about.source_id
    return next(each.source_id or "" for each in imported()[0] if about.identifier in each.identifiers)


def due_messages() -> Iterator[Due]:
    """Reminders three days and one day ahead, in the order of the appointments; then the recalls."""
    last_doses: dict[str, date] = {}
    appointments = sorted(
        (each.starts_at, patient_of(each))
        for each in imported()[1]
        if each.kind == "appointment" and each.status == "booked" and each.starts_at is not None
    )
    for starts_at, patient in appointments:
        if starts_at.date() - STORY_DAY in {timedelta(days=1), timedelta(days=3)}:
            yield Due(patient=patient, purpose=REMINDER, expires_at=starts_at)
    for dose in imported()[1]:
        if dose.topic == "influenza" and dose.status == "done" and dose.starts_at is not None:
            patient, day = patient_of(dose), dose.starts_at.date()
            last_doses[patient] = max(day, last_doses.get(patient, day))
    for patient, day in sorted(last_doses.items()):
        due = months_after(day, 11)
        if due <= STORY_DAY < due + timedelta(days=60):
            ends = local_instant(due + timedelta(days=60), time(), PARIS)
            yield Due(patient=patient, purpose=RECALL, expires_at=ends)


def contact_point(patient: PatientRecord, channel: Channel) -> ContactPointFacts:
    chosen = choices().get(patient.source_id or "", {})
    if channel is Channel.PUSH:
        return ContactPointFacts(status=ContactStatus.VERIFIED if chosen.get("app") else None)
    kind = "email" if channel is Channel.EMAIL else "phone"
    there = [each for each in patient.telecoms if each.kind == kind and each.mobile is not False]
    if not there:
        return ContactPointFacts(status=None)
    if not any(each.usable for each in there):
        return ContactPointFacts(status=ContactStatus.UNUSABLE)
    return ContactPointFacts(status=ContactStatus(chosen.get("contact_points", {}).get(channel, "unverified")))


def consents(chosen: Mapping[str, Any]) -> tuple[ConsentFact, ...]:
    stands: dict[tuple[str, str], ConsentFact] = {}
    for said in chosen.get("consents", ()):
        for channel in said["channels"]:
            stands[said["purpose"], channel] = ConsentFact(
                purpose=said["purpose"],
                channel=Channel(channel),
                status=ConsentStatus(said.get("decision", "given")),
                event_id=UUID(int=1),
            )
    return tuple(stands.values())


def preference(chosen: Mapping[str, Any], contacts: tuple[datetime, ...]) -> PreferenceFacts:
    wanted = chosen.get("preferences", {})
    paused_until, quiet = wanted.get("paused_until"), wanted.get("quiet_hours")
    return PreferenceFacts(
        purposes_off=frozenset(slug for slug, is_on in wanted.get("purposes", {}).items() if not is_on),
        paused_until=datetime.fromisoformat(paused_until) if paused_until else None,
        quiet_hours=QuietHours(
            starts=time.fromisoformat(quiet["from"]),
            ends=time.fromisoformat(quiet["to"]),
            time_zone=quiet["time_zone"],
        )
        if quiet
        else None,
        cap=FrequencyCap(**wanted["frequency"]) if "frequency" in wanted else None,
        recent_contacts=contacts,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What becomes of one message of the story."""

    patient: str
    purpose: str
    channel: Channel
    verdict: Verdict


def outcomes() -> list[Outcome]:
    """Each message by the first channel that may be used, in the patient's order; else why the first may not.

    Only channels about which the patient said anything are asked, or SMS when there is none.
    """
    found: list[Outcome] = []
    for due in due_messages():
        chosen = choices().get(due.patient, {})
        asked = [Channel(each) for each in chosen.get("preferences", {}).get("channel_order", ())]
        said = [consent.channel for consent in consents(chosen) if consent.purpose == due.purpose]
        possible = [each for each in asked if each in said] + [each for each in said if each not in asked]
        contacts = tuple(NOW for each in found if each.patient == due.patient and each.verdict.decided is Decided.ALLOW)
        verdicts = [(channel, verdict_on(due, channel, contacts)) for channel in possible or [Channel.SMS]]
        channel, verdict = next((each for each in verdicts if each[1].decided is Decided.ALLOW), verdicts[0])
        found.append(Outcome(patient=due.patient, purpose=due.purpose, channel=channel, verdict=verdict))
    return found


def verdict_on(due: Due, channel: Channel, contacts: tuple[datetime, ...]) -> Verdict:
    patient, chosen = patients()[due.patient], choices().get(due.patient, {})
    return decide(
        ContactFacts(
            now=NOW,
            channel=channel,
            purpose=PURPOSES[due.purpose],
            deceased=patient.deceased,
            erased=False,
            restricted=False,
            objections=frozenset(),
            consents=consents(chosen),
            contact_point=contact_point(patient, channel),
            preference=preference(chosen, contacts),
            time_zone=PARIS,
            expires_at=due.expires_at,
        )
    )


def handed_over() -> set[tuple[int, str, str, str, str]]:
    """Number, purpose, channel, language and tone of all that is sent."""
    return {
        (
            int(each.patient[-2:]),
            "reminder" if each.purpose == REMINDER else "recall",
            each.channel,
            choices()[each.patient]["preferences"]["language"],
            choices()[each.patient]["preferences"]["tone"],
        )
        for each in outcomes()
        if each.verdict.decided is Decided.ALLOW
    }


def test_the_files_are_those_that_the_generator_writes() -> None:
    written = {str(path.relative_to(HERE)): path.read_bytes() for path in HERE.rglob("*.ndjson")}

    assert written == files()
    assert files() == files()


def test_every_file_is_small() -> None:
    assert max(path.stat().st_size for path in HERE.rglob("*") if path.is_file()) < MOST_BYTES


def test_telephone_numbers_are_kept_for_fiction_and_addresses_for_examples() -> None:
    mobile, landline = re.compile(r"(\+33|0)63998\d{4}"), re.compile(r"0(19900|26191|35301|46571|53649)\d{4}")
    resources = [json.loads(line) for content in files().values() for line in content.splitlines()]
    telecoms = [each for resource in resources for each in resource.get("telecom", ())]
    assert len(telecoms) > 40

    for each in telecoms:
        value = each["value"]
        if each["system"] == "email":
            assert re.search(r"[@.](example\.org|example\.com|exemple\.example)$", value), value
        elif value not in {"06 12", "06 39 98 dix-sept"}:
            plain = re.sub(r"\(0\)|[ .\-]", "", value).replace("0033", "+33")
            assert mobile.fullmatch(plain) or landline.fullmatch(plain), value


def test_identifiers_are_the_clinics_own() -> None:
    systems = {each.system for patient in imported()[0] for each in patient.identifiers}

    assert systems == {IDENTIFIERS}


def test_the_import_takes_all_of_it_and_names_what_can_not_be_used() -> None:
    patients_, occasions, problems = imported()

    assert len(patients_) == 41
    assert {patient_of(each) for each in occasions} <= set(patients())
    assert [(each.where.line, each.field, each.kind, str(each.reason)) for each in problems] == [
        (16, "telecom[0].value", "unusable", "phone_incomplete"),
        (17, "telecom[0].value", "unusable", "phone_not_a_number"),
        (17, "telecom[1].value", "unusable", "email_not_valid"),
        (21, "telecom[0].value", "unusable", "contact_ended"),
    ]
    assert sum(patient.deceased for patient in patients_) == 2


def test_later_in_the_day_one_appointment_has_moved_and_one_is_cancelled() -> None:
    before = {each.source_id: each for each in imported()[1]}

    later = [each for each in read_folder(HERE / "later").records() if isinstance(each, OccasionRecord)]

    moved, cancelled = later
    assert moved.starts_at is not None
    assert moved.starts_at.date() == date(2026, 10, 20)
    assert before[moved.source_id].starts_at != moved.starts_at
    assert (before[cancelled.source_id].status, cancelled.status) == ("booked", "cancelled")


def test_nobody_works_on_a_sunday() -> None:
    assert not [each for each in imported()[1] if each.starts_at is not None and each.starts_at.weekday() == 6]


def test_every_patient_has_one_line_in_the_readme() -> None:
    lines = re.findall(r"^\| (\d\d) \| ([^|]+) \|", (HERE / "README.md").read_text(), re.MULTILINE)

    told = dict(lines)
    assert len(told) == len(lines)
    for source_id, patient in patients().items():
        who = told.pop(source_id[-2:])
        assert patient.family_name in who
        assert patient.given_names[0] in who
        age = re.search(r", (\d+)", who)
        assert patient.birth_date is not None
        assert patient.deceased or (age is not None and int(age[1]) == age_on(patient.birth_date, STORY_DAY))
        assert ("has the app" in who) == bool(choices().get(source_id, {}).get("app"))
    assert told == {}


def test_the_choices_are_of_patients_in_words_that_everybody_knows() -> None:
    assert set(choices()) <= set(patients())
    for chosen in choices().values():
        assert chosen.keys() <= {"app", "contact_points", "consents", "preferences", "representative", "withdraws"}
        for said in (*chosen.get("consents", ()), *chosen.get("representative", {}).get("consents", ())):
            assert said["purpose"] in PURPOSES
            assert {Channel(each) for each in said["channels"]} <= CHANNELS
            assert Method(said["method"]) in {Method.APP, Method.PAPER_FORM}
            assert said["method"] == Method.PAPER_FORM or chosen.get("app") or "verified" in str(chosen)
            Decision(said.get("decision", "given"))
        wanted = chosen.get("preferences", {})
        assert wanted.keys() <= {
            "channel_order",
            "tone",
            "language",
            "discreet",
            "quiet_hours",
            "paused_until",
            "purposes",
            "frequency",
        }
        if wanted:
            assert wanted["tone"] in set(Tone)
            assert wanted["language"] in set(Language)


def test_contact_points_that_somebody_vouches_for_are_usable() -> None:
    for source_id, chosen in choices().items():
        for channel, status in chosen.get("contact_points", {}).items():
            assert contact_point(patients()[source_id], Channel(channel)).status == status


def test_who_is_due_on_the_story_day() -> None:
    due = list(due_messages())

    reminders = [int(each.patient[-2:]) for each in due if each.purpose == REMINDER]
    assert reminders == [21, 2, 28, 13, 8, 25, 1, 16, 24, 26, 14, 4, 19, 25, 27, 23, 9, 3, 5, 26]
    recalls = [int(each.patient[-2:]) for each in due if each.purpose == RECALL]
    assert recalls == [2, 6, 7, 10, 11, 13, 14, 15, 17, 18, 22, 26, 37, 38, 39]


def test_what_is_handed_over() -> None:
    assert handed_over() == {
        (1, "reminder", "push", "fr", "informal"),
        (2, "reminder", "email", "fr", "formal"),
        (2, "recall", "email", "fr", "formal"),
        (3, "reminder", "push", "fr", "informal"),
        (4, "reminder", "sms", "fr", "plain"),
        (6, "recall", "sms", "fr", "formal"),
        (7, "recall", "sms", "fr", "formal"),
        (13, "reminder", "push", "en", "informal"),
        (13, "recall", "email", "en", "informal"),
        (14, "reminder", "sms", "en", "formal"),
        (15, "recall", "email", "en", "plain"),
        (18, "recall", "email", "fr", "formal"),
        (22, "recall", "push", "fr", "formal"),
        (25, "reminder", "email", "fr", "formal"),
        (26, "reminder", "sms", "fr", "informal"),
        (26, "recall", "email", "fr", "informal"),
        (27, "reminder", "push", "fr", "informal"),
        (28, "reminder", "sms", "fr", "formal"),
        (37, "recall", "sms", "fr", "plain"),
    }


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize("channel", sorted(CHANNELS))
def test_what_is_handed_over_covers_each_channel_in_each_language(channel: Channel, language: Language) -> None:
    assert any(sent[2:4] == (channel, language) for sent in handed_over())


def test_what_is_handed_over_covers_each_tone_and_both_ways_to_consent() -> None:
    sent = handed_over()

    assert {each[4] for each in sent} == set(Tone)
    by: set[str] = {said["method"] for each in sent for said in choices()[f"tilleuls-{each[0]:02}"]["consents"]}
    assert by == {"app", "paper_form"}


WITHHELD: list[tuple[int, Literal["reminder", "recall"], set[Reason]]] = [
    (21, "reminder", {Reason.PAUSED, Reason.TOO_LATE}),
    (8, "reminder", {Reason.CONSENT_REFUSED}),
    (16, "reminder", {Reason.CONTACT_UNUSABLE}),
    (24, "reminder", {Reason.PURPOSE_SWITCHED_OFF}),
    (19, "reminder", {Reason.NO_CONSENT}),
    (25, "reminder", {Reason.FREQUENCY_CAP, Reason.TOO_LATE}),
    (23, "reminder", {Reason.CONSENT_WITHDRAWN}),
    (9, "reminder", {Reason.DECEASED, Reason.NO_CONSENT, Reason.CONTACT_UNVERIFIED}),
    (5, "reminder", {Reason.NO_CONSENT, Reason.NO_CONTACT_POINT}),
    (10, "recall", {Reason.DECEASED, Reason.NO_CONSENT, Reason.NO_CONTACT_POINT}),
    (11, "recall", {Reason.NO_CONSENT, Reason.NO_CONTACT_POINT}),
    (14, "recall", {Reason.NO_CONSENT}),
    (17, "recall", {Reason.CONTACT_UNUSABLE}),
    (38, "recall", {Reason.QUIET_HOURS}),
    (39, "recall", {Reason.CONSENT_REFUSED}),
]


def test_what_is_withheld_or_deferred_and_why() -> None:
    found = [
        (int(each.patient[-2:]), "reminder" if each.purpose == REMINDER else "recall", set(each.verdict.reasons))
        for each in outcomes()
        if each.verdict.decided is not Decided.ALLOW
    ]

    assert found == WITHHELD


def test_quiet_hours_only_defer_until_noon() -> None:
    (deferred,) = [each for each in outcomes() if each.verdict.decided is Decided.DEFER]

    assert deferred.patient == "tilleuls-38"
    assert deferred.verdict.until == datetime(2026, 10, 12, 10, tzinfo=UTC)


def test_one_patient_withdraws_while_several_messages_are_queued() -> None:
    ((source_id, chosen),) = [each for each in choices().items() if "withdraws" in each[1]]

    assert chosen["withdraws"] == {"purpose": REMINDER, "channel": "sms"}
    booked = [
        each.starts_at
        for each in imported()[1]
        if each.kind == "appointment" and each.status == "booked" and patient_of(each) == source_id
    ]
    assert len(booked) == 3
    assert {sent[1:3] for sent in handed_over() if sent[0] == int(source_id[-2:])} == {
        ("reminder", "sms"),
        ("recall", "email"),
    }
