"""What a patient gave, after the standards: a Bundle of FHIR R4, and JSON-LD with the Data Privacy Vocabulary."""

from typing import Any, Final

from backend.consent.standards.dpv import dpv_records
from backend.consent.standards.facts import Json
from backend.consent.standards.fhir import bundle_of, fhir_resources
from backend.patients.models import ContactKind
from backend.privacy.portability import OwnData, OwnPoint

SYSTEM: Final = {ContactKind.PHONE: "phone", ContactKind.EMAIL: "email", ContactKind.POSTAL: "other"}


def own_bundle(told: OwnData, *, site: str) -> Json:
    """The patient, the clinic, and a Consent and Provenances for all that was said. Preferences have no resource."""
    resources = [_patient(told), _organization(told)]
    for one in told.records:
        resources += fhir_resources(one)
    return bundle_of(resources, site=site, at=told.made_at)


def own_records(told: OwnData) -> Json:
    """A consent record after ISO/IEC TS 27560 for each purpose and channel of which anything was said."""
    return dpv_records(told.records)


def _patient(told: OwnData) -> Json:
    profile = told.profile
    language = profile.facts.language
    return _without_gaps(
        {
            "resourceType": "Patient",
            "id": str(profile.facts.id),
            "identifier": [{"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{profile.facts.id}"}],
            "name": [_without_gaps({"family": profile.family_name, "given": list(profile.given_names)})],
            "telecom": [_telecom(point, rank) for rank, point in enumerate(told.points, start=1)],
            "birthDate": None if profile.birth_date is None else profile.birth_date.isoformat(),
            "address": [_address(profile.address)],
            "communication": []
            if language is None
            else [
                {
                    "language": {"coding": [{"system": "urn:ietf:bcp:47", "code": language.value}]},
                    "preferred": True,
                }
            ],
            "managingOrganization": {"reference": f"Organization/{told.clinic.id}"},
        }
    )


def _telecom(point: OwnPoint, rank: int) -> Json:
    told: Json = {"system": SYSTEM[point.row.kind], "value": point.value, "rank": rank}
    return {**told, "use": "mobile"} if point.row.takes_sms else told


def _address(address: dict[str, Any]) -> Json:
    return _without_gaps(
        {
            "line": list(address.get("lines", ())),
            "city": address.get("city"),
            "postalCode": address.get("postal_code"),
            "country": address.get("country"),
        }
    )


def _organization(told: OwnData) -> Json:
    clinic = told.clinic
    return _without_gaps(
        {
            "resourceType": "Organization",
            "id": str(clinic.id),
            "name": clinic.name,
            "telecom": [_without_gaps({"system": "phone", "value": clinic.telephone})] if clinic.telephone else [],
            "address": [{"text": clinic.address}] if clinic.address else [],
        }
    )


def _without_gaps(told: Json) -> Json:
    """FHIR knows no empty value: what is not known is not there."""
    return {name: kept for name, value in told.items() if (kept := _kept(value)) not in (None, "", [], {})}


def _kept(value: object) -> object:
    return [one for one in value if one] if isinstance(value, list) else value
