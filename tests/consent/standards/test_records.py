"""Records read from what was really said: complete, of one patient only, and as they stand at the moment asked for."""

from datetime import timedelta

import orjson
import pytest

from backend.consent.models import ConsentEvent
from backend.consent.operations import give_consent, refuse_consent
from backend.consent.records import record_id_of, records_by_patient, records_of
from backend.consent.standards.dpv import dpv_record
from backend.consent.standards.facts import Writer
from backend.consent.standards.fhir import fhir_consents
from backend.policy.vocabulary import Channel, ConsentStatus, EventKind, Method
from tests.conftest import HOUR
from tests.consent.test_deciding import say, withdraw
from tests.factories.patients import make_patient
from tests.factories.programmes import CHANNELS, REMINDER

ON_PAPER = {"method": Method.PAPER_FORM, "evidence": {"form_reference": "F-1", "signed_on": "2026-10-14"}}


def told(patient, now):
    return {
        (one.purpose.slug, one.channel): one
        for one in records_of(clinic_id=patient.clinic_id, patient_id=patient.id, as_of=now)
    }


def test_silence_leaves_no_record(silent, now):
    assert told(silent, now) == {}


def test_a_record_holds_every_event_of_its_stream_and_the_words(silent, now):
    say(give_consent, silent, now)
    withdraw(silent, now + HOUR)

    record = told(silent, now + 2 * HOUR)[REMINDER, Channel.SMS]

    assert [event.kind for event in record.events] == [EventKind.GIVEN, EventKind.WITHDRAWN]
    assert record.status is ConsentStatus.WITHDRAWN
    assert record.words.statement == f"Nous écrivons pour : {REMINDER}."
    assert record.words.sha256 == ConsentEvent.objects.get(id=record.events[0].id).notice_sha256
    assert record.id == record_id_of(patient_id=silent.id, purpose_id=record.purpose.id, channel=Channel.SMS)
    assert [event.written_by for event in record.events] == [Writer.PATIENT, Writer.PATIENT]


def test_a_yes_that_has_run_out_does_not_stand_even_before_the_tick(silent, now):
    say(give_consent, silent, now)

    before = told(silent, now)[REMINDER, Channel.SMS]
    after = told(silent, before.holds_until)[REMINDER, Channel.SMS]

    assert (before.status, after.status) == (ConsentStatus.GIVEN, ConsentStatus.EXPIRED)
    assert told(silent, before.holds_until - timedelta(seconds=1))[REMINDER, Channel.SMS].status == "given"
    assert [one["status"] for one in fhir_consents(after)] == ["inactive"]


def test_what_staff_took_down_names_them_by_a_pseudonym(silent, reception, now):
    say(refuse_consent, silent, now, actor=reception, **ON_PAPER)

    [event] = told(silent, now)[REMINDER, Channel.SMS].events

    assert (event.written_by, event.pseudonym) == (Writer.STAFF, reception.pseudonym)
    assert [one.is_patient for one in event.spoken_by] == [True]


def test_many_patients_are_read_with_as_many_queries_as_one(consenting, northgate, now, django_assert_num_queries):
    others = [make_patient(northgate.id, now=now) for _ in range(3)]
    for one in others:
        say(give_consent, one, now)

    with django_assert_num_queries(6):
        found = records_by_patient([consenting.id, *(one.id for one in others)], clinic_id=northgate.id, as_of=now)

    assert [len(found[one.id]) for one in others] == [1, 1, 1]
    assert len(found[consenting.id]) == 2 * len(CHANNELS)
    assert {one.patient_id for one in found[consenting.id]} == {consenting.id}


def test_another_clinic_reads_nothing(consenting, southbank, now):
    assert records_by_patient([consenting.id], clinic_id=southbank.id, as_of=now) == {consenting.id: []}


@pytest.mark.parametrize("secret", ["Oui", "Camille", "+336399", "@example.org"])
def test_no_form_names_or_reaches_the_patient(consenting, now, secret):
    for record in told(consenting, now).values():
        for form in (dpv_record(record), fhir_consents(record)):
            assert secret not in orjson.dumps(form).decode()
