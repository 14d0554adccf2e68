"""Promise 10, where the log and the vault are concerned: clear headers, error texts, log lines, public columns."""

import logging
from datetime import date

import pytest

from backend.audit.actions import Action, DetailRefused
from backend.audit.leaf import NotCanonical, parse_leaf
from backend.audit.models import AuditEntry
from backend.audit.recording import record, request_id
from backend.consent.operations import withdraw_consent
from backend.patients.models import ContactPoint, Patient
from backend.policy.vocabulary import Channel, Method
from backend.vault.ciphers import Tampered
from backend.vault.fields import Blob, NotRecorded, SealedField
from tests.factories.patients import consent, make_patient
from tests.factories.programmes import REMINDER

PERSONAL = {
    "family name": "Zwolfenstein",
    "given name": "Ottokarius",
    "telephone": "639998877",
    "e-mail": "ottokarius.z@example.org",
    "birth date": "1953-02-27",
}


@pytest.fixture
def known(northgate, now):
    """Somebody with a name that stands nowhere else, who says yes and changes their mind."""
    patient = make_patient(
        northgate.id,
        now=now,
        family_name=PERSONAL["family name"],
        given_names=(PERSONAL["given name"],),
        birth_date=date(1953, 2, 27),
        phone=f"+33{PERSONAL['telephone']}",
        email=PERSONAL["e-mail"],
    )
    consent(patient, purpose=REMINDER, channels=[Channel.SMS], now=now)
    withdraw_consent(
        clinic_id=northgate.id,
        patient_id=patient.id,
        purpose=REMINDER,
        channels=[Channel.SMS],
        method=Method.APP,
        actor=patient.actor,
        now=now,
    )
    return patient


def personal_in(text: str) -> list[str]:
    return [name for name, value in PERSONAL.items() if value.lower() in text.lower()]


def test_no_clear_header_of_the_log_names_a_patient(known):
    headers = [parse_leaf(bytes(leaf)).header_bytes for leaf in AuditEntry.objects.values_list("leaf", flat=True)]
    text = b"\n".join(headers).decode()

    assert text.count("\n") > 20
    assert personal_in(text) == []
    assert str(known.id) not in text
    assert known.ipp not in text


def test_a_member_of_staff_stands_in_the_header_under_a_pseudonym_only(known, reception, now):
    with record(
        Action.PATIENT_READ, by=reception, now=now, clinic_id=known.clinic_id, about=known.id, reason="care"
    ) as entry:
        pass
    text = parse_leaf(bytes(AuditEntry.objects.get(id=entry.id).leaf)).header_bytes.decode()

    assert reception.pseudonym in text
    assert str(reception.id) not in text
    assert "reception@northgate" not in text


@pytest.mark.parametrize("given", ["Ottokarius", "ottokarius.z@example.org", "+33639998877"])
def test_a_request_id_that_says_something_is_refused(known, reception, now, given):
    token = request_id.set(given)
    try:
        with (
            pytest.raises(NotCanonical) as refused,
            record(Action.CONSENTS_READ, by=reception, now=now, clinic_id=known.clinic_id),
        ):
            pass
    finally:
        request_id.reset(token)

    assert given not in str(refused.value)


def search(name: str) -> None:
    lookup = "family_name__contains"
    Patient.objects.filter(**{lookup: name})


def test_no_refusal_repeats_what_it_refused(known, reception, now):
    row = Patient.objects.get(id=known.id)
    texts: list[str] = []

    def collect(error: BaseException) -> None:
        # What an error report would hold: every cause, with its arguments.
        cause: BaseException | None = error
        while cause is not None:
            texts.append(f"{cause!r} {cause} {cause.args}")
            cause = cause.__cause__ or cause.__context__

    with (
        pytest.raises(DetailRefused) as detail,
        record(
            Action.PATIENT_READ,
            by=reception,
            now=now,
            clinic_id=known.clinic_id,
            about=known.id,
            reason=PERSONAL["family name"],
        ),
    ):
        pass
    collect(detail.value)
    with record(
        Action.PATIENT_READ, by=reception, now=now, clinic_id=known.clinic_id, about=known.id, reason="care"
    ) as entry:
        row.family_name = PERSONAL["family name"]
        with pytest.raises(TypeError) as kind:
            row.given_names.reveal(entry)
        collect(kind.value)
        with pytest.raises(TypeError) as moved:
            row.birth_date = row.family_name
        collect(moved.value)
        with pytest.raises(TypeError) as searched:
            search(PERSONAL["family name"])
        collect(searched.value)
        row.address = Blob(bytes(row.__dict__["given_names"]))
        with pytest.raises(Tampered) as tampered:
            row.address.open(entry)
        collect(tampered.value)
    other = make_patient(known.clinic_id, now=now, reachable=False)
    with pytest.raises(NotRecorded) as unrecorded:
        Patient.objects.get(id=other.id).family_name.reveal(entry)
    collect(unrecorded.value)

    assert len(texts) >= 6
    assert personal_in("\n".join(texts)) == []


def test_no_log_line_names_a_patient(caplog, northgate, now):
    caplog.set_level(logging.DEBUG)
    patient = make_patient(
        northgate.id,
        now=now,
        family_name=PERSONAL["family name"],
        given_names=(PERSONAL["given name"],),
        birth_date=date(1953, 2, 27),
        phone=f"+33{PERSONAL['telephone']}",
        email=PERSONAL["e-mail"],
    )
    logging.getLogger("accord").warning("rows: %s", list(Patient.objects.filter(id=patient.id).values()))
    logging.getLogger("accord").warning("points: %s", [point.value for point in ContactPoint.objects.all()])

    assert "•••" in caplog.text
    assert personal_in(caplog.text) == []


def test_no_statement_carries_personal_data_to_the_database(known, django_assert_max_num_queries, reception, now):
    """A database that logs its statements logs ciphertext."""
    row = Patient.objects.get(id=known.id)
    with (
        django_assert_max_num_queries(50) as captured,
        record(
            Action.PATIENT_UPDATED,
            by=reception,
            now=now,
            clinic_id=known.clinic_id,
            about=known.id,
            source="desk",
            fields=["family_name"],
        ),
    ):
        row.family_name = PERSONAL["family name"]
        row.given_names = [PERSONAL["given name"]]
        row.save()

    statements = "\n".join(query["sql"] for query in captured.captured_queries)
    assert "UPDATE" in statements
    assert personal_in(statements) == []


def test_whatever_names_or_reaches_a_patient_is_a_sealed_column():
    sealed = {
        f"{model.__name__}.{field.name}"
        for model in (Patient, ContactPoint)
        for field in model._meta.concrete_fields  # noqa: SLF001 - Django's API
        if isinstance(field, SealedField)
    }

    assert sealed >= {
        "Patient.family_name",
        "Patient.given_names",
        "Patient.birth_date",
        "Patient.address",
        "ContactPoint.value",
    }
