"""The words that every part of Accord shares. Codes are stored and sent as they are; sentences are made at the edge."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Channel(StrEnum):
    """How a message travels."""

    PUSH = "push"
    SMS = "sms"
    EMAIL = "email"
    LETTER = "letter"
    CALL = "call"


class Tone(StrEnum):
    """How a patient is spoken to: `vous`, `tu`, or plain language."""

    FORMAL = "formal"
    INFORMAL = "informal"
    PLAIN = "plain"


class Language(StrEnum):
    """The languages that messages and pages exist in."""

    FRENCH = "fr"
    ENGLISH = "en"


class Nature(StrEnum):
    """What a purpose is for. Only the closed list may be sent without consent (PRODUCT.md, promise 1)."""

    CARE = "care"
    PREVENTION = "prevention"
    SATISFACTION = "satisfaction"
    MARKETING = "marketing"
    CLOSED_LIST = "closed_list"


class Category(StrEnum):
    """Under which heading a phone files a notification. Its owner may silence one there and keep the others.

    `service`: what the patient asked for themselves, such as a code. It says no more than that: no purpose, no topic.
    """

    CARE = "care"
    SATISFACTION = "satisfaction"
    MARKETING = "marketing"
    SERVICE = "service"


CATEGORY_OF: Final[Mapping[Nature, Category]] = {
    Nature.CARE: Category.CARE,
    Nature.PREVENTION: Category.CARE,
    Nature.SATISFACTION: Category.SATISFACTION,
    Nature.MARKETING: Category.MARKETING,
    Nature.CLOSED_LIST: Category.SERVICE,
}


class LegalBasis(StrEnum):
    """Why processing is lawful (GDPR Art. 6(1))."""

    CONSENT = "consent"
    CONTRACT = "contract"
    LEGAL_OBLIGATION = "legal_obligation"


class Decision(StrEnum):
    """What a patient says of one purpose on one channel."""

    GIVEN = "given"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


class EventKind(StrEnum):
    """What can happen to one purpose on one channel of one patient. Only `given` and `renewed` permit anything."""

    REQUESTED = "requested"
    DEFERRED = "deferred"
    PENDING = "pending"
    GIVEN = "given"
    RENEWED = "renewed"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    OBJECTED = "objected"
    OBJECTION_LIFTED = "objection_lifted"
    EXPIRED = "expired"
    RECONSENT_REQUIRED = "reconsent_required"
    ENDED = "ended"
    REVOKED = "revoked"
    INVALIDATED = "invalidated"
    ENTERED_IN_ERROR = "entered_in_error"
    UNKNOWN = "unknown"
    AGE_CORRECTED = "age_corrected"


class ConsentStatus(StrEnum):
    """Where one purpose on one channel stands. Only `given` permits anything; no row at all is `none`."""

    NONE = "none"
    PENDING = "pending"
    GIVEN = "given"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    OBJECTED = "objected"
    EXPIRED = "expired"
    RECONSENT_REQUIRED = "reconsent_required"
    ENDED = "ended"


class Method(StrEnum):
    """How a consent or withdrawal was expressed. `system`: by nobody, it follows from a rule (a date, a notice)."""

    APP = "app"
    PAPER_FORM = "paper_form"
    VERBAL = "verbal"
    STAFF_WITHDRAWAL = "staff_withdrawal"
    WEB = "web"
    DOUBLE_OPT_IN = "double_opt_in"
    IMPORT = "import"
    SMS_KEYWORD = "sms_keyword"
    ONE_CLICK = "one_click"
    CARRIER_FEEDBACK = "carrier_feedback"
    SYSTEM = "system"


class RequestSource(StrEnum):
    """Who asked for the link by which a yes is confirmed: the person in a form of the clinic's site, or staff."""

    WEB_FORM = "web_form"
    STAFF = "staff"


class Materiality(StrEnum):
    """Whether a new version of a notice only says the same better, or says something else."""

    EDITORIAL = "editorial"
    MATERIAL = "material"


class Audience(StrEnum):
    """Whom a notice is written for. A child who consents together with a parent is shown a text of their own."""

    EVERYBODY = "everybody"
    CHILD = "child"


class ObjectionScope(StrEnum):
    """What a patient objects to (GDPR Art. 21): one purpose, or all direct marketing there is and will be."""

    PURPOSE = "purpose"
    DIRECT_MARKETING = "direct_marketing"


class RestrictionGround(StrEnum):
    """Why processing is restricted (GDPR Art. 18(1), points a to d)."""

    ACCURACY_CONTESTED = "accuracy_contested"
    UNLAWFUL = "unlawful"
    LEGAL_CLAIMS = "legal_claims"
    OBJECTION_EXAMINED = "objection_examined"


