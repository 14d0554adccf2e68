"""Which AuditEvent an action becomes: type, subtype, action, outcome, and the thing it happened to.

Codes are those of FHIR R4 (value sets audit-event-type, audit-event-sub-type, object-role, dicom-audit-lifecycle) and
of IHE BALP 1.1.3. docs/reference/audit-views.md says why each was chosen.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

Coding = Mapping[str, str]

_HL7: Final = "http://terminology.hl7.org/CodeSystem"
_DCM: Final = "http://dicom.nema.org/resources/ontology/DCM"
_BALP: Final = "https://profiles.ihe.net/ITI/BALP/CodeSystem"


def _coding(system: str, code: str, display: str) -> Coding:
    # BALP demands some of these displays to the letter ("Restful Operation"), so all of them are written.
    return {"system": system, "code": code, "display": display}


def _dicom(code: str, display: str) -> Coding:
    return _coding(_DCM, code, display)


def _lifecycle(code: str, display: str) -> Coding:
    return _coding(f"{_HL7}/iso-21089-lifecycle", code, f"{display} Record Lifecycle Event")


def _interaction(code: str) -> Coding:
    return _coding("http://hl7.org/fhir/restful-interaction", code, code)


REST: Final = _coding(f"{_HL7}/audit-event-type", "rest", "Restful Operation")
APPLICATION_ACTIVITY: Final = _dicom("110100", "Application Activity")
LOG_USED: Final = _dicom("110101", "Audit Log Used")
EXPORT: Final = _dicom("110106", "Export")
IMPORT: Final = _dicom("110107", "Import")
ALERT: Final = _dicom("110113", "Security Alert")
SECURITY_CONFIGURATION: Final = _dicom("110129", "Security Configuration")
RESTRICTED_FUNCTION: Final = _dicom("110132", "Use of Restricted Function")
ROLES_CHANGED: Final = _dicom("110136", "Security Roles Changed")
USER_CHANGED: Final = _dicom("110137", "User Security Attributes Changed")
CONSENT_DECISION: Final = _coding(
    f"{_BALP}/AuthZsubType", "AuthZ-Consent", "Authorization Decision using Roles and Consent"
)
AMEND: Final = _lifecycle("amend", "Amend (Update)")
ARCHIVE: Final = _lifecycle("archive", "Archive")
ATTEST: Final = _lifecycle("attest", "Attest")
DESTROY: Final = _lifecycle("destroy", "Destroy/Delete")
DISCLOSE: Final = _lifecycle("disclose", "Disclose")
ENCRYPT: Final = _lifecycle("encrypt", "Encrypt")
RECEIVE: Final = _lifecycle("receive", "Receive/Retain")
RESTORE: Final = _lifecycle("restore", "Restore")
TRANSMIT: Final = _lifecycle("transmit", "Transmit")
VERIFY: Final = _lifecycle("verify", "Verify")

SOURCE_ROLE: Final = _dicom("110153", "Source Role ID")
DESTINATION_ROLE: Final = _dicom("110152", "Destination Role ID")
APPLICATION: Final = _dicom("110150", "Application")
AUTHOR: Final = _coding(f"{_HL7}/v3-ParticipationType", "AUT", "author (originator)")
RECIPIENT: Final = _coding(f"{_HL7}/v3-ParticipationType", "IRCP", "information recipient")
PROVIDER: Final = _coding(f"{_HL7}/v3-RoleClass", "PROV", "healthcare provider")
AUTHORIZER: Final = _coding(f"{_HL7}/extra-security-role-type", "authserver", "authorization server")
HUMAN: Final = _coding(f"{_HL7}/extra-security-role-type", "humanuser", "human user")

PERSON: Final = _coding(f"{_HL7}/audit-entity-type", "1", "Person")
SYSTEM_OBJECT: Final = _coding(f"{_HL7}/audit-entity-type", "2", "System Object")
CONSENT: Final = _coding("http://hl7.org/fhir/resource-types", "Consent", "Consent")
REQUEST: Final = _coding(
    f"{_BALP}/BasicAuditEntityType",
    "XrequestId",
    "transport specific unique identifier where http X-Request-Id is used",
)
PATIENT_ROLE: Final = _coding(f"{_HL7}/object-role", "1", "Patient")
DOMAIN_RESOURCE: Final = _coding(f"{_HL7}/object-role", "4", "Domain Resource")
JOB: Final = _coding(f"{_HL7}/object-role", "20", "Job")
ERASED: Final = _coding(f"{_HL7}/dicom-audit-lifecycle", "15", "Permanent erasure / Physical destruction")
APPLICATION_SERVER: Final = _coding(f"{_HL7}/security-source-type", "4", "Application Server")
PATIENT_REQUEST: Final = _coding(f"{_HL7}/v3-ActReason", "PATRQT", "patient requested")
COMPLIANCE: Final = _coding(f"{_HL7}/v3-ActReason", "HCOMPL", "health compliance")

SUCCESS: Final = "0"
NOT_NOW: Final = "4"
FAILED: Final = "8"

# What happens to these is never told under a patient's key: what can not be read there hides no patient.
NEVER_A_PATIENT: Final = frozenset(
    {"account", "backup", "clinic", "import", "key", "log", "notice", "purpose", "template", "token"}
)


class Pattern(Enum):
    """Which agents an event names, and which profile of BALP may be claimed for it."""

    CREATE = "Create"
    UPDATE = "Update"
    READ = "Read"
    DECISION = "AuthZconsent"
    SEARCH = "search"
    DISCLOSURE = "disclosure"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """What an action becomes. `object_in` names the detail with the id or code of what it happened to.

    `outcome` is that of an entry that says `ok`; `outcome_by` names a detail that decides between several.
    `reasons` name the details whose codes explain an outcome other than success.
    """

    pattern: Pattern
    type: Coding
    action: str
    subtype: tuple[Coding, ...] = ()
    object_type: str = ""
    object_in: str = ""
    role: Coding = field(default_factory=lambda: DOMAIN_RESOURCE)
    lifecycle: Coding | None = None
    purpose: Coding | None = None
    outcome: str = SUCCESS
    outcome_by: tuple[str, Mapping[str, str]] | None = None
    reasons: tuple[str, ...] = ()


def _create(object_type: str = "", object_in: str = "") -> Mapped:
    return Mapped(
        pattern=Pattern.CREATE,
        type=REST,
        subtype=(_interaction("create"),),
        action="C",
        object_type=object_type,
        object_in=object_in,
    )


def _update(
    object_type: str = "",
    object_in: str = "",
    *also: Coding,
    purpose: Coding | None = None,
    outcome: str = SUCCESS,
    outcome_by: tuple[str, Mapping[str, str]] | None = None,
    reasons: tuple[str, ...] = (),
) -> Mapped:
    return Mapped(
        pattern=Pattern.UPDATE,
        type=REST,
        subtype=(_interaction("update"), *also),
        action="U",
        object_type=object_type,
        object_in=object_in,
        purpose=purpose,
        outcome=outcome,
        outcome_by=outcome_by,
        reasons=reasons,
    )


def _read(object_type: str = "", object_in: str = "") -> Mapped:
    return Mapped(
        pattern=Pattern.READ,
        type=REST,
        subtype=(_interaction("read"),),
        action="R",
        object_type=object_type,
        object_in=object_in,
    )


def _decision(outcome: str) -> Mapped:
    # The Consent stands where other events have their object: BALP closes the list of entities.
    return Mapped(
        pattern=Pattern.DECISION,
        type=ALERT,
        subtype=(CONSENT_DECISION,),
        action="E",
        object_type="Consent",
        object_in="consent_event",
        outcome=outcome,
        reasons=("reasons",),
    )


def _operation(object_in: str = "") -> Mapped:
    return Mapped(
        pattern=Pattern.OTHER, type=REST, subtype=(_interaction("operation"),), action="E", object_in=object_in
    )


def _security(action: str, *subtype: Coding, object_in: str = "", reasons: tuple[str, ...] = ()) -> Mapped:
    return Mapped(
        pattern=Pattern.OTHER, type=ALERT, subtype=subtype, action=action, object_in=object_in, reasons=reasons
    )


def _import() -> Mapped:
    return Mapped(pattern=Pattern.OTHER, type=IMPORT, subtype=(RECEIVE,), action="C", object_in="run", role=JOB)


def _disclosure(purpose: Coding, object_in: str = "") -> Mapped:
    return Mapped(
        pattern=Pattern.DISCLOSURE, type=EXPORT, subtype=(DISCLOSE,), action="R", object_in=object_in, purpose=purpose
    )


def _lifecycle_event(event: Coding, action: str, lifecycle: Coding | None = None, object_in: str = "") -> Mapped:
    return Mapped(pattern=Pattern.OTHER, type=event, action=action, lifecycle=lifecycle, object_in=object_in)


ROWS: Final[Mapping[str, Mapped]] = {
    "access.refused": _security("E", RESTRICTED_FUNCTION, object_in="request", reasons=("reason",)),
    "account.created": _security("C", USER_CHANGED, object_in="account"),
    "clinic.created": _create("Organization", "clinic"),
    "clinic.member_added": _security("U", ROLES_CHANGED, object_in="account"),
    "consent.age_corrected": _update("Consent", "event"),
    "consent.age_judged": _update("Consent", ""),
    "consent.deferred": _create("Consent", "event"),
    "consent.ended": _update("Consent", "event"),
    "consent.entered_in_error": _update("Consent", "event", AMEND),
    "consent.error_reported": _update("Consent", "event"),
    "consent.expired": _update("Consent", "event"),
    "consent.exported": _disclosure(COMPLIANCE, "export"),
    "consent.given": _create("Consent", "event"),
    "consent.invalidated": _update("Consent", "event", purpose=COMPLIANCE),
    "consent.notice_served": _create("", "served"),
    "consent.objected": _update("Consent", "event", purpose=PATIENT_REQUEST),
    "consent.objection_lifted": _update("Consent", "event", purpose=PATIENT_REQUEST),
    "consent.pending": _create("Consent", "event"),
    "consent.read": _read("Consent"),
    "consent.rebuilt": _lifecycle_event(AMEND, "U"),
    "consent.reconsent_required": _update("Consent", "event", purpose=COMPLIANCE),
    "consent.refused": _create("Consent", "event"),
    "consent.renewed": _create("Consent", "event"),
    "consent.requested": _create("Consent", "event"),
    "consent.revoked": _update("Consent", "event"),
    "consent.unknown": _create("Consent", "event"),
    "consent.withdrawn": _update("Consent", "event", purpose=PATIENT_REQUEST),
    "contact_point.added": _create("", "contact_point"),
    "contact_point.attested": _update("", "contact_point", ATTEST),
    "contact_point.bounced": _update("", "contact_point"),
    "contact_point.code_sent": _operation("contact_point"),
    "contact_point.removed": Mapped(
        pattern=Pattern.OTHER, type=REST, subtype=(_interaction("delete"),), action="D", object_in="contact_point"
    ),
    "contact_point.suppressed": _create(),
    "contact_point.suppression_lifted": Mapped(
        pattern=Pattern.OTHER, type=REST, subtype=(_interaction("delete"),), action="D", object_in="contact_point"
    ),
    "contact_point.verified": _update("", "contact_point", VERIFY),
    "import.finished": _import(),
    "import.started": _import(),
    "key.created": _security("C", SECURITY_CONFIGURATION),
    "key.destroyed": _lifecycle_event(DESTROY, "D", ERASED),
    "key.epoch_begun": _security("C", SECURITY_CONFIGURATION),
    "key.epoch_destroyed": _lifecycle_event(DESTROY, "D", ERASED),
    "key.provider_epoch_begun": _security("C", SECURITY_CONFIGURATION),
    "key.provider_epoch_destroyed": _lifecycle_event(DESTROY, "D", ERASED),
    "key.receipts_published": _security("C", SECURITY_CONFIGURATION),
    "key.replaced": _lifecycle_event(DESTROY, "D", ERASED),
    "key.rewrapped": _lifecycle_event(ENCRYPT, "U"),
    "link.made": _create("", "link"),
    "log.checkpoints_sent": _lifecycle_event(TRANSMIT, "E"),
    "log.entries_refused": _security("E"),
    "log.exported": _disclosure(COMPLIANCE, "export"),
    "log.read": Mapped(pattern=Pattern.OTHER, type=LOG_USED, action="R"),
    "log.restored": _lifecycle_event(RESTORE, "E"),
    "log.verified": _lifecycle_event(VERIFY, "E"),
    "call.ended": _update("Communication", "message"),
    "call.taken": _read("Communication", "message"),
    "message.cancelled": _update("Communication", "message"),
    "message.claimed": _read("Communication", "message"),
    "message.deferred": _decision(NOT_NOW),
    "message.doubt_settled": _update("Communication", "message", outcome_by=("left", {"yes": SUCCESS, "no": FAILED})),
    "message.expired": _update("Communication", "message"),
    "message.failed": _update(
        "Communication",
        "message",
        outcome=FAILED,
        outcome_by=("final", {"yes": FAILED, "no": NOT_NOW}),
        reasons=("code",),
    ),
    "message.handed_over": _decision(SUCCESS),
    "message.in_doubt": _update("Communication", "message", outcome=NOT_NOW, reasons=("reason",)),
    "message.printed": _read("Communication", "batch"),
    "message.planned": _create("Communication", "message"),
    "message.planning": _operation(),
    "message.read": _read("Communication"),
    "message.report_kept": _create("Communication", "message"),
    "message.reported": _update(
        "Communication",
        "message",
        outcome_by=("state", {"sent": SUCCESS, "delivered": SUCCESS, "failed": FAILED}),
        reasons=("code",),
    ),
    "message.reworded": _update("Communication", "message"),
    "message.sought": _read("Communication", "message"),
    "message.withheld": _decision(FAILED),
    "notice.approved": _update("", "notice", ATTEST),
    "notice.drafted": _create("", "notice"),
    "notice.published": _create("", "notice"),
    "objection.made": _create("Consent", "objection"),
    "objection.taken_back": _update("Consent", "objection", purpose=PATIENT_REQUEST),
    "occasion.changed": _update("", "occasion"),
    "occasion.recorded": _create("", "occasion"),
    "patient.created": _create("Patient"),
    "patient.data_exported": _disclosure(PATIENT_REQUEST),
    "patient.deceased": _update("Patient"),
    "patient.erased": _update("Patient", purpose=PATIENT_REQUEST),
    "patient.erasure_asked": _create("", "request"),
    "patient.erasure_taken_back": _update("", "request"),
    "patient.listed": Mapped(
        pattern=Pattern.SEARCH, type=REST, subtype=(_interaction("search-type"),), action="E", object_type="Patient"
    ),
    "patient.read": _read("Patient"),
    "patient.restricted": _update("Patient", purpose=PATIENT_REQUEST),
    "patient.restriction_lifted": _update("Patient"),
    "patient.updated": _update("Patient"),
    "preference.changed": _update(),
    "preference.previewed": _operation(),
    "programme.approved": _update("", "programme", ATTEST),
    "programme.created": _create("", "programme"),
    "programme.enrolled": _create("", "enrolment"),
    "programme.paused": _update("", "programme"),
    "programme.reach": _operation("programme"),
    "programme.started": _update("", "programme"),
    "purpose.reminds": _update("", "purpose"),
    "purpose.assessed": _update("", "purpose", ATTEST),
    "purpose.basis_corrected": _update("", "purpose", AMEND),
    "purpose.defined": _create("", "purpose"),
    "receipt.issued": _read("Consent", "event"),
    "representative.changed": _update("RelatedPerson", "representative"),
    "representative.recorded": _create("RelatedPerson", "representative"),
    "stop.read": _read(),
    "stop.received": _create("", "stop"),
    "template.approved": _update("", "template", ATTEST),
    "template.discarded": _update("", "template"),
    "template.drafted": _update("", "template"),
    "template.published": _create("", "template"),
    "token.issued": _security("C", USER_CHANGED, object_in="token"),
    "token.revoked": _security("D", USER_CHANGED, object_in="token"),
}

# Families that grow: an action without a row of its own is at least of its kind.
FAMILIES: Final[Mapping[str, Mapped]] = {
    "backup.": _lifecycle_event(ARCHIVE, "E"),
    "key.": _security("E", SECURITY_CONFIGURATION),
    "log.": Mapped(pattern=Pattern.OTHER, type=LOG_USED, action="E"),
}

# An entry whose own header can not be read, and one of a version of Accord that this one does not know.
ILLEGIBLE: Final = _security("E")
UNKNOWN: Final = Mapped(pattern=Pattern.OTHER, type=APPLICATION_ACTIVITY, action="E")


def is_mapped(code: str) -> bool:
    """Has this action a row, or its family?"""
    return code in ROWS or code.startswith(tuple(FAMILIES))


def mapped(code: str) -> Mapped:
    """What an action of this code becomes."""
    if row := ROWS.get(code):
        return row
    return next((row for prefix, row in FAMILIES.items() if code.startswith(prefix)), UNKNOWN)
