"""Promise 4: the database refuses a write that no audit entry announces."""

# ruff: noqa: PT012, S608 - a whole block is refused; SQL is put together here

import sqlite3
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from django.db import DatabaseError, IntegrityError, connection, models, transaction

from backend.audit.actions import Action
from backend.audit.checks import guarded_models
from backend.audit.leaf import open_part, parse_leaf
from backend.audit.models import AuditEntry
from backend.audit.recording import record
from backend.clinics.models import Clinic
from backend.consent.models import ConsentState
from backend.patients.models import Patient
from backend.vault.fields import NotRecorded
from backend.vault.keyring import Scope, keyring
from tests.factories.patients import make_appointment
from tests.services import database_url

DAY = timedelta(days=1)
EVERY_GUARDED = sorted(guarded_models(), key=lambda model: model._meta.label)  # noqa: SLF001 - Django's API


def execute(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


def make_one(model: type[models.Model]) -> None:
    """A row that the guard meets before any other constraint does."""
    options = model._meta  # noqa: SLF001 - Django's API
    columns = ", ".join(f'"{field.column}"' for field in options.concrete_fields)
    with connection.cursor() as cursor:
        values = ", ".join(["NULL"] * len(options.concrete_fields))
        cursor.execute(f'INSERT INTO "{options.db_table}" ({columns}) VALUES ({values})')


@pytest.mark.parametrize("model", EVERY_GUARDED, ids=lambda model: model._meta.label)  # noqa: SLF001 - Django's API
def test_no_guarded_table_takes_a_row_without_an_entry(db, model):
    with pytest.raises(IntegrityError, match="unaudited INSERT"), transaction.atomic():
        make_one(model)


def test_nothing_of_a_patient_is_changed_or_deleted_without_an_entry(consenting, withdrawn, now):
    make_appointment(consenting, starts_at=now + 3 * DAY, now=now)
    held = [model for model in EVERY_GUARDED if model.objects.exists()]  # type: ignore[attr-defined] # every model has it
    assert len(held) > 12

    for model in held:
        table = model._meta.db_table  # noqa: SLF001 - Django's API
        column = model._meta.pk.column  # noqa: SLF001 - Django's API
        for sql in (f'UPDATE "{table}" SET "{column}" = "{column}"', f'DELETE FROM "{table}"'):
            with pytest.raises(IntegrityError, match=r"unaudited|append-only"), transaction.atomic():
                execute(sql)


def test_a_consent_can_not_be_slipped_in(silent, consenting):
    """The shortest way to a message nobody agreed to."""
    template = ConsentState.objects.filter(patient_id=consenting.id).first()
    assert template is not None
    for slip in (
        lambda: ConsentState.objects.filter(patient_id=consenting.id).update(patient_id=silent.id),
        lambda: ConsentState.objects.update(status="given"),
        lambda: ConsentState.objects.bulk_create([template], ignore_conflicts=True),
    ):
        with pytest.raises(IntegrityError, match="unaudited"), transaction.atomic():
            slip()

    assert not ConsentState.objects.filter(patient_id=silent.id).exists()


@pytest.mark.parametrize("way", ["driver", "another process"])
def test_a_write_past_our_own_code_is_refused(transactional_db, northgate, way):
    """Whoever holds the address of the database and none of our code."""
    sql = "UPDATE clinics_clinic SET name = 'Changed'"
    if way == "driver" and connection.vendor == "postgresql":
        with (
            psycopg.connect(database_url()) as raw,
            pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="unaudited UPDATE"),
        ):
            raw.execute(sql)
    elif way == "driver":
        raw_sqlite = sqlite3.connect(str(connection.settings_dict["NAME"]))
        with pytest.raises(sqlite3.IntegrityError, match="unaudited UPDATE"):
            raw_sqlite.execute(sql)
        raw_sqlite.close()
    else:
        module, address = (
            ("psycopg", database_url())
            if connection.vendor == "postgresql"
            else ("sqlite3", str(connection.settings_dict["NAME"]))
        )
        script = f"import {module}, sys; {module}.connect(sys.argv[1]).execute({sql!r})"
        done = subprocess.run([sys.executable, "-c", script, address], text=True, capture_output=True, check=False)
        assert done.returncode != 0
        assert "unaudited UPDATE" in done.stderr

    assert not Clinic.objects.filter(name="Changed").exists()


