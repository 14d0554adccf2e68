"""Every table that knows a patient is written under an entry only; what is not guarded stands here, with its reason."""

from collections.abc import Iterator

import pytest
from django.apps import apps
from django.db import models

from backend.audit.checks import every_guarded_model_carries_its_guard
from backend.audit.guard import AppendOnly, AuditGuard, Guarded
from backend.patients.models import OfPatient, Patient
from backend.vault.fields import SealedField

NOT_GUARDED = {
    "audit.AuditEntry": "the entry itself: it comes first, and is append-only",
    "audit.AuditLog": "the name of a log: it is made before its first entry, and is append-only",
    "audit.AuditLeaf": "the place of an entry, written by the sequencer once the entry stands; append-only",
    "audit.AuditNode": "a hash over leaves; append-only",
    "audit.AuditCheckpoint": "the signed size of a log; append-only",
    "audit.AuditPart": "which entries stand under which key: the sequencer's, append-only",
    "audit.AuditRefusedEntry": "a row that has no place in any log: the sequencer's, append-only",
    "api.IdempotencyKey": "no business fact: that a request was answered; the operation has its own entries",
    "contenttypes.ContentType": "Django's list of models; written by migrations only",
    "auth.Permission": "Django's list of permissions; Accord asks memberships and tokens instead",
    "auth.Group": "Django's; never used by Accord",
    "auth.Group_permissions": "Django's; never used by Accord",
}
EVERY_MODEL = sorted(apps.get_models(include_auto_created=True), key=lambda model: model._meta.label)  # noqa: SLF001 - Django's API


def label(model: type[models.Model]) -> str:
    return str(model._meta.label)  # noqa: SLF001 - Django's API


def constraints(model: type[models.Model]) -> list[models.BaseConstraint]:
    return list(model._meta.constraints)  # noqa: SLF001 - Django's API


def is_about_patients(model: type[models.Model]) -> bool:
    """Does a row of this table lead to a patient, by a relation (over any number of tables) or by an id or key?"""
    return any(leads for leads in _signs(model, set()))


def _signs(model: type[models.Model], seen: set[type[models.Model]]) -> Iterator[bool]:
    if model in seen:
        return
    seen.add(model)
    yield issubclass(model, Patient | OfPatient)
    for field in model._meta.get_fields():  # noqa: SLF001 - Django's API
        if isinstance(field, SealedField):
            yield True
        if isinstance(field, models.Field) and field.name in {"patient", "patient_id", "subject_id"}:
            yield True
        related = field.related_model if isinstance(field, models.ForeignKey | models.ManyToManyField) else None
        if isinstance(related, type) and issubclass(related, models.Model):
            yield from _signs(related, seen)


def test_every_model_is_guarded_or_excused():
    assert {label(model) for model in EVERY_MODEL if not issubclass(model, Guarded)} == NOT_GUARDED.keys()


@pytest.mark.parametrize("model", [model for model in EVERY_MODEL if is_about_patients(model)], ids=label)
def test_a_table_that_leads_to_a_patient_is_guarded(model):
    assert issubclass(model, Guarded)
    assert any(isinstance(constraint, AuditGuard) for constraint in constraints(model))


def test_the_tables_about_patients_are_found():
    found = {label(model) for model in EVERY_MODEL if is_about_patients(model)}

    assert {
        "patients.Patient",
        "patients.ContactPoint",
        "consent.ConsentEvent",
        "consent.ConsentState",
        "messaging.Message",
        "attempts.Attempt",
        "accounts.AccessToken",
        "audit.DataKey",
    } <= found
    assert "clinics.Clinic" not in found


@pytest.mark.parametrize("name", NOT_GUARDED)
def test_an_excuse_is_no_way_to_a_patient(name):
    model = (
        apps.get_model(name) if name != "auth.Group_permissions" else apps.get_model("auth.Group").permissions.through
    )

    assert not is_about_patients(model)


def test_the_log_is_append_only():
    for name in ("audit.AuditEntry", "audit.AuditLog", "consent.ConsentEvent", "consent.Notice"):
        assert any(isinstance(constraint, AppendOnly) for constraint in constraints(apps.get_model(name))), name


def test_no_guard_was_lost_to_a_list_of_constraints():
    assert every_guarded_model_carries_its_guard() == []


def test_every_guard_bears_a_name_of_its_own():
    names = [
        name.name for model in EVERY_MODEL for name in constraints(model) if isinstance(name, AuditGuard | AppendOnly)
    ]

    assert len(names) == len(set(names))
    # PostgreSQL cuts longer names off without a word; "_truncate" is added to them.
    assert max(len(name) for name in names) + len("_truncate") <= 63


@pytest.mark.parametrize("model", [model for model in EVERY_MODEL if issubclass(model, Guarded)], ids=label)
def test_a_guarded_row_is_named_before_it_is_written(model):
    """Its entry comes first, and has to name it: the id is made by us, not by the database."""
    key = model._meta.pk  # noqa: SLF001 - Django's API

    assert isinstance(key, models.UUIDField) or (isinstance(key, models.OneToOneField) and key.primary_key)
