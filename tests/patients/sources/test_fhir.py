import json
import os
from datetime import UTC, date, datetime

import pytest

from backend.patients.sources.fhir import SourceRefused, parse_resource, read_bundle, read_folder
from backend.patients.sources.records import (
    Identifier,
    OccasionRecord,
    PatientRecord,
    Problem,
    Reference,
    RelatedPersonRecord,
    Where,
)

HERE = Where(file="Patient.ndjson", line=1)
TODAY = date(2026, 10, 14)
ANOTHER_BUNDLE: tuple[object, ...] = (
    "history",
    "transaction-response",
    "batch-response",
    "document",
    "message",
    "Batch",
    7,
    [],
)
BY_ID = Reference(identifier=None, source_id="p1")


def patient(**parts):
    return {"resourceType": "Patient", "id": "p1", "name": [{"family": "Durand", "given": ["Zoé"]}], **parts}


def appointment(**parts):
    actor = {"actor": {"reference": "Patient/p1"}, "status": "accepted"}
    return {
        "resourceType": "Appointment",
        "id": "a1",
        "status": "booked",
        "start": "2026-12-01T10:00:00+01:00",
        "participant": [actor],
        **parts,
    }


def immunisation(**parts):
    return {
        "resourceType": "Immunization",
        "id": "i1",
        "status": "completed",
        "vaccineCode": {"coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": "140", "display": "Influenza"}]},
        "patient": {"reference": "Patient/p1"},
        "occurrenceDateTime": "2025-10-20",
        **parts,
    }


def encounter(**parts):
    return {
        "resourceType": "Encounter",
        "id": "e1",
        "status": "finished",
        "subject": {"reference": "Patient/p1"},
        "period": {"start": "2026-01-01T10:00:00Z", "end": "2026-01-01T11:00:00Z"},
        **parts,
    }


def read(resource, **options):
    """The record, and each problem as kind, field and reason."""
    record, problems = parse_resource(resource, where=HERE, **{"today": TODAY, **options})
    return record, [(problem.kind, problem.field, problem.reason) for problem in problems]


def refusal(resource):
    record, problems = read(resource)
    assert record is None
    [(kind, field, reason)] = problems
    assert kind == "refused"
    return field, reason


def test_a_patient_is_read_whole():
    record, problems = read(
        patient(
            identifier=[{"system": "urn:oid:1.2.250.1.213.1.4.10", "value": "1234"}],
            name=[
                {"use": "maiden", "family": "Petit"},
                {"use": "official", "family": " De  La\nTour ", "given": ["Zoé", None, "Anne"]},
            ],
            birthDate="1980-12-31",
            gender="female",
            communication=[
                {"language": {"coding": [{"code": "en-US"}]}},
                {"language": {"coding": [{"code": "fr-FR"}]}, "preferred": True},
            ],
            telecom=[
                {"system": "phone", "value": "06 39 98 12 34", "use": "mobile", "rank": 1},
                {"system": "email", "value": "zoe@Example.org"},
            ],
            address=[
                {"use": "old", "city": "Lyon"},
                {"use": "home", "line": ["1 rue X"], "postalCode": "75001", "city": "Paris", "country": "FR"},
            ],
        )
    )

    assert problems == []
    assert isinstance(record, PatientRecord)
    assert record.identifiers == (Identifier(system="urn:oid:1.2.250.1.213.1.4.10", value="1234"),)
    assert (record.family_name, record.given_names) == ("De La Tour", ("Zoé", "Anne"))
    assert (record.birth_date, record.gender, record.language) == (date(1980, 12, 31), "female", "fr")
    assert [each.value for each in record.telecoms] == ["+33639981234", "zoe@example.org"]
    assert (record.telecoms[0].mobile, record.telecoms[0].use, record.telecoms[0].rank) == (True, "mobile", 1)
    assert (record.address_lines, record.postal_code, record.city) == (("1 rue X",), "75001", "Paris")
    assert (record.active, record.deceased) == (True, False)


