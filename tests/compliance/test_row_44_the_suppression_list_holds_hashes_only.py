"""Row 44, CNIL MED-2023-040: a suppression list holds what it needs to recognise an address, and nothing else."""

from backend.patients.models import SuppressionEntry


def test_row_44_the_list_has_no_other_column():
    columns = {field.column for field in SuppressionEntry._meta.concrete_fields}  # noqa: SLF001 - Django's API

    assert columns == {"id", "clinic_id", "channel", "digest", "source_event", "created_at"}
    assert [field.name for field in SuppressionEntry._meta.concrete_fields if field.is_relation] == ["clinic"]  # noqa: SLF001 - Django's API
