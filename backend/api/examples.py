"""What requests look like: shown in the description of the API, and sent by a test, so that they stay true."""

from typing import Any, Final

from drf_spectacular.utils import OpenApiExample


def _request(name: str, value: Any) -> OpenApiExample:
    return OpenApiExample(name, value=value, request_only=True)


YES: Final[dict[str, Any]] = {
    "purpose": "appointment_reminder",
    "channels": ["push", "sms"],
    "decision": "given",
    "notice_version": 1,
    "language": "fr",
    "shown": {"initial_state": "off"},
}
NO_LONGER: Final[dict[str, Any]] = {
    "purpose": "appointment_reminder",
    "channels": ["sms"],
    "decision": "withdrawn",
}
ON_PAPER: Final[dict[str, Any]] = {
    "purpose": "appointment_reminder",
    "channels": ["email"],
    "decision": "given",
    "method": "paper_form",
    "notice_version": 1,
    "language": "fr",
    "evidence": {"form_reference": "F-2026-0412", "signed_on": "2026-10-01"},
}
ALOUD: Final[dict[str, Any]] = {
    "purpose": "appointment_reminder",
    "channels": ["sms"],
    "decision": "refused",
    "method": "verbal",
    "notice_version": 1,
    "language": "fr",
    "evidence": {"script_version": "2026-03", "spoken_at": "2026-10-01T10:15:00+02:00"},
}
BY_LINK: Final[dict[str, Any]] = {
    "purpose": "appointment_reminder",
    "contact_point": "0191f3a0-0000-7000-8000-000000000000",
    "notice_version": 1,
    "language": "fr",
    "source": "web_form",
    "shown": {"initial_state": "off"},
}
MOTHER: Final[dict[str, Any]] = {
    "kind": "parental_authority",
    "scope": ["consents", "preferences", "messages"],
    "proof": {"document": "family record", "seen_on": "2026-10-01"},
}
AN_AUNT: Final[dict[str, Any]] = {
    **MOTHER,
    "kind": "guardianship",
    "family_name": "Exemple",
    "given_names": ["Ada"],
    "relationship": "guardian",
    "proof": {"document": "judgment", "reference": "2026/123", "seen_on": "2026-10-01"},
}
EVENINGS_OFF: Final[dict[str, Any]] = {
    "channel_order": ["push", "sms", "email"],
    "frequency": {"max": 3, "per": "week"},
    "tone": "plain",
    "quiet_hours": {"from": "20:00", "to": "08:00", "time_zone": "Europe/Paris"},
    "purposes": {"vaccination_recall": False},
}
TRIAL: Final[dict[str, Any]] = {"preferences": {"frequency": {"max": 2, "per": "week"}}, "days": 30}
DEVICE: Final[dict[str, Any]] = {"kind": "fid", "token": "dW5kIGRhcyBpc3QgbnVyIGVpbiBCZWlzcGllbA"}
PERSON: Final[dict[str, Any]] = {
    "family_name": "Exemple",
    "given_names": ["Camille"],
    "birth_date": "1984-05-06",
    "language": "fr",
    "identifiers": [{"system": "urn:oid:1.2.250.1.213.1.4.8", "value": "284059900000123"}],
    "contact_points": [{"kind": "email", "value": "camille@example.org"}],
}
SEARCH: Final[dict[str, Any]] = {"family_name": "Exemple"}
PROGRAMME: Final[dict[str, Any]] = {
    "slug": "two_days_before",
    "names": {"fr": "Deux jours avant", "en": "Two days before"},
    "purpose": "appointment_reminder",
    "definition": {
        "occasion": {"kind": "appointment"},
        "steps": [
            {
                "key": "d2",
                "offset": {"days": -2},
                "at": "09:00",
                "worth_for_hours": 24,
                "template": "appointment_reminder",
            }
        ],
    },
}
TEMPLATE: Final[dict[str, Any]] = {
    "slug": "short_reminder",
    "purpose": "appointment_reminder",
    "variants": [
        {
            "channel": "sms",
            "language": "fr",
            "tone": "formal",
            "body": "{{ clinic.name }} : rendez-vous le {{ appointment.date }} à {{ appointment.time }}.",
            "discreet_body": "{{ clinic.discreet_name }} : vous avez un message.",
        }
    ],
}
BUNDLE: Final[dict[str, Any]] = {
    "resourceType": "Bundle",
    "type": "collection",
    "entry": [
        {
            "resource": {
                "resourceType": "Patient",
                "id": "p1",
                "identifier": [{"system": "urn:practice", "value": "p1"}],
                "name": [{"family": "Exemple", "given": ["Camille"]}],
                "birthDate": "1984-05-06",
                "telecom": [{"system": "email", "value": "camille@example.org"}],
            }
        },
        {
            "resource": {
                "resourceType": "Appointment",
                "id": "a1",
                "status": "booked",
                "start": "2026-12-09T14:30:00+01:00",
                "participant": [{"actor": {"reference": "Patient/p1"}, "status": "accepted"}],
            }
        },
    ],
}

SAY_YES: Final = _request("Yes, in the app", YES)
WITHDRAW: Final = _request("No longer", NO_LONGER)
TAKE_DOWN: Final = _request("Yes, on paper", ON_PAPER)
TAKE_DOWN_ALOUD: Final = _request("No, by word of mouth", ALOUD)
ASK_BY_LINK: Final = _request("By a link, from a form", BY_LINK)
REPRESENT: Final = _request("A mother", MOTHER)
ADD_REPRESENTATIVE: Final = _request("Enter a guardian", AN_AUNT)
PREFER: Final = _request("Not in the evening", EVENINGS_OFF)
TRY: Final = _request("Only two a week, over the last month", TRIAL)
SIGN_IN: Final = _request("A Firebase installation", DEVICE)
ENTER: Final = _request("A patient", PERSON)
FIND: Final = _request("By name", SEARCH)
WRITE: Final = _request("One reminder", PROGRAMME)
PUBLISH: Final = _request("One text", TEMPLATE)
IMPORT: Final = _request("A patient with an appointment", BUNDLE)
