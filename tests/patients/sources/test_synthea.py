from collections import Counter
from datetime import date

import pytest

from backend.patients.sources.fhir import IgnoredFile, read_folder
from backend.patients.sources.reasons import Why
from backend.patients.sources.records import OccasionRecord, PatientRecord, Problem

pytestmark = pytest.mark.needs_data


@pytest.fixture(scope="module")
def folder(third_party_data):
    return read_folder(third_party_data / "synthea-10", today=date(2026, 10, 14))


@pytest.fixture(scope="module")
def found(folder):
    return list(folder.records())


def test_every_patient_is_there_and_the_dead_are_known(found):
    patients = [each for each in found if isinstance(each, PatientRecord)]

    assert len(patients) == 13
    assert sum(patient.deceased for patient in patients) == 3
    assert all(patient.deceased_at is not None for patient in patients if patient.deceased)
    assert all(len(patient.identifiers) >= 2 and patient.family_name for patient in patients)
    assert {patient.language for patient in patients} == {"en"}


def test_no_555_number_is_usable_and_each_is_kept_and_reported(found):
    telecoms = [telecom for each in found if isinstance(each, PatientRecord) for telecom in each.telecoms]
    problems = [each for each in found if isinstance(each, Problem)]

    assert len(telecoms) == 13
    assert not any(telecom.usable for telecom in telecoms)
    assert all(telecom.value.startswith("555-") for telecom in telecoms)
    assert [(each.kind, each.field, each.reason) for each in problems] == [
        ("unusable", "telecom[0].value", "phone_not_valid")
    ] * 13


def test_vaccinations_and_encounters_are_all_there_with_their_topics(found):
    occasions = [each for each in found if isinstance(each, OccasionRecord)]
    topics = Counter(each.topic for each in occasions if each.kind == "immunisation")

    assert Counter(each.kind for each in occasions) == {"encounter": 1215, "immunisation": 161}
    assert (topics["influenza"], topics["covid_19"], topics.total()) == (110, 15, 161)
    assert all(each.starts_at is not None and each.starts_at.tzinfo is not None for each in occasions)
    assert all(each.place for each in occasions)


def test_every_occasion_leads_to_a_patient_of_the_folder(found):
    ids = {each.source_id for each in found if isinstance(each, PatientRecord)}

    assert {each.patient.source_id for each in found if isinstance(each, OccasionRecord)} <= ids


def test_what_is_not_read_is_named_and_counted(folder, found):
    assert folder.position == folder.size
    assert folder.ignored() == (
        IgnoredFile(file="AllergyIntolerance.000.ndjson", resource_type="AllergyIntolerance", lines=11),
        IgnoredFile(file="LICENSE", resource_type="", lines=None, why=Why.FILE_NOT_NDJSON),
        IgnoredFile(file="Location.000.ndjson", resource_type="Location", lines=44),
        IgnoredFile(file="MedicationRequest.000.ndjson", resource_type="MedicationRequest", lines=1745),
        IgnoredFile(file="Organization.000.ndjson", resource_type="Organization", lines=43),
        IgnoredFile(file="Practitioner.000.ndjson", resource_type="Practitioner", lines=43),
        IgnoredFile(file="PractitionerRole.000.ndjson", resource_type="PractitionerRole", lines=43),
    )