@pytest.mark.parametrize(
    ("parts", "field", "reason"),
    [
        ({"id": 7}, "id", "wrong_type"),
        ({"id": "a b"}, "id", "id_not_valid"),
        ({"name": "Durand"}, "name", "wrong_type"),
        ({"name": [{"family": 5}]}, "name[0].family", "wrong_type"),
        ({"name": [{"family": "x" * 201}]}, "name[0].family", "too_long"),
        ({"name": [{"family": "x" * 10_000_000}]}, "name[0].family", "too_long"),
        ({"name": [{"family": "a\u0000b"}]}, "name[0].family", "bad_character"),
        ({"name": [{"family": "a\ud800b"}]}, "name[0].family", "bad_character"),
        ({"name": [{"given": ["x"] * 21}]}, "name[0].given", "too_many"),
        ({"name": [{"given": ["x", 2]}]}, "name[0].given[1]", "wrong_type"),
        ({"telecom": [{}] * 21}, "telecom", "too_many"),
        ({"telecom": ["0639981234"]}, "telecom[0]", "wrong_type"),
        ({"telecom": [{"system": "phone", "value": 639981234}]}, "telecom[0].value", "wrong_type"),
        ({"identifier": [{}] * 51}, "identifier", "too_many"),
        ({"link": [{"type": "replaced-by", "other": {}}]}, "link[0].type", "patient_replaced"),
        ({"modifierExtension": [{"url": "x"}]}, "modifierExtension", "modifier_not_understood"),
        ({"id": None}, "identifier", "no_identifier"),
        ({"resourceType": "Practitioner"}, "resourceType", "resource_not_read"),
        ({"resourceType": None}, "resourceType", "missing"),
        ({"resourceType": ["Patient"]}, "resourceType", "wrong_type"),
    ],
)
def test_a_patient_who_can_not_be_read_is_refused_with_the_field(parts, field, reason):
    assert refusal(patient(**parts)) == (field, reason)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("1980", "date_incomplete"),
        ("1980-05", "date_incomplete"),
        ("1980-02-30", "date_impossible"),
        ("31/12/1980", "date_not_understood"),
        (1980, "wrong_type"),
        ("x" * 201, "too_long"),
        ("0980-01-01", "date_out_of_range"),
        ("2027-01-01", "date_in_future"),
        ("2027", "date_in_future"),
    ],
)
def test_a_date_of_birth_that_can_not_be_used_is_reported_and_not_guessed(given, reason):
    record, problems = read(patient(birthDate=given))

    assert record.birth_date is None
    assert problems == [("unusable", "birthDate", reason)]


@pytest.mark.parametrize("given", ["yes", "true", 1, [True], "x" * 201])
def test_whoever_may_not_be_active_is_not(given):
    record, problems = read(patient(active=given))

    assert record.active is False
    assert problems == [("unusable", "active", "wrong_type")]


@pytest.mark.parametrize(
    ("parts", "field", "reason"),
    [
        ({"deceasedBoolean": "true"}, "deceasedBoolean", "wrong_type"),
        ({"deceasedBoolean": "false"}, "deceasedBoolean", "wrong_type"),
        ({"deceasedBoolean": 0}, "deceasedBoolean", "wrong_type"),
        ({"deceasedDateTime": 2020}, "deceasedDateTime", "wrong_type"),
        ({"deceasedDateTime": True}, "deceasedDateTime", "wrong_type"),
        ({"deceasedDateTime": "x" * 201}, "deceasedDateTime", "too_long"),
        ({"deceasedDateTime": "2020\u0001"}, "deceasedDateTime", "bad_character"),
        ({"deceasedBoolean": False, "deceasedDateTime": "soon"}, "deceasedDateTime", "date_not_understood"),
    ],
)
def test_what_is_said_of_a_death_and_can_not_be_read_marks_the_dead(parts, field, reason):
    record, problems = read(patient(**parts))

    assert (record.deceased, record.deceased_at) == (True, None)
    assert problems == [("unusable", field, reason)]


def test_a_death_on_a_day_counts_whatever_else_stands_there():
    record, problems = read(patient(deceasedBoolean="no", deceasedDateTime="2020-03-12"))

    assert (record.deceased, record.deceased_at) == (True, date(2020, 3, 12))
    assert problems == [("unusable", "deceasedBoolean", "wrong_type")]


@pytest.mark.parametrize(("given", "reason"), [(True, "wrong_type"), (0, "number_out_of_range")])
def test_a_rank_that_is_none_does_not_cost_the_patient(given, reason):
    record, problems = read(patient(telecom=[{"system": "phone", "value": "0639981234", "rank": given}]))

    assert (record.telecoms[0].usable, record.telecoms[0].rank) == (True, None)
    assert problems == [("unusable", "telecom[0].rank", reason)]