def test_an_action_that_fails_leaves_neither_entry_nor_change(consenting, reception, now):
    entries = AuditEntry.objects.count()
    with (
        pytest.raises(IntegrityError),
        record(
            Action.PATIENT_UPDATED,
            by=reception,
            now=now,
            clinic_id=consenting.clinic_id,
            about=consenting.id,
            source="desk",
            fields=["language"],
        ),
    ):
        Patient.objects.filter(id=consenting.id).update(language="en")
        ConsentState.objects.update(id=consenting.id)

    assert Patient.objects.get(id=consenting.id).language == "fr"
    assert AuditEntry.objects.count() == entries


def test_looking_is_an_action_too(consenting, silent, reception, now):
    row = Patient.objects.get(id=consenting.id)
    assert f"{row.family_name}" == "•••"
    with (
        record(
            Action.PATIENT_READ,
            by=reception,
            now=now,
            clinic_id=silent.clinic_id,
            about=silent.id,
            reason="care",
        ) as about_another,
        pytest.raises(NotRecorded),
    ):
        row.family_name.reveal(about_another)
    with record(
        Action.PATIENT_READ, by=reception, now=now, clinic_id=consenting.clinic_id, about=consenting.id, reason="care"
    ) as entry:
        assert row.family_name.reveal(entry) == "Oui"

    leaf = parse_leaf(bytes(AuditEntry.objects.get(id=entry.id).leaf))
    key = keyring().current(clinic_id=consenting.clinic_id, scope=Scope.AUDIT, subject_id=consenting.id)
    assert leaf.header["a"] == "patient.read"
    assert leaf.header["ac"] == reception.header
    assert open_part(leaf, 0, key) == {"d": {"reason": "care"}, "s": str(consenting.id)}


@pytest.mark.parametrize("sql", ["UPDATE audit_entry SET ts = 0", "DELETE FROM audit_entry", "DELETE FROM audit_log"])
def test_no_entry_is_changed_or_deleted(consenting, sql):
    entries = list(AuditEntry.objects.order_by("seq").values_list("id", "ts"))
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        execute(sql)

    assert list(AuditEntry.objects.order_by("seq").values_list("id", "ts")) == entries


def test_the_entry_of_yesterday_opens_nothing_today(transactional_db, northgate, manager, now):
    with record(Action.CONSENTS_READ, by=manager, now=now, clinic_id=northgate.id) as entry:
        pass
    with pytest.raises(DatabaseError), transaction.atomic():
        if connection.vendor == "postgresql":
            execute(f"SELECT set_config('accord.entry', '{entry.id}', false)")
        else:
            # Left in place, the marker refuses to be committed together with what it let through.
            execute(f"INSERT INTO audit_open (entry_id) VALUES ('{entry.id.hex}')")
        execute("UPDATE clinics_clinic SET name = 'Changed'")

    assert not Clinic.objects.filter(name="Changed").exists()
    if connection.vendor == "postgresql":
        execute("RESET accord.entry")


def test_every_entry_of_the_cast_belongs_to_an_action_of_the_list(consenting, withdrawn, dpo):
    codes = {parse_leaf(bytes(leaf)).header["a"] for leaf in AuditEntry.objects.values_list("leaf", flat=True)}

    assert {"patient.created", "consent.given", "consent.withdrawn", "key.created", "account.created"} <= codes
    assert codes <= {action.spec.code for action in Action}


def test_where_the_tests_run(db):
    """On SQLite the suite works on a file, as an installation does; otherwise half of the above would show nothing."""
    name = str(connection.settings_dict["NAME"])

    assert connection.vendor == "postgresql" or Path(name).is_file()
