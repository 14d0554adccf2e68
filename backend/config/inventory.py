"""Which columns about patients are clear, and why; all others are sealed. Makes docs/reference/data-inventory.md."""

from collections.abc import Iterator
from typing import Final

from django.apps import apps
from django.db import models

from backend.vault.fields import SealedField

ID: Final = "random id"
TIME: Final = "time of the business, needed to plan, count and prove"
STATE: Final = "state or code that the planner needs, and that can not be a diagnosis"
INDEX: Final = "keyed hash under the clinic's own key, for finding equal values without reading any"

COMMON: Final = {
    "id": ID,
    "clinic": ID,
    "clinic_id": ID,
    "patient": ID,
    "patient_id": ID,
    "created_at": TIME,
    "updated_at": TIME,
    "source_index": INDEX,
    "source_digest": "keyed hash under the clinic's own key, for telling whether a source says something new",
}
REASONS: Final[dict[str, dict[str, str]]] = {
    "patients.Patient": {
        "family_name_index": INDEX,
        "language": "the language to write in",
        "holiday_region": "part of France with holidays of its own, if any: marketing by SMS keeps them",
        "is_active": STATE,
        "is_deceased": "nothing is sent to the dead: the gate needs it before anything is opened",
        "deceased_at": "as above",
        "birth_date_corrected_at": "since when consents wait to be judged by another birth date; the date is sealed",
        "restricted_at": "processing is frozen (GDPR Art. 18): the gate needs it before anything is opened",
        "erased_at": "marks a tombstone",
    },
    "patients.PatientIdentifier": {"system": "who gave the number; the number itself is sealed", "value_index": INDEX},
    "patients.Representative": {
        "relationship": "coarse code: mother, guardian, ...",
        "is_active": STATE,
        "kind": "by what right, as a code",
        "scope": "what for, as codes",
        "starts_on": TIME,
        "ends_on": TIME,
        "proof_checked_by": "pseudonym",
        "proof_checked_at": TIME,
        "agreed_at": TIME,
        "hidden_purposes": "short names of purposes, none of which can be a diagnosis: the gate needs them",
    },
    "patients.ContactPoint": {
        "kind": STATE,
        "value_index": INDEX,
        "takes_sms": "a landline takes none",
        "status": STATE,
        "reason": "why it can not be used, as a code",
        "how": "how it was checked, as a code",
        "confirmed_at": TIME,
        "code_digest": "keyed hash of a one-time code",
        "code_expires_at": TIME,
        "code_asked_at": TIME,
        "code_tries": "wrong tries are counted",
        "rank": "order among a patient's own",
        "representative": ID,
        "from_source": "whether the practice software said it",
        "ended_at": TIME,
    },
    "patients.SuppressionEntry": {
        "channel": STATE,
        "digest": "keyed hash of a blind index, under a key of its own: it outlives whoever's address it was",
        "source_event": "what put it there, as a code",
    },
    "patients.Occasion": {
        "kind": STATE,
        "topic": "coarse code that can not be a diagnosis, such as influenza; the words are sealed",
        "status": STATE,
        "starts_at": TIME,
        "ends_at": TIME,
    },
    "consent.ConsentEvent": {
        "purpose": ID,
        "channel": STATE,
        "number": "order in its stream",
        "kind": STATE,
        "method": STATE,
        "legal_basis": STATE,
        "occurred_at": TIME,
        "recorded_at": TIME,
        "valid_until": TIME,
        "guardian_until": "when a guardian's word ends since the patient is of age, where nothing ends it sooner",
        "about": "the event that this one answers, or says was a slip",
        "reason": "why, as a code",
        "confirmed_by": "pseudonym of the second person",
        "notice": "which text was shown; it is public",
        "notice_sha256": "hash of that public text",
        "language": STATE,
        "expressed_by": "roles, and ids of representatives",
        "recorded_by": "pseudonym",
    },
    "consent.ConsentState": {
        "purpose": ID,
        "channel": STATE,
        "status": STATE,
        "since": TIME,
        "valid_until": TIME,
        "guardian_until": "as in the event: the gate needs it at the birthday itself",
        "notice_version": "which public text it was said to",
        "last_event": ID,
        "standing_event": ID,
    },
    "consent.Objection": {
        "scope": STATE,
        "purpose": ID,
        "method": STATE,
        "expressed_by": "roles, and ids of representatives",
        "recorded_by": "pseudonym",
        "objected_at": TIME,
        "lifted_at": TIME,
        "lifted_by": "pseudonym",
    },
    "consent.NoticeServed": {"notice": "which text was shown; it is public", "served_at": TIME},
    "consent.ConsentRequest": {
        "event": ID,
        "contact_point": ID,
        "source": STATE,
        "token_digest": "keyed hash of a token that nobody can make without the clinic's key",
        "asked_at": TIME,
        "expires_at": TIME,
    },
    "consent.ErrorReport": {
        "event": ID,
        "reason": "why, as a code",
        "reported_by": "pseudonym",
        "reported_at": TIME,
    },
    "patients.Restriction": {
        "ground": STATE,
        "recorded_by": "pseudonym",
        "restricted_at": TIME,
        "lifted_at": TIME,
        "lifted_by": "pseudonym",
        "lifted_because": STATE,
        "informed_on": TIME,
    },
    "patients.ErasureRequest": {
        "ground": STATE,
        "asked_by": "pseudonym",
        "asked_as": STATE,
        "asked_at": TIME,
        "taken_back_by": "pseudonym",
        "taken_back_at": TIME,
        "confirmed_by": "pseudonym",
        "confirmed_at": TIME,
    },
    "preferences.Preferences": {
        "version": "counts changes",
        "channel_order": STATE,
        "frequency_max": STATE,
        "frequency_per": STATE,
        "digest": STATE,
        "tone": STATE,
        "language": STATE,
        "quiet_from": STATE,
        "quiet_to": STATE,
        "time_zone": STATE,
        "paused_until": TIME,
        "discreet": STATE,
        "large_print": STATE,
        "no_first_name": STATE,
        "no_personalisation": STATE,
        "purposes": STATE,
    },
    "preferences.PreferenceVersion": {
        "version": "counts changes",
        "channel_order": STATE,
        "frequency_max": STATE,
        "frequency_per": STATE,
        "digest": STATE,
        "tone": STATE,
        "language": STATE,
        "quiet_from": STATE,
        "quiet_to": STATE,
        "time_zone": STATE,
        "paused_until": TIME,
        "discreet": STATE,
        "large_print": STATE,
        "no_first_name": STATE,
        "no_personalisation": STATE,
        "purposes": STATE,
        "changed": "names of fields",
        "changed_at": TIME,
        "changed_by": STATE,
        "recorded_by": "pseudonym",
        "representative": ID,
    },
    "programmes.Enrolment": {"programme": ID, "occasion": ID, "enrolled_at": TIME},
    "messaging.Message": {
        "enrolment": ID,
        "programme": ID,
        "occasion": ID,
        "occasion_starts_at": TIME,
        "step": STATE,
        "occurrence": "the time of the occasion, so that a step makes one message",
        "purpose": ID,
        "channel": STATE,
        "contact_point": ID,
        "template_version": ID,
        "language": STATE,
        "tone": STATE,
        "due_at": TIME,
        "expires_at": TIME,
        "state": STATE,
        "verdict": "codes, ids and times of the decision; nothing personal",
        "planned_at": TIME,
        "claimed_at": TIME,
        "ask_at": "when a carrier is asked about it: the worker finds it by this",
        "settled_at": TIME,
        "tries": "counted",
        "carrier": STATE,
        "carrier_reference": "the carrier's own name for the message",
        "sent_with": ID,
        "print_batch": ID,
        "failure": "why, as a code",
    },
    "messaging.CarrierReport": {
        "message": ID,
        "carrier": STATE,
        "carrier_reference": "the carrier's own name for the message",
        "state": STATE,
        "code": "why, as a code",
        "received_at": TIME,
        "applied_at": TIME,
    },
    "messaging.UnsubscribeLink": {"purpose": ID, "channel": STATE, "token_digest": "keyed hash of a random token"},
    "messaging.ReceivedStop": {
        "received": ID,
        "received_at": TIME,
        "sharing": "how many other patients have the number: staff find out who meant it",
        "withdrawn": "how many consents it withdrew",
    },
    "attempts.Attempt": {
        "message_id": ID,
        "purpose": STATE,
        "channel": STATE,
        "owner": "random id of a worker",
        "claimed_at": TIME,
        "lease_until": TIME,
        "outcome": STATE,
        "closed_at": TIME,
    },
    "audit.AuditEntry": {
        "seq": "counted by the database: how it came in",
        "ep": "counts restores",
        "xid": "the transaction, from which the log's order follows",
        "log_id": "whose log",
        "ts": TIME,
        "leaf": "ciphertext, and a header from a closed list: docs/reference/audit-bundle.md",
        "wmac": "keyed hash by which we know what we wrote",
    },
    "audit.AuditPart": {
        "key_id": "random id of a key; its row names the patient, until the key is destroyed",
        "log_id": "whose log",
        "idx": "place in that log",
    },
    "audit.DataKey": {
        "scope": "what the key is for",
        "subject_id": "random id of the patient; empty once the key is destroyed",
        "epoch": "which clinic key wraps it",
        "wrapped": "the key itself, encrypted; empty once it is destroyed",
        "destroyed_at": TIME,
        "subject_mark": "keyed hash by which an erased patient's id is refused; leads to nobody without our key",
    },
}
# Rows about one patient, in tables that have no column of that name.
ALSO: Final = {
    "patients.Patient",
    "patients.SuppressionEntry",
    "attempts.Attempt",
    "audit.AuditEntry",
    "audit.AuditPart",
    "audit.DataKey",
}


