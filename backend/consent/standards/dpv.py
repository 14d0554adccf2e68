"""Consent records and receipts after ISO/IEC TS 27560, in JSON-LD with the Data Privacy Vocabulary (DPV 2.3).

The field list follows the guide of the W3C Data Privacy Vocabularies group; the text of ISO itself was not read. DPV
has no channel: ours stands in a term of its own (`accord:channel`), as the hashes do.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from backend.consent.standards.facts import (
    ConsentRecord,
    Controller,
    Json,
    RecordedEvent,
    Speaker,
    Words,
    instant,
    notice_url,
)
from backend.policy.vocabulary import Channel, EventKind, Nature, RepresentationKind

RECORD: Final = "https://w3id.org/dpv/schema/dpv-27560#record-eu-gdpr"
RECEIPT: Final = "https://w3id.org/dpv/schema/dpv-27560#receipt-eu-gdpr"
REFERENCES: Final = (
    "dct:conformsTo",
    "dct:publisher",
    "dpv:hasApplicableLaw",
    "dpv:hasJurisdiction",
    "dpv:hasLegalBasis",
    "dpv:hasLocation",
    "dpv:hasPersonalData",
    "dpv:hasPurpose",
    "dpv:isExercisedAt",
    "dpv:isIndicatedBy",
    "schema:recipient",
)
"""The values of these are addresses of terms, not text."""
CONTEXT: Final[Json] = {
    "dpv": "https://w3id.org/dpv#",
    "pd": "https://w3id.org/dpv/pd#",
    "loc": "https://w3id.org/dpv/loc#",
    "eu-gdpr": "https://w3id.org/dpv/legal/eu/gdpr#",
    "dct": "http://purl.org/dc/terms/",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "schema": "https://schema.org/",
    "accord": "urn:accord:consent:",
    **{name: {"@type": "@id"} for name in REFERENCES},
}
STATUS: Final = {
    EventKind.REQUESTED: "dpv:ConsentRequested",
    EventKind.DEFERRED: "dpv:ConsentRequestDeferred",
    EventKind.PENDING: "dpv:ConsentRequested",
    EventKind.GIVEN: "dpv:ConsentGiven",
    EventKind.RENEWED: "dpv:RenewedConsentGiven",
    EventKind.REFUSED: "dpv:ConsentRefused",
    EventKind.WITHDRAWN: "dpv:ConsentWithdrawn",
    # DPV has no status for an objection (GDPR Art. 21), nor for silence after it: neither permits anything.
    EventKind.OBJECTED: "dpv:ConsentStatusInvalidForProcessing",
    EventKind.OBJECTION_LIFTED: "dpv:ConsentStatusInvalidForProcessing",
    EventKind.EXPIRED: "dpv:ConsentExpired",
    EventKind.RECONSENT_REQUIRED: "dpv:ConsentExpired",
    EventKind.ENDED: "dpv:ConsentInvalidated",
    EventKind.REVOKED: "dpv:ConsentRevoked",
    EventKind.INVALIDATED: "dpv:ConsentInvalidated",
    EventKind.ENTERED_IN_ERROR: "dpv:ConsentInvalidated",
    EventKind.UNKNOWN: "dpv:ConsentUnknown",
    # Where it stood, it stands, and only its end is another: DPV has no word for that.
    EventKind.AGE_CORRECTED: "dpv:ConsentStatus",
}
EXPRESSED: Final = frozenset({EventKind.GIVEN, EventKind.RENEWED})
PURPOSE: Final = {
    Nature.CARE: "dpv:CommunicationForCustomerCare",
    Nature.PREVENTION: "dpv:CommunicationForCustomerCare",
    Nature.SATISFACTION: "dpv:CommunicationForCustomerCare",
    Nature.MARKETING: "dpv:Marketing",
    Nature.CLOSED_LIST: "dpv:CommunicationManagement",
}
CONTACT_DATA: Final = {
    Channel.PUSH: "pd:DeviceBased",
    Channel.SMS: "pd:TelephoneNumber",
    Channel.EMAIL: "pd:EmailAddress",
    Channel.LETTER: "pd:PhysicalAddress",
    Channel.CALL: "pd:TelephoneNumber",
}
HEALTH: Final = "pd:MedicalHealth"
LEGAL_BASIS: Final = {
    "consent": "eu-gdpr:A6-1-a",
    "contract": "eu-gdpr:A6-1-b",
    "legal_obligation": "eu-gdpr:A6-1-c",
}
PARENTS: Final = frozenset({RepresentationKind.PARENTAL_AUTHORITY})


def dpv_record(record: ConsentRecord) -> Json:
    """One purpose on one channel as a `dpv:ConsentRecord`, every event of it included."""
    return {"@context": CONTEXT, **_record(record)}


def dpv_records(records: Sequence[ConsentRecord]) -> Json:
    """Several of them, in one document."""
    return {"@context": CONTEXT, "@graph": [_record(record) for record in records]}


def dpv_receipt(records: Sequence[ConsentRecord], *, receipt_id: UUID, created: datetime) -> Json:
    """A `dpv:ConsentReceipt` for one patient: what they hold of these records, of which there is at least one."""
    return {
        "@context": CONTEXT,
        "@id": f"urn:uuid:{receipt_id}",
        "@type": "dpv:ConsentReceipt",
        "dct:identifier": str(receipt_id),
        "dct:conformsTo": RECEIPT,
        "dct:created": instant(created),
        "dct:publisher": f"urn:uuid:{records[0].controller.id}",
        "schema:recipient": "dpv:DataSubject",
        "accord:keys": f"{records[0].controller.site}/receipts/keys",
        "dpv:hasRecordOfActivity": [_record(record) for record in records],
    }


def _record(record: ConsentRecord) -> Json:
    told: Json = {
        "@id": f"urn:uuid:{record.id}",
        "@type": "dpv:ConsentRecord",
        "dct:identifier": str(record.id),
        "dct:conformsTo": RECORD,
        "dct:modified": instant(record.events[-1].recorded_at),
        "dpv:hasDataSubject": {"@id": f"urn:uuid:{record.patient_id}", "@type": "dpv:Patient"},
        "dpv:hasDataController": _controller(record.controller),
        "dpv:hasJurisdiction": f"loc:{record.controller.country}",
        "dpv:hasApplicableLaw": "eu-gdpr:GDPR",
        "dpv:hasLegalBasis": _legal_bases(record),
        "dpv:hasProcess": [_process(record)],
        "dpv:hasConsentControl": {
            "@type": ["dpv:ProvideConsent", "dpv:WithdrawConsent"],
            "dpv:isExercisedAt": f"{record.controller.site}/api/v1/me/consents",
        },
        "dpv:hasRight": [
            {
                "@type": ["dpv:DataSubjectRight", "eu-gdpr:A7-3"],
                "dpv:isExercisedAt": f"{record.controller.site}/api/v1/me/consents",
            }
        ],
        "dpv:hasConsentStatus": [_status(event) for event in record.events],
        "accord:state": record.status.value,
        "accord:stateAt": instant(record.as_of),
    }
    if record.words is not None:
        told["dpv:hasNotice"] = _notice(record.controller, record.words)
    if record.holds_until is not None:
        told["dpv:hasDuration"] = _until(record.holds_until)
    return told


def _controller(controller: Controller) -> Json:
    return {
        "@id": f"urn:uuid:{controller.id}",
        "@type": "dpv:DataController",
        "schema:name": controller.name,
        "schema:address": controller.address,
        "schema:telephone": controller.telephone,
        "schema:addressCountry": controller.country,
    }


def _legal_bases(record: ConsentRecord) -> list[str]:
    purpose = record.purpose
    bases = [LEGAL_BASIS[purpose.legal_basis]]
    return [*bases, f"eu-gdpr:{purpose.health_data_condition}"] if purpose.health_data_condition else bases


def _process(record: ConsentRecord) -> Json:
    purpose = record.purpose
    data = [CONTACT_DATA[record.channel]]
    return {
        "@type": "dpv:Process",
        "dct:identifier": purpose.slug,
        "dct:title": [{"@language": language, "@value": name} for language, name in sorted(purpose.names.items())],
        "dpv:hasPurpose": PURPOSE[purpose.nature],
        "dpv:hasPersonalData": [*data, HEALTH] if purpose.health_data_condition else data,
        "dpv:hasRecipient": [
            {"@id": f"urn:uuid:{record.controller.id}"},
            {"@type": "dpv:DataProcessor", "accord:carrierOf": record.channel.value},
        ],
        "dpv:hasStorageCondition": [
            {"@type": "dpv:StorageLocation", "dpv:hasLocation": f"loc:{record.controller.country}"},
            {
                "@type": "dpv:StorageDuration",
                "dpv:hasDuration": {"@type": "dpv:UntilEventDuration", "rdf:value": "Erasure of the patient"},
            },
        ],
        "accord:channel": record.channel.value,
    }


def _notice(controller: Controller, words: Words) -> Json:
    return {
        "@id": notice_url(controller, words),
        "@type": "dpv:ConsentNotice",
        "dct:title": words.title,
        "dct:language": words.language.value,
        "dct:date": instant(words.published_at),
        "dct:hasVersion": str(words.version),
        "accord:statement": words.statement,
        "accord:text": words.body,
        "accord:sha256": words.sha256,
    }


def _status(event: RecordedEvent) -> Json:
    kind = STATUS[event.kind]
    told: Json = {
        "@id": f"urn:uuid:{event.id}",
        "@type": [kind, "dpv:ExplicitlyExpressedConsent"] if event.kind in EXPRESSED else kind,
        "dpv:isIndicatedAtTime": instant(event.occurred_at),
        "dpv:hasIndicationMethod": event.method.value,
        "dpv:isIndicatedBy": [_speaker(one) for one in event.spoken_by] or ["dpv:DataController"],
        "accord:kind": event.kind.value,
        "accord:recordedAt": instant(event.recorded_at),
        "accord:recordedBy": event.written_by.value,
        "accord:sha256": event.sha256,
    }
    if event.valid_until is not None:
        told["dpv:hasDuration"] = _until(event.valid_until)
    if event.words is not None:
        told["accord:noticeSha256"] = event.words.sha256
    if event.about is not None:
        told["accord:about"] = f"urn:uuid:{event.about}"
    if event.kind is EventKind.OBJECTED:
        told["dpv:hasRight"] = {"@type": ["dpv:DataSubjectRight", "eu-gdpr:A21"]}
    return told


def _until(moment: datetime) -> Json:
    return {"@type": "dpv:UntilTimeDuration", "rdf:value": instant(moment)}


def _speaker(speaker: Speaker) -> str | Json:
    if speaker.is_patient:
        return "dpv:DataSubject"
    if speaker.by_right is RepresentationKind.CARER:
        kind = "dpv:NaturalPerson"
    else:
        kind = "dpv:ParentOfDataSubject" if speaker.by_right in PARENTS else "dpv:GuardianOfDataSubject"
    return {"@id": f"urn:uuid:{speaker.representative_id}", "@type": kind}