@pytest.mark.parametrize(
    ("given", "reason"),
    [(10**18, "number_out_of_range"), (0, "number_out_of_range"), (-5, "number_out_of_range"), ("30", "wrong_type")],
)
def test_a_duration_that_can_not_be_used_does_not_cost_the_appointment(given, reason):
    record, problems = read(appointment(end=None, minutesDuration=given))

    assert record.ends_at is None
    assert problems == [("unusable", "minutesDuration", reason)]


@pytest.mark.parametrize(
    ("parts", "at", "reasons"),
    [
        ({"deceasedBoolean": True}, None, []),
        ({"deceasedDateTime": "2020-03-12"}, date(2020, 3, 12), []),
        ({"deceasedDateTime": "2020-03-12T10:00:00Z"}, datetime(2020, 3, 12, 10, tzinfo=UTC), []),
        ({"deceasedDateTime": "2020"}, None, ["date_incomplete"]),
        ({"deceasedDateTime": "2020-02-31"}, None, ["date_impossible"]),
        ({"deceasedDateTime": "last spring"}, None, ["date_not_understood"]),
        ({"deceasedDateTime": "2020-03-12T10:00:00"}, None, ["offset_missing"]),
        ({"deceasedBoolean": False, "deceasedDateTime": "2020-03-12"}, date(2020, 3, 12), []),
        ({"_deceasedDateTime": {"extension": [{"url": "data-absent-reason"}]}}, None, []),
    ],
)
def test_whatever_the_date_of_death_the_dead_are_marked(parts, at, reasons):
    record, problems = read(patient(**parts))

    assert (record.deceased, record.deceased_at) == (True, at)
    assert [reason for _, _, reason in problems] == reasons


@pytest.mark.parametrize(
    "parts",
    [{"deceasedBoolean": False}, {"deceasedBoolean": None}, {"deceasedDateTime": ""}, {"deceasedDateTime": " "}],
)
def test_the_living_are_not_marked(parts):
    assert read(patient(**parts))[0].deceased is False


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({"use": "old"}, "contact_ended"),
        ({"period": {"end": "2026-10-13"}}, "contact_ended"),
        ({"period": {"end": "2025"}}, "contact_ended"),
        ({"period": {"start": "2026-10-15"}}, "contact_not_started"),
        ({"period": {"start": "2020-01-01", "end": "2026-10-14"}}, None),
        ({"period": {"end": "2026"}}, None),
    ],
)
def test_a_contact_point_out_of_its_time_is_kept_and_not_usable(parts, reason):
    record, problems = read(patient(telecom=[{"system": "phone", "value": "0639981234", **parts}]))

    assert [(each.usable, each.reason, each.raw) for each in record.telecoms] == [
        (reason is None, reason, "0639981234")
    ]
    assert [each[2] for each in problems] == ([reason] if reason else [])


def test_without_a_date_of_today_a_contact_point_with_an_end_has_ended():
    telecom = [{"system": "phone", "value": "0639981234", "period": {"end": "2099-01-01"}}]

    assert read(patient(telecom=telecom), today=None)[0].telecoms[0].reason == "contact_ended"


@pytest.mark.parametrize(
    ("telecom", "field", "reason"),
    [
        ({"system": "fax", "value": "0142345678"}, "telecom[0].system", "contact_system_not_used"),
        ({"value": "0142345678"}, "telecom[0].system", "contact_system_missing"),
        ({"system": "phone"}, "telecom[0]", "contact_empty"),
        ({"system": "phone", "value": "12"}, "telecom[0].value", "phone_incomplete"),
        ({"system": "phone", "value": "0639981234", "use": "desk"}, "telecom[0].use", "code_not_understood"),
    ],
)
def test_a_contact_point_that_is_not_used_is_reported(telecom, field, reason):
    assert read(patient(telecom=[telecom]))[1] == [("unusable", field, reason)]


def test_a_number_is_read_in_the_plan_of_the_country_of_the_address():
    telecom = [{"system": "sms", "value": "07400 123456"}]

    assert read(patient(telecom=telecom, address=[{"country": "GB"}]))[0].telecoms[0].value == "+447400123456"
    assert read(patient(telecom=telecom))[0].telecoms[0].usable is False


