"""Purposes, notices, consent events (the truth) and consent states (what follows from them)."""

from typing import Final, Self
from uuid import UUID

from django.db import models

from backend.audit.guard import AppendOnly, Guarded
from backend.patients.models import OfClinic, OfPatient
from backend.policy.vocabulary import (
    Audience,
    Channel,
    ConsentStatus,
    EventKind,
    Language,
    LegalBasis,
    Materiality,
    Method,
    Nature,
    ObjectionScope,
    RequestSource,
)
from backend.vault.fields import SealedField
from backend.vault.identifiers import new_id

NAMES_ITS_NOTICE: Final = (EventKind.PENDING, EventKind.GIVEN, EventKind.RENEWED, EventKind.REFUSED)


class Purpose(Guarded):
    """What a clinic wants to contact patients for: one line of its Art. 30 register."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    clinic = models.ForeignKey("clinics.Clinic", on_delete=models.PROTECT, related_name="+")
    slug = models.SlugField(max_length=60)
    nature = models.CharField(max_length=20, choices=[(nature.value, nature.value) for nature in Nature])
    legal_basis = models.CharField(max_length=20, choices=[(basis.value, basis.value) for basis in LegalBasis])
    health_data_condition = models.CharField(max_length=20, blank=True)
    # Where the impact assessment is, or why none is needed: the officer's words (GDPR Art. 35).
    impact_assessment = models.CharField(max_length=200, blank=True)
    channels = models.JSONField(default=list)
    names = models.JSONField(default=dict)
    statements = models.JSONField(default=dict)
    # For children; where there is none, the sentence for everybody stands in its place.
    child_statements = models.JSONField(default=dict)
    validity_months = models.PositiveSmallIntegerField(default=36)
    # Whether a message says, once, that a yes ends soon: off until the officer switched it on.
    renewal_reminders = models.BooleanField(default=False)
    rank = models.PositiveSmallIntegerField(default=0)

    objects = OfClinic.as_manager()

    class Meta:
        db_table = "consent_purpose"
        constraints = [
            *Guarded.Meta.constraints,
            models.UniqueConstraint(fields=["clinic", "slug"], name="a_purpose_once"),
            # Only the closed list goes without consent: neither staff nor an import can say otherwise.
            models.CheckConstraint(
                condition=models.Q(legal_basis=LegalBasis.CONSENT.value) | models.Q(nature=Nature.CLOSED_LIST.value),
                name="only_the_closed_list_goes_without_consent",
            ),
        ]

    @property
    def requires_consent(self) -> bool:
        """Derived, so that nobody can switch it off."""
        return self.nature != Nature.CLOSED_LIST


class Notice(Guarded):
    """The text that was shown, one row per version, language and audience. Published means: never changed again."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    clinic = models.ForeignKey("clinics.Clinic", on_delete=models.PROTECT, related_name="+")
    version = models.PositiveIntegerField()
    language = models.CharField(max_length=2, choices=[(language.value, language.value) for language in Language])
    audience = models.CharField(
        max_length=10, default=Audience.EVERYBODY.value, choices=[(one.value, one.value) for one in Audience]
    )
    title = models.CharField(max_length=200)
    body = models.TextField()
    statements = models.JSONField(default=dict)
    sha256 = models.CharField(max_length=64)
    published_at = models.DateTimeField()
    materiality = models.CharField(
        max_length=10, default=Materiality.EDITORIAL.value, choices=[(one.value, one.value) for one in Materiality]
    )
    materiality_reason = models.TextField(blank=True)
    effective_from = models.DateTimeField(null=True)
    approved_by = models.CharField(max_length=40, blank=True)

    objects = OfClinic.as_manager()

    class Meta:
        db_table = "consent_notice"
        constraints = [
            *Guarded.Meta.constraints,
            AppendOnly(name="consent_notice_append_only"),
            models.UniqueConstraint(fields=["clinic", "version", "language", "audience"], name="a_notice_once"),
            models.CheckConstraint(
                condition=models.Q(materiality=Materiality.EDITORIAL.value)
                | (models.Q(effective_from__isnull=False) & ~models.Q(materiality_reason="")),
                name="a_material_notice_says_why_and_from_when",
            ),
        ]


