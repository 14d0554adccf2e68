"""Consent receipts after Kantara Initiative, Consent Receipt Specification 1.1.0. It knows a yes and nothing else."""

from typing import Final
from uuid import UUID

from backend.consent.standards.facts import ConsentRecord, Json, Words, instant, notice_url
from backend.errors import DomainError
from backend.policy.vocabulary import Channel, ConsentStatus, Nature

VERSION: Final = "KI-CR-v1.1.0"
CONTACT: Final = "2 - Contact"
HEALTH: Final = "Health"
PURPOSE: Final = {
    Nature.CARE: "4 - Contact Requested",
    Nature.PREVENTION: "4 - Contact Requested",
    Nature.SATISFACTION: "4 - Contact Requested",
    Nature.MARKETING: "6 - Marketing",
}
SERVICE: Final = {
    Channel.PUSH: "Messages to the app (push)",
    Channel.SMS: "Text messages (sms)",
    Channel.EMAIL: "E-mail (email)",
    Channel.LETTER: "Letters (letter)",
    Channel.CALL: "Telephone calls (call)",
}
UNKNOWN: Final = ""


class NoYes(DomainError):
    """A Kantara receipt says that somebody consented: there is none where no yes stands."""

    code = "no_yes_stands"
    sentence = "This form of a receipt exists only where a yes stands."


def kantara_receipt(record: ConsentRecord, *, receipt_id: UUID) -> Json:
    """The receipt of a yes that stands. Raises NoYes.

    Kantara has no channel: it is named in `service`. The carriers that deliver are processors and no third parties
    (GDPR Art. 4(10)), so nothing is disclosed. An e-mail address of the clinic is not known here and stays empty.
    """
    words = require_yes(record)
    controller, purpose = record.controller, record.purpose
    is_health = bool(purpose.health_data_condition)
    return {
        "version": VERSION,
        "jurisdiction": controller.country,
        "consentTimestamp": int(record.standing.occurred_at.timestamp()),
        "collectionMethod": record.standing.method.value,
        "consentReceiptID": str(receipt_id),
        "language": words.language.value,
        "piiPrincipalId": str(record.patient_id),
        "piiControllers": [
            {
                "piiController": controller.name,
                "onBehalf": False,
                "contact": controller.name,
                "address": {"streetAddress": controller.address, "addressCountry": controller.country},
                "email": UNKNOWN,
                "phone": controller.telephone,
            }
        ],
        "policyUrl": f"{notice_url(controller, words)}#sha256-{words.sha256}",
        "services": [
            {
                "service": SERVICE[record.channel],
                "purposes": [
                    {
                        "purpose": purpose.name(words.language),
                        "purposeCategory": [PURPOSE[purpose.nature]],
                        "consentType": "EXPLICIT",
                        "piiCategory": [CONTACT, HEALTH] if is_health else [CONTACT],
                        "primaryPurpose": False,
                        "termination": _termination(record),
                        "thirdPartyDisclosure": False,
                    }
                ],
            }
        ],
        "sensitive": is_health,
        "spiCat": [HEALTH] if is_health else [],
    }


def require_yes(record: ConsentRecord) -> Words:
    """The words to which the yes was said that stands. Raises NoYes."""
    if record.status is not ConsentStatus.GIVEN or record.words is None:
        raise NoYes
    return record.words


def _termination(record: ConsentRecord) -> str:
    if record.holds_until is None:
        return "Until withdrawn"
    return f"Until withdrawn, at the latest {instant(record.holds_until)}"