@pytest.mark.parametrize(
    ("parts", "problem"),
    [
        ({"name": []}, ("unusable", "name", "name_missing")),
        ({"name": [{"given": ["Zoé"]}]}, ("unusable", "name[0].family", "name_missing")),
        ({"gender": "F"}, ("unusable", "gender", "code_not_understood")),
        ({"identifier": [{"value": "1"}]}, ("unusable", "identifier[0]", "identifier_incomplete")),
        (
            {"communication": [{"language": {"coding": [{"code": "de"}]}}]},
            ("unusable", "communication", "language_not_available"),
        ),
    ],
)
def test_what_is_left_out_of_a_patient_is_reported(parts, problem):
    record, problems = read(patient(**parts))

    assert record is not None
    assert problems == [problem]


def test_a_related_person_stands_by_a_patient_in_a_role():
    record, problems = read(
        {
            "resourceType": "RelatedPerson",
            "id": "r1",
            "patient": {"reference": "Patient/p1"},
            "relationship": [{"coding": [{"code": "C"}, {"code": "MTH"}]}],
            "name": [{"family": "Durand"}],
            "telecom": [{"system": "phone", "value": "0639981234"}],
            "period": {"start": "2020", "end": "2026-05"},
        }
    )

    assert isinstance(record, RelatedPersonRecord)
    assert (record.patient, record.relationship) == (BY_ID, "mother")
    # Of an incomplete date the day that makes the time shorter.
    assert (record.starts_on, record.ends_on) == (date(2020, 12, 31), date(2026, 5, 1))
    assert [each[1:] for each in problems] == [
        ("period.start", "date_incomplete"),
        ("period.end", "date_incomplete"),
    ]


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ({"reference": "Patient/p1"}, BY_ID),
        ({"reference": "Patient/p1/_history/3"}, BY_ID),
        ({"reference": "https://example.org/fhir/Patient/p1"}, BY_ID),
        ({"reference": "urn:uuid:p1"}, BY_ID),
        (
            {"reference": "Patient?identifier=https://example.org/ipp|12%2034"},
            Reference(identifier=Identifier(system="https://example.org/ipp", value="12 34"), source_id=None),
        ),
        (
            {"reference": "Patient?identifier=urn%3Aoid%3A1.2%7C7"},
            Reference(identifier=Identifier(system="urn:oid:1.2", value="7"), source_id=None),
        ),
        (
            {"type": "Patient", "identifier": {"system": "urn:oid:1.2", "value": "7"}},
            Reference(identifier=Identifier(system="urn:oid:1.2", value="7"), source_id=None),
        ),
    ],
)
def test_a_patient_is_referred_to_by_id_by_search_or_by_identifier(reference, expected):
    assert read(immunisation(patient=reference))[0].patient == expected


@pytest.mark.parametrize(
    ("reference", "field", "reason"),
    [
        ({}, "patient.reference", "reference_not_understood"),
        ({"reference": "#contained"}, "patient.reference", "reference_not_understood"),
        ({"reference": "Patient/"}, "patient.reference", "reference_not_understood"),
        ({"reference": "Patient?name=Durand"}, "patient.reference", "reference_not_understood"),
        ({"reference": "Patient?identifier=1234"}, "patient.reference", "reference_not_understood"),
        ({"reference": "Patient?identifier=a|b&x=y"}, "patient.reference", "reference_not_understood"),
        ({"reference": "Group/p1"}, "patient.reference", "reference_not_patient"),
        ({"type": "Group", "identifier": {"system": "a", "value": "b"}}, "patient.reference", "reference_not_patient"),
        ("Patient/p1", "patient", "wrong_type"),
        (None, "patient", "missing"),
    ],
)
def test_a_reference_that_leads_to_no_patient_is_refused(reference, field, reason):
    assert refusal(immunisation(patient=reference)) == (field, reason)


