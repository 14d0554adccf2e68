"""An e-mail about an appointment brings it along for the calendar, and says no more there than the reminder does."""

import email
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import policy
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from icalendar import Calendar

from backend.messaging.calendars import appointment_entry, together
from backend.messaging.carriers import mime
from backend.messaging.delivery import deliver_due_messages
from backend.patients.models import Occasion
from backend.policy.vocabulary import Channel, Language
from backend.preferences.operations import PreferenceChange, change_preferences
from backend.programmes.operations import plan_programmes
from tests.compliance.test_row_24_no_personalisation import library  # noqa: F401 - a fixture
from tests.conftest import DAY, HOUR
from tests.factories.carriers import carriers_in_test, given_to
from tests.factories.patients import consent, make_appointment, make_patient
from tests.factories.programmes import REMINDER

NOON = datetime(2026, 3, 12, 12, 0, tzinfo=UTC)
USUAL: dict[str, Any] = {
    "occasion_id": UUID("0198a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"),
    "clinic_id": UUID("0198a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5c"),
    "clinic": "Les Lilas",
    "starts_at": NOON,
    "planned_at": NOON - timedelta(days=7),
    "said_at": NOON - timedelta(days=3),
    "language": Language.FRENCH,
}


def read(entry):
    """As the library reads it: one calendar, with one event each time."""
    (calendar,) = Calendar.from_ical(entry, multiple=True)
    assert calendar.errors == []
    for event in calendar.events:
        assert event.errors == []
    return calendar


def test_it_says_when_with_whom_and_nothing_else():
    calendar = read(appointment_entry(**USUAL))
    (event,) = calendar.events

    assert (calendar["METHOD"], calendar["VERSION"]) == ("PUBLISH", "2.0")
    assert event["UID"] == f"{USUAL['occasion_id']}@accord"
    assert event.start == NOON
    assert event["SUMMARY"] == "Rendez-vous, Les Lilas"
    assert event["ORGANIZER"].params["CN"] == "Les Lilas"
    assert set(event) == {"UID", "SEQUENCE", "DTSTAMP", "DTSTART", "SUMMARY", "ORGANIZER", "CLASS", "TRANSP"}


TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=300)


@given(clinic=TEXTS, place=TEXTS)
def test_whatever_a_clinic_or_a_place_is_called_is_read_as_it_is(clinic, place):
    entry = appointment_entry(**USUAL | {"clinic": clinic, "place": place, "language": Language.ENGLISH})
    (event,) = read(entry).events

    assert str(event["SUMMARY"]) == f"Appointment, {clinic}"
    assert str(event["LOCATION"]) == place
    assert all(len(line.encode()) <= 75 for line in entry.split("\r\n"))


def test_a_line_break_can_not_add_a_property():
    entry = appointment_entry(**USUAL | {"clinic": "A\r\nATTENDEE:mailto:eve@example.org", "place": "B\nURL:x\rZ:y"})
    (event,) = read(entry).events

    assert "ATTENDEE" not in event
    assert "URL" not in event


def test_an_appointment_that_moved_replaces_its_entry():
    (before,) = read(appointment_entry(**USUAL)).events
    moved = USUAL | {"starts_at": NOON + timedelta(days=1), "planned_at": USUAL["planned_at"] + timedelta(hours=1)}
    (after,) = read(appointment_entry(**moved)).events

    assert before["UID"] == after["UID"]
    assert before["SEQUENCE"] < after["SEQUENCE"] < 2**31


def test_several_appointments_are_one_calendar_each_once():
    other = USUAL | {"occasion_id": UUID(int=7)}
    calendar = read(together([appointment_entry(**USUAL), appointment_entry(**other), appointment_entry(**USUAL)]))

    assert {event["UID"] for event in calendar.events} == {f"{USUAL['occasion_id']}@accord", f"{UUID(int=7)}@accord"}
    assert together([]) == ""


# ------------------------------------------------------------------------------------------------------ as it is sent


def reminded(clinic, now, channel=Channel.EMAIL, **preferences):
    patient = make_patient(clinic.id, now=now - 2 * DAY, device=False)
    consent(patient, purpose=REMINDER, channels=[channel], now=now - DAY)
    if preferences:
        change_preferences(
            clinic_id=clinic.id,
            patient_id=patient.id,
            change=PreferenceChange(**preferences),
            actor=patient.actor,
            now=now - DAY,
        )
    make_appointment(
        patient, starts_at=now + DAY + 4 * HOUR, now=now, place="Service de cardiologie", practitioner="Dr Martin"
    )
    plan_programmes(now=now)
    carriers = carriers_in_test()
    deliver_due_messages(now=now, carriers=carriers)
    (message,) = given_to(carriers)
    return message


def test_a_reminder_by_email_brings_its_appointment(library, now):  # noqa: F811 - fixture
    message = reminded(library, now)

    (event,) = read(message.calendar).events
    assert event["UID"] == f"{Occasion.objects.get().id}@accord"
    assert event.start == now + DAY + 4 * HOUR
    assert event["SUMMARY"] == "Rendez-vous, Northgate"
    for telling in ("cardio", "Martin", "LOCATION"):
        assert telling not in message.calendar


def test_the_place_goes_along_where_the_patient_chose_full_messages(library, now):  # noqa: F811 - fixture
    (event,) = read(reminded(library, now, discreet=False).calendar).events

    assert event["LOCATION"] == "Service de cardiologie"


def test_an_sms_brings_none(library, now):  # noqa: F811 - fixture
    assert reminded(library, now, Channel.SMS).calendar == ""


@pytest.mark.parametrize("html", ["", "<p>Bonjour</p>"])
def test_it_travels_as_a_part_of_its_own(library, now, html):  # noqa: F811 - fixture
    message = replace(reminded(library, now), html=html)
    raw = mime.write(
        message,
        to="lea@example.org",
        sender_name="Accord",
        sender_address="no-reply@accord.example",
        domain="accord.example",
        date="Sat, 21 Nov 2026 10:00:00 +0000",
    )

    letter = email.message_from_bytes(raw, policy=policy.default)
    (attached,) = letter.iter_attachments()
    kinds = [part.get_content_type() for part in letter.walk() if not part.is_multipart()]

    assert letter.get_content_type() == "multipart/mixed"
    assert not any(part.defects for part in letter.walk())
    assert kinds == ["text/plain", *(["text/html"] if html else []), "text/calendar"]
    assert (attached.get_filename(), attached.get_param("method")) == ("rendez-vous.ics", "PUBLISH")
    assert attached.get_payload(decode=True).decode() == message.calendar
    assert letter.get_body(("plain",)).get_content().replace("\r\n", "\n").rstrip() == message.text.rstrip()