class NoticeDraft(Guarded):
    """A notice in the making: written, approved by the data protection officer, published; each step once."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    clinic = models.ForeignKey("clinics.Clinic", on_delete=models.PROTECT, related_name="+")
    texts = models.JSONField()
    child_texts = models.JSONField(default=dict)
    written_by = models.CharField(max_length=40)
    written_at = models.DateTimeField()
    materiality = models.CharField(max_length=10, blank=True)
    materiality_reason = models.TextField(blank=True)
    effective_from = models.DateTimeField(null=True)
    # What the law asks for only where it applies, and why it does not here: the officer's words (GDPR Art. 13).
    not_applicable = models.JSONField(default=dict)
    approved_by = models.CharField(max_length=40, blank=True)
    approved_at = models.DateTimeField(null=True)
    version = models.PositiveIntegerField(null=True)

    objects = OfClinic.as_manager()

    class Meta:
        db_table = "consent_notice_draft"
        constraints = [
            *Guarded.Meta.constraints,
            models.CheckConstraint(
                condition=models.Q(version__isnull=True) | models.Q(approved_at__isnull=False),
                name="what_is_published_was_approved",
            ),
        ]


class NoticeServed(OfPatient):
    """That a notice was shown to a patient: which, when, and on what screen. Evidence for what they said to it."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    notice = models.ForeignKey(Notice, on_delete=models.PROTECT, related_name="+")
    served_at = models.DateTimeField()
    surface = SealedField(null=True)

    objects = OfClinic.as_manager()

    class Meta:
        db_table = "consent_notice_served"
        constraints = [*Guarded.Meta.constraints, AppendOnly(name="consent_notice_served_append_only")]


class ConsentEvent(OfPatient):
    """Something that happened to one purpose on one channel of one patient. Never changed, never deleted."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    purpose = models.ForeignKey(Purpose, on_delete=models.PROTECT, related_name="+")
    channel = models.CharField(max_length=10, choices=[(channel.value, channel.value) for channel in Channel])
    kind = models.CharField(max_length=20, choices=[(kind.value, kind.value) for kind in EventKind])
    method = models.CharField(max_length=20, choices=[(method.value, method.value) for method in Method])
    legal_basis = models.CharField(max_length=20)
    occurred_at = models.DateTimeField()
    recorded_at = models.DateTimeField()
    valid_until = models.DateTimeField(null=True)
    guardian_until = models.DateTimeField(null=True)
    about = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="+")
    reason = models.CharField(max_length=40, blank=True)
    confirmed_by = models.CharField(max_length=40, blank=True)
    notice = models.ForeignKey(Notice, null=True, on_delete=models.PROTECT, related_name="+")
    notice_sha256 = models.CharField(max_length=64, blank=True)
    language = models.CharField(max_length=2, blank=True)
    expressed_by = models.JSONField(default=list)
    recorded_by = models.CharField(max_length=40)
    evidence = SealedField(null=True)
    number = models.PositiveIntegerField()

    objects = OfClinic.as_manager()

    class Meta:
        db_table = "consent_event"
        constraints = [
            *Guarded.Meta.constraints,
            AppendOnly(name="consent_event_append_only"),
            models.CheckConstraint(
                condition=~models.Q(kind__in=[kind.value for kind in NAMES_ITS_NOTICE])
                | models.Q(notice__isnull=False),
                name="a_yes_or_no_names_its_notice",
            ),
            models.CheckConstraint(
                condition=~models.Q(kind=EventKind.ENTERED_IN_ERROR.value)
                | (
                    models.Q(about__isnull=False)
                    & ~models.Q(confirmed_by="")
                    & ~models.Q(confirmed_by=models.F("recorded_by"))
                ),
                name="an_error_takes_four_eyes",
            ),
            # The order of a stream is counted, not read off a clock.
            models.UniqueConstraint(
                fields=["patient", "purpose", "channel", "number"], name="consent_events_are_counted"
            ),
        ]


class ConsentRequest(OfPatient):
    """A yes that waits for the person behind an address: a link goes there, and only a press on its page says yes.

    Never changed: it was answered once an event is about its own. The token is known by a keyed hash only, and neither
    the address of whoever opens the page nor their browser is kept.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    event = models.OneToOneField(ConsentEvent, on_delete=models.PROTECT, related_name="+")
    contact_point = models.ForeignKey("patients.ContactPoint", on_delete=models.PROTECT, related_name="+")
    source = models.CharField(max_length=10, choices=[(one.value, one.value) for one in RequestSource])
    token_digest = models.BinaryField()
    asked_at = models.DateTimeField()
    expires_at = models.DateTimeField()

    objects = OfClinic.as_manager()

    class Meta:
        db_table = "consent_request"
        constraints = [
            *Guarded.Meta.constraints,
            AppendOnly(name="consent_request_append_only"),
            models.UniqueConstraint(fields=["token_digest"], name="a_token_leads_to_one_request"),
        ]
        indexes = [models.Index(fields=["contact_point", "-asked_at"], name="request_of_contact_point")]


