"""What a source hands over, with everything filled in that a test does not care about."""

from datetime import date
from typing import Any

from backend.patients.sources.records import (
    Identifier,
    OccasionRecord,
    PatientRecord,
    Reference,
    RelatedPersonRecord,
    Telecom,
    Where,
)
from backend.policy.vocabulary import Language
from tests.factories.patients import IPP


def ipp(value: str) -> Identifier:
    return Identifier(system=IPP, value=value)


def phone(value: str = "+33639980001", *, usable: bool = True, mobile: bool = True, rank: int | None = None) -> Telecom:
    return Telecom(
        kind="phone",
        value=value,
        raw=value,
        usable=usable,
        reason=None if usable else "phone_not_valid",
        mobile=mobile if usable else None,
        use="mobile",
        rank=rank,
    )


def email(value: str = "somebody@example.org") -> Telecom:
    return Telecom(kind="email", value=value, raw=value, usable=True, reason=None, mobile=None, use=None, rank=None)


def patient(*names: str, line: int = 1, **changes: Any) -> PatientRecord:
    """A patient whom these identifiers name."""
    told: dict[str, Any] = {
        "where": Where(file="Patient.ndjson", line=line),
        "source_id": None,
        "identifiers": tuple(ipp(name) for name in names),
        "family_name": "Exemple",
        "given_names": ("Camille",),
        "birth_date": date(1980, 5, 17),
        "deceased": False,
        "deceased_at": None,
        "gender": None,
        "language": Language.FRENCH,
        "telecoms": (phone(), email()),
        "address_lines": ("1 rue des Lilas",),
        "postal_code": "00000",
        "city": "Exempleville",
        "country": "FR",
        "active": True,
    }
    return PatientRecord(**{**told, **changes})


def mother(of: str, **changes: Any) -> RelatedPersonRecord:
    """Somebody who stands by the patient of this name."""
    told: dict[str, Any] = {
        "where": Where(file="RelatedPerson.ndjson", line=1),
        "source_id": f"mother-of-{of}",
        "identifiers": (),
        "patient": Reference(identifier=ipp(of), source_id=None),
        "relationship": "mother",
        "family_name": "Exemple",
        "given_names": ("Ada",),
        "telecoms": (phone("+33639980002"),),
        "active": True,
        "starts_on": None,
        "ends_on": None,
    }
    return RelatedPersonRecord(**{**told, **changes})


def appointment(of: str, **changes: Any) -> OccasionRecord:
    """An appointment of the patient of this name."""
    told: dict[str, Any] = {
        "where": Where(file="Appointment.ndjson", line=1),
        "source_id": f"appointment-of-{of}",
        "identifiers": (),
        "patient": Reference(identifier=ipp(of), source_id=None),
        "kind": "appointment",
        "topic": "",
        "status": "booked",
        "starts_at": None,
        "ends_at": None,
        "place": "Cabinet 2",
        "practitioner": "Dr Exemple",
        "label": "",
    }
    return OccasionRecord(**{**told, **changes})