def test_an_appointment_has_its_time_its_place_and_its_people():
    record, problems = read(
        appointment(
            minutesDuration=30,
            serviceType=[{"text": "Consultation"}],
            participant=[
                {"actor": {"reference": "Patient/p1"}},
                {"actor": {"reference": "Location/l1", "display": "Cabinet 2"}},
                {"actor": {"reference": "Practitioner?identifier=x|1", "display": "Dr Roux"}},
            ],
        )
    )

    assert problems == []
    assert isinstance(record, OccasionRecord)
    assert (record.kind, record.status, record.topic, record.patient) == ("appointment", "booked", "", BY_ID)
    assert (record.starts_at, record.ends_at) == (
        datetime(2026, 12, 1, 9, tzinfo=UTC),
        datetime(2026, 12, 1, 9, 30, tzinfo=UTC),
    )
    assert record.starts_at.utcoffset().total_seconds() == 3600
    assert (record.place, record.practitioner, record.label) == ("Cabinet 2", "Dr Roux", "Consultation")


@pytest.mark.parametrize(
    ("parts", "field", "reason"),
    [
        ({"start": None}, "start", "missing"),
        ({"start": "2026-12-01"}, "start", "date_not_understood"),
        ({"start": "2026-12-01T10:00:00"}, "start", "offset_missing"),
        ({"start": "2026-12-01T25:00:00Z"}, "start", "date_impossible"),
        ({"start": "2026-12-01T10:00:00+15:00"}, "start", "date_impossible"),
        ({"start": "0001-01-01T00:00:00+14:00"}, "start", "date_out_of_range"),
        ({"status": "soon"}, "status", "code_not_understood"),
        ({"status": None}, "status", "missing"),
        ({"participant": []}, "participant", "missing"),
        (
            {"participant": [{"actor": {"reference": f"Patient/p{n}"}} for n in (1, 2)]},
            "participant[1]",
            "several_patients",
        ),
    ],
)
def test_an_appointment_that_can_not_be_kept_is_refused(parts, field, reason):
    assert refusal(appointment(**parts)) == (field, reason)


@pytest.mark.parametrize(
    ("status", "expected"),
    [("proposed", "pending"), ("arrived", "fulfilled"), ("noshow", "missed"), ("entered-in-error", "entered_in_error")],
)
def test_the_status_of_an_appointment_is_said_in_our_words(status, expected):
    assert read(appointment(status=status))[0].status == expected


def test_an_appointment_that_the_patient_declined_is_cancelled():
    participant = [{"actor": {"reference": "Patient/p1"}, "status": "declined"}]

    assert read(appointment(participant=participant))[0].status == "cancelled"


def test_an_end_before_the_start_is_left_out_and_reported():
    record, problems = read(encounter(period={"start": "2026-01-02T10:00:00Z", "end": "2026-01-01T10:00:00Z"}))

    assert (record.status, record.ends_at) == ("done", None)
    assert problems == [("unusable", "period.end", "end_before_start")]


def test_a_leap_second_is_the_second_before():
    record, _ = read(encounter(period={"start": "2016-12-31T23:59:60Z"}))

    assert record.starts_at == datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)


def test_a_vaccination_on_a_day_is_at_its_first_moment_at_the_clinic():
    record, problems = read(immunisation())

    assert problems == []
    assert (record.kind, record.topic, record.label) == ("immunisation", "influenza", "Influenza")
    assert record.starts_at == datetime(2025, 10, 19, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    ("parts", "problem"),
    [
        ({"occurrenceDateTime": "2015"}, ("unusable", "occurrenceDateTime", "date_incomplete")),
        (
            {"occurrenceDateTime": None, "occurrenceString": "as a child"},
            ("unusable", "occurrenceString", "date_not_understood"),
        ),
    ],
)
def test_a_vaccination_without_a_day_is_kept_without_a_time(parts, problem):
    record, problems = read(immunisation(**parts))

    assert record.starts_at is None
    assert problems == [problem]


@pytest.mark.parametrize(
    ("system", "code", "topic"),
    [
        ("http://hl7.org/fhir/sid/cvx", "03", "mmr"),
        ("http://hl7.org/fhir/sid/cvx", "3", "mmr"),
        ("http://hl7.org/fhir/sid/cvx", "313", "covid_19"),
        ("http://hl7.org/fhir/sid/cvx", "43", "other_vaccine"),
        ("http://hl7.org/fhir/sid/cvx", "128", "other_vaccine"),
        ("http://snomed.info/sct", "1181000221105", "influenza"),
        ("http://snomed.info/sct", "1119349007", "covid_19"),
        ("http://www.whocc.no/atc", "J07BB02", "influenza"),
        ("http://www.whocc.no/atc", "J07BC01", "other_vaccine"),
        ("http://www.whocc.no/atc", "J07CA02", "dtp"),
        ("http://example.org/own", "140", "other_vaccine"),
    ],
)
def test_the_code_of_a_vaccine_becomes_a_topic_that_is_no_diagnosis(system, code, topic):
    assert read(immunisation(vaccineCode={"coding": [{"system": system, "code": code}]}))[0].topic == topic