class States(OfClinic):
    """Sets of consent states."""

    def of(self, *, patient_id: UUID, purpose_id: UUID, channel: Channel) -> Self:
        """The state of one purpose on one channel of one patient: at most one row."""
        return self.filter(patient_id=patient_id, purpose_id=purpose_id, channel=channel)


class ConsentState(OfPatient):
    """Where one purpose on one channel stands. Can be rebuilt from the events at any time; no row means no."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    purpose = models.ForeignKey(Purpose, on_delete=models.PROTECT, related_name="+")
    channel = models.CharField(max_length=10)
    status = models.CharField(max_length=20, choices=[(status.value, status.value) for status in ConsentStatus])
    since = models.DateTimeField()
    valid_until = models.DateTimeField(null=True)
    guardian_until = models.DateTimeField(null=True)
    notice_version = models.PositiveIntegerField(null=True)
    last_event = models.ForeignKey(ConsentEvent, on_delete=models.PROTECT, related_name="+")
    # What made the status, where later events only asked. None in a row older than this column: it permits nothing
    # until the states are rebuilt.
    standing_event = models.ForeignKey(ConsentEvent, null=True, on_delete=models.PROTECT, related_name="+")

    objects = States.as_manager()

    class Meta:
        db_table = "consent_state"
        constraints = [
            *Guarded.Meta.constraints,
            models.UniqueConstraint(fields=["patient", "purpose", "channel"], name="one_state_per_channel"),
        ]
        indexes = [
            models.Index(
                fields=["valid_until"],
                condition=models.Q(status=ConsentStatus.GIVEN.value),
                name="consent_that_will_expire",
            ),
        ]


class Objection(OfPatient):
    """A patient objects to a purpose, or to all direct marketing (GDPR Art. 21). It stands until they take it back."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    scope = models.CharField(max_length=20, choices=[(scope.value, scope.value) for scope in ObjectionScope])
    purpose = models.ForeignKey(Purpose, null=True, on_delete=models.PROTECT, related_name="+")
    method = models.CharField(max_length=20)
    expressed_by = models.JSONField(default=list)
    recorded_by = models.CharField(max_length=40)
    objected_at = models.DateTimeField()
    lifted_at = models.DateTimeField(null=True)
    lifted_by = models.CharField(max_length=40, blank=True)
    lifted_evidence = SealedField(null=True)

    objects = OfClinic.as_manager()

    class Meta:
        db_table = "consent_objection"
        constraints = [
            *Guarded.Meta.constraints,
            models.CheckConstraint(
                condition=models.Q(scope=ObjectionScope.PURPOSE.value, purpose__isnull=False)
                | models.Q(scope=ObjectionScope.DIRECT_MARKETING.value, purpose__isnull=True),
                name="an_objection_has_its_object",
            ),
            models.UniqueConstraint(
                fields=["patient", "purpose"],
                condition=models.Q(lifted_at__isnull=True, purpose__isnull=False),
                name="one_objection_per_purpose",
            ),
            models.UniqueConstraint(
                fields=["patient"],
                condition=models.Q(lifted_at__isnull=True, purpose__isnull=True),
                name="one_objection_to_marketing",
            ),
        ]


class ReceiptKey(Guarded):
    """The public half of a key that signs receipts, or did: kept for as long as a receipt may be checked."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    thumbprint = models.CharField(max_length=43, unique=True)
    public = models.BinaryField()
    published_at = models.DateTimeField()
    retired_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "consent_receipt_key"
        constraints = [*Guarded.Meta.constraints]


class ErrorReport(OfPatient):
    """Somebody says that an event was entered by mistake; it counts once somebody else says so too."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    event = models.OneToOneField(ConsentEvent, on_delete=models.PROTECT, related_name="+")
    reason = models.CharField(max_length=40)
    reported_by = models.CharField(max_length=40)
    reported_at = models.DateTimeField()

    objects = OfClinic.as_manager()

    class Meta:
        db_table = "consent_error_report"
        constraints = [*Guarded.Meta.constraints, AppendOnly(name="consent_error_report_append_only")]
