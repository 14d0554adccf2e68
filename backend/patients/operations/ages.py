"""A birth date was put right, and everything that rests on an age was judged by it."""

from uuid import UUID

from backend.patients.models import Patient


def note_age_judged(*, patient_id: UUID) -> None:
    """Nothing waits for this birth date any more. Inside `record` and behind the patient's lock only."""
    Patient.objects.filter(id=patient_id).update(birth_date_corrected_at=None)