# ---- folders


def test_files_are_known_by_their_names_and_patients_come_first(export):
    folder = export(
        {
            "encounter_file_1.ndjson": [encounter()],
            "PATIENT.001.NDJSON": [patient()],
            "export-7.ndjson": [appointment()],
            "AppointmentResponse.ndjson": [{"resourceType": "AppointmentResponse"}],
            "Location.000.ndjson": [{"resourceType": "Location"}, {"resourceType": "Location"}],
            "notes.txt": ["hello"],
        }
    )

    assert [(file.path.name, file.resource_type) for file in folder.files] == [
        ("PATIENT.001.NDJSON", "Patient"),
        ("export-7.ndjson", "Appointment"),
        ("encounter_file_1.ndjson", "Encounter"),
    ]
    assert [(each.file, each.resource_type, each.lines) for each in folder.ignored()] == [
        ("AppointmentResponse.ndjson", "AppointmentResponse", 1),
        ("Location.000.ndjson", "Location", 2),
        ("notes.txt", "", None),
    ]
    assert len([each for each in folder.records() if not isinstance(each, Problem)]) == 3
    assert folder.position == folder.size > 0


def test_a_resource_of_another_type_is_refused_in_its_line(export):
    folder = export({"Patient.ndjson": [patient(), {"resourceType": "Encounter", "id": "e1"}, {"id": "x"}]})

    refused = [each for each in folder.records() if isinstance(each, Problem)]

    assert [(each.where.line, each.field, each.reason) for each in refused] == [
        (2, "resourceType", "wrong_resource_type"),
        (3, "resourceType", "missing"),
    ]


@pytest.mark.parametrize(
    ("second", "field"),
    [
        (patient(), "id"),
        (patient(id="p2", identifier=[{"system": "ipp", "value": "1"}]), "identifier"),
    ],
)
def test_of_a_patient_who_is_there_twice_the_first_is_kept(export, second, field):
    folder = export({"Patient.ndjson": [patient(identifier=[{"system": "ipp", "value": "1"}]), second]})

    kept, refused = folder.records()

    assert isinstance(kept, PatientRecord)
    assert (refused.where.line, refused.field, refused.reason, refused.kind) == (2, field, "record_twice", "refused")


def test_a_mother_of_two_is_two_related_persons(export):
    def mother(child):
        return {
            "resourceType": "RelatedPerson",
            "identifier": [{"system": "ipp", "value": "9"}],
            "patient": {"reference": f"Patient/{child}"},
            "name": [{"family": "Durand"}],
        }

    folder = export({"RelatedPerson.ndjson": [mother("p1"), mother("p2"), mother("p2")]})

    assert [getattr(each, "reason", None) for each in folder.records()] == [None, None, "record_twice"]


def test_a_refused_patient_does_not_stand_in_the_way_of_a_good_one(export):
    folder = export({"Patient.ndjson": [patient(name="nonsense"), patient()]})

    refused, kept = folder.records()

    assert (refused.reason, type(kept)) == ("wrong_type", PatientRecord)


def test_a_folder_with_nothing_to_import_is_refused(tmp_path):
    with pytest.raises(SourceRefused) as nothing:
        read_folder(tmp_path)
    with pytest.raises(SourceRefused) as none:
        read_folder(tmp_path / "none")

    assert (nothing.value.extra["reason"], none.value.extra["reason"]) == ("missing", "file_unreadable")


def test_what_is_not_read_of_a_folder_says_why(export, tmp_path):
    export({"Patient.ndjson": [patient()], "Observation.ndjson": [{"resourceType": "Observation"}] * 2})
    for name in ("notes.txt", "Encounter.ndjson.gz"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "older").mkdir()
    (tmp_path / "Appointment.ndjson").mkdir()
    (tmp_path / "Immunization.ndjson").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "RelatedPerson.ndjson")
    folder = read_folder(tmp_path, today=TODAY)

    assert {each.file: (each.lines, each.why, each.is_missed) for each in folder.ignored()} == {
        "Observation.ndjson": (2, None, False),
        "notes.txt": (None, "file_not_ndjson", False),
        "older": (None, "file_not_regular", False),
        "Encounter.ndjson.gz": (None, "file_compressed", True),
        "Appointment.ndjson": (None, "file_not_regular", True),
        "Immunization.ndjson": (None, "file_not_regular", True),
        "RelatedPerson.ndjson": (None, "file_not_regular", True),
    }