def models_about_patients() -> Iterator[type[models.Model]]:
    """Every table with rows about one patient."""
    for model in apps.get_models():
        options = model._meta  # noqa: SLF001 - Django's own API
        names = {field.name for field in options.get_fields() if field.concrete}
        if options.label in ALSO or ("patient" in names and options.app_label != "accounts"):
            yield model


def reason_for(model: type[models.Model], column: str) -> str | None:
    """Why a clear column is clear."""
    label = model._meta.label  # noqa: SLF001 - Django's own API
    return REASONS.get(label, {}).get(column) or COMMON.get(column)


def columns_of(model: type[models.Model]) -> Iterator[tuple[str, bool]]:
    """The columns of a table, and whether each is sealed."""
    for field in model._meta.concrete_fields:  # noqa: SLF001 - Django's own API
        yield field.name, isinstance(field, SealedField)


def as_markdown() -> str:
    """The page."""
    lines = [
        "# What is stored about patients",
        "",
        "Made by `manage.py data_inventory`; a test checks that it is current, and every clear column has a reason.",
        "*Sealed* means: encrypted under the patient's own key, unreadable once that key is destroyed.",
    ]
    for model in sorted(models_about_patients(), key=lambda one: one._meta.label):  # noqa: SLF001 - Django's own API
        lines += ["", f"## {model._meta.label}", ""]  # noqa: SLF001 - Django's own API
        lines += ["| column | | why it is clear |", "|---|---|---|"]
        for name, sealed in columns_of(model):
            lines.append(f"| {name} | {'**sealed**' if sealed else 'clear'} | {reason_for(model, name) or ''} |")
    return "\n".join(lines) + "\n"
