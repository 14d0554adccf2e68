"""Every column about a patient is sealed, or says why it is clear."""

import pytest
from django.core.management import call_command
from django.db import models

from backend.config.inventory import REASONS, columns_of, models_about_patients, reason_for


def label_of(model: type[models.Model]) -> str:
    return model._meta.label  # noqa: SLF001 - Django's own API


@pytest.mark.parametrize("model", list(models_about_patients()), ids=label_of)
def test_a_clear_column_says_why(model: type[models.Model]) -> None:
    unexplained = [name for name, sealed in columns_of(model) if not sealed and not reason_for(model, name)]

    assert unexplained == []


def test_no_reason_is_left_over() -> None:
    there = {
        label_of(model): {name for name, sealed in columns_of(model) if not sealed} for model in models_about_patients()
    }

    left_over = {label: set(reasons) - there.get(label, set()) for label, reasons in REASONS.items()}

    assert {label: names for label, names in left_over.items() if names} == {}


def test_the_page_is_current() -> None:
    call_command("data_inventory", "--check")