def test_a_folder_of_compressed_files_says_what_to_do(tmp_path):
    (tmp_path / "Patient.ndjson.gz").write_bytes(b"x")

    with pytest.raises(SourceRefused, match="unpack them first"):
        read_folder(tmp_path)


# ---- bundles


def bundle(*entries):
    return {"resourceType": "Bundle", "type": "transaction", "entry": list(entries)}


def test_references_inside_a_bundle_lead_to_the_entry_they_name():
    without_id = {name: value for name, value in patient().items() if name != "id"}
    found = list(
        read_bundle(
            bundle(
                {"fullUrl": "urn:uuid:22", "resource": immunisation(patient={"reference": "urn:uuid:11"})},
                {"fullUrl": "urn:uuid:33", "resource": immunisation(id="i2", patient={"reference": "urn:uuid:44"})},
                {"fullUrl": "urn:uuid:11", "resource": patient(), "request": {"method": "PUT", "url": "Patient/p1"}},
                {"fullUrl": "urn:uuid:44", "resource": without_id},
            )
        )
    )

    assert [each.where.line for each in found] == [3, 4, 1, 2]
    assert [each.source_id for each in found[:2]] == ["p1", "44"]
    assert [each.patient.source_id for each in found[2:]] == ["p1", "44"]


def test_a_reference_to_an_entry_that_is_no_patient_is_refused():
    entries = (
        {"fullUrl": "urn:uuid:11", "resource": encounter()},
        {"fullUrl": "urn:uuid:22", "resource": immunisation(patient={"reference": "urn:uuid:11"})},
    )

    problem = next(each for each in read_bundle(bundle(*entries)) if isinstance(each, Problem))

    assert (problem.where, problem.field, problem.reason) == (
        Where(file="bundle", line=2),
        "patient.reference",
        "reference_not_patient",
    )


@pytest.mark.parametrize(
    ("found", "line", "field", "reason"),
    [
        ({"resourceType": "Patient"}, 0, "resourceType", "wrong_resource_type"),
        ({"resourceType": "Bundle", "entry": []}, 0, "type", "missing"),
        ({"resourceType": "Bundle", "type": "collection", "entry": {}}, 0, "entry", "wrong_type"),
        *(
            ({**bundle({"resource": patient()}), "type": kind}, 0, "type", "bundle_type_not_read")
            for kind in ANOTHER_BUNDLE
        ),
        (bundle(7), 1, "entry", "wrong_type"),
        (bundle({}), 1, "resource", "missing"),
        (bundle({"resource": []}), 1, "resource", "wrong_type"),
        (bundle({"resource": {"resourceType": "Location"}}), 1, "resourceType", "resource_not_read"),
        (bundle({"resource": patient(), "request": {"method": "DELETE"}}), 1, "request.method", "method_not_read"),
    ],
)
def test_what_can_not_be_read_of_a_bundle_is_refused_by_entry(found, line, field, reason):
    [problem] = read_bundle(found)

    assert (problem.where, problem.field, problem.reason) == (Where(file="bundle", line=line), field, reason)


@pytest.mark.parametrize("kind", ["transaction", "batch", "collection", "searchset"])
def test_a_bundle_that_says_what_is_so_now_is_read(kind):
    [record] = read_bundle({**bundle({"resource": patient()}), "type": kind})

    assert isinstance(record, PatientRecord)


def test_no_record_shows_anything_personal_when_it_is_printed():
    for resource in (patient(), immunisation(), appointment(), encounter()):
        record, _ = read(resource)
        assert "Durand" not in repr(record)
        assert "p1" not in repr(record)


def test_no_problem_holds_the_value(export):
    folder = export({"Patient.ndjson": [patient(birthDate="secret-31"), json.dumps(patient(gender="secret-31"))]})

    assert "secret-31" not in repr([each for each in folder.records() if isinstance(each, Problem)])
