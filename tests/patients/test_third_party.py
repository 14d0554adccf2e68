"""What others made is taken over too: thirteen patients of a simulation, three of them dead, no number that exists."""

from datetime import date

import pytest

from backend.audit.actors import system_actor
from backend.patients.models import ContactPoint, ImportRun, Occasion, Patient
from backend.patients.operations import ImportRow, RowOutcome, import_records
from backend.patients.sources.fhir import read_folder
from tests.conftest import DAY

pytestmark = pytest.mark.needs_data


@pytest.fixture
def take(northgate, third_party_data):
    def take(now):
        rows: list[ImportRow] = []
        folder = read_folder(third_party_data / "synthea-10", today=date(2026, 10, 14))
        import_records(
            clinic_id=northgate.id,
            records=folder.records(),
            source="fhir",
            actor=system_actor("import"),
            now=now,
            on_row=rows.append,
        )
        return rows

    return take


def test_everybody_is_there_and_nobody_can_be_written_to(northgate, take, now):
    rows = take(now)

    assert Patient.objects.in_clinic(northgate.id).count() == 13
    assert Patient.objects.filter(is_deceased=True).count() == 3
    assert set(ContactPoint.objects.values_list("status", "reason")) == {("unusable", "phone_not_valid")}
    assert ContactPoint.objects.count() == 13
    assert not [row for row in rows if row.outcome is RowOutcome.REFUSED]
    assert sum(row.outcome is RowOutcome.UNUSABLE for row in rows) == 13
    assert Occasion.objects.filter(kind="immunisation").exists()


def test_taken_over_again_nothing_changes(take, now):
    take(now)
    before = list(Patient.objects.order_by("id").values_list()), list(Occasion.objects.order_by("id").values_list())

    rows = take(now + DAY)

    assert {row.outcome for row in rows} == {RowOutcome.UNCHANGED, RowOutcome.UNUSABLE}
    assert (
        list(Patient.objects.order_by("id").values_list()),
        list(Occasion.objects.order_by("id").values_list()),
    ) == before
    run = ImportRun.objects.latest("started_at")
    assert (run.created, run.updated, run.refused, run.unusable) == (0, 0, 0, 13)