class ErasureGround(StrEnum):
    """Why a patient's data are erased (GDPR Art. 17(1), points a to f)."""

    NO_LONGER_NECESSARY = "no_longer_necessary"
    CONSENT_WITHDRAWN = "consent_withdrawn"
    OBJECTED = "objected"
    UNLAWFUL = "unlawful"
    LEGAL_OBLIGATION = "legal_obligation"
    CHILD_ONLINE = "child_online"


class Stays(StrEnum):
    """What an erasure leaves, and may leave (GDPR Art. 17(3))."""

    SUPPRESSION = "suppression"
    PROOF_OF_CONSENT = "proof_of_consent"
    PROOF_OF_MESSAGES = "proof_of_messages"
    IDENTIFIERS = "identifiers"
    LOG = "log"
    CARE_RECORD = "care_record"


class LiftingReason(StrEnum):
    """Why a restriction ends: the patient asked, or its ground is gone and the patient was told before (Art. 18(3))."""

    PATIENT_ASKED = "patient_asked"
    GROUND_ENDED = "ground_ended"


class Decided(StrEnum):
    """The three answers to: may we contact this patient, this way, now?"""

    ALLOW = "allow"
    DEFER = "defer"
    DENY = "deny"


class Reason(StrEnum):
    """Why a contact is deferred or denied. The order here is the order of every verdict."""

    # Restriction and objection: nothing outranks them (GDPR Art. 18 and 21).
    DECEASED = "deceased"
    ERASED = "erased"
    RESTRICTED = "restricted"
    OBJECTED = "objected"
    # Consent: silence is no.
    PURPOSE_UNKNOWN = "purpose_unknown"
    CHANNEL_NOT_OF_PURPOSE = "channel_not_of_purpose"
    NO_CONSENT = "no_consent"
    CONSENT_PENDING = "consent_pending"
    CONSENT_REFUSED = "consent_refused"
    CONSENT_WITHDRAWN = "consent_withdrawn"
    CONSENT_NOT_YET_VALID = "consent_not_yet_valid"
    CONSENT_EXPIRED = "consent_expired"
    RECONSENT_REQUIRED = "reconsent_required"
    CONSENT_ENDED = "consent_ended"
    # Suppression: the address itself.
    SUPPRESSED = "suppressed"
    NO_CONTACT_POINT = "no_contact_point"
    CONTACT_UNUSABLE = "contact_unusable"
    CONTACT_UNVERIFIED = "contact_unverified"
    REPRESENTATION_ENDED = "representation_ended"
    CONFIDENTIAL_FROM_REPRESENTATIVE = "confidential_from_representative"
    # What the message is about, and when it is lawful or useful.
    PROGRAMME_NOT_RUNNING = "programme_not_running"
    OCCASION_CHANGED = "occasion_changed"
    TOO_LATE = "too_late"
    LEGAL_WINDOW = "legal_window"
    # Stands behind all programmes: nobody is sent more than so many messages a day.
    DAILY_LIMIT = "daily_limit"
    # Preference: only ever narrows.
    PURPOSE_SWITCHED_OFF = "purpose_switched_off"
    CHANNEL_SWITCHED_OFF = "channel_switched_off"
    PAUSED = "paused"
    FREQUENCY_CAP = "frequency_cap"
    QUIET_HOURS = "quiet_hours"
    DIGEST = "digest"
    # The clinic's own wording.
    NO_TEMPLATE = "no_template"


class MessageState(StrEnum):
    """Where a message stands. `in_doubt`: handed over, or not; only the carrier or a person can tell."""

    PLANNED = "planned"
    DEFERRED = "deferred"
    HANDING_OVER = "handing_over"
    SENT = "sent"
    DELIVERED = "delivered"
    FAILED = "failed"
    EXPIRED = "expired"
    WITHHELD = "withheld"
    CANCELLED = "cancelled"
    IN_DOUBT = "in_doubt"


class RepresentationKind(StrEnum):
    """By what right somebody acts for a patient. `carer`: by the adult patient's own word, and no other."""

    PARENTAL_AUTHORITY = "parental_authority"
    GUARDIANSHIP = "guardianship"
    CURATORSHIP = "curatorship"
    FAMILY_AUTHORISATION = "family_authorisation"
    FUTURE_PROTECTION_MANDATE = "future_protection_mandate"
    CARER = "carer"


class RepresentationScope(StrEnum):
    """What a representative may do for the patient."""

    CONSENTS = "consents"
    PREFERENCES = "preferences"
    MESSAGES = "messages"


class ContactStatus(StrEnum):
    """Whether a contact point may be used: only `verified` (one-time code) and `attested` (by staff, who says how)."""

    UNVERIFIED = "unverified"
    VERIFIED = "verified"
    ATTESTED = "attested"
    UNUSABLE = "unusable"
