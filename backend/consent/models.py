"""Purposes, notices, consent events (the truth) and consent states (what follows from them)."""

from typing import Self
from uuid import UUID

from django.db import models

from backend.audit.guard import AppendOnly, Guarded
from backend.patients.models import OfClinic, OfPatient
from backend.policy.vocabulary import (
    Channel,
    ConsentStatus,
    Decision,
    Language,
    LegalBasis,
    Method,
    Nature,
)
from backend.vault.fields import SealedField
from backend.vault.identifiers import new_id


class Purpose(Guarded):
    """What a clinic wants to contact patients for: one line of its Art. 30 register."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    clinic = models.ForeignKey("clinics.Clinic", on_delete=models.PROTECT, related_name="+")
    slug = models.SlugField(max_length=60)
    nature = models.CharField(max_length=20, choices=[(nature.value, nature.value) for nature in Nature])
    legal_basis = models.CharField(max_length=20, choices=[(basis.value, basis.value) for basis in LegalBasis])
    health_data_condition = models.CharField(max_length=20, blank=True)
    channels = models.JSONField(default=list)
    names = models.JSONField(default=dict)
    statements = models.JSONField(default=dict)
    validity_months = models.PositiveSmallIntegerField(default=36)
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
    """The text that was shown, one row per version and language. Published means: never changed again."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    clinic = models.ForeignKey("clinics.Clinic", on_delete=models.PROTECT, related_name="+")
    version = models.PositiveIntegerField()
    language = models.CharField(max_length=2, choices=[(language.value, language.value) for language in Language])
    title = models.CharField(max_length=200)
    body = models.TextField()
    statements = models.JSONField(default=dict)
    sha256 = models.CharField(max_length=64)
    published_at = models.DateTimeField()

    objects = OfClinic.as_manager()

    class Meta:
        db_table = "consent_notice"
        constraints = [
            *Guarded.Meta.constraints,
            AppendOnly(name="consent_notice_append_only"),
            models.UniqueConstraint(fields=["clinic", "version", "language"], name="a_notice_once"),
        ]


class ConsentEvent(OfPatient):
    """Something a patient said about one purpose on one channel. Never changed, never deleted."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    purpose = models.ForeignKey(Purpose, on_delete=models.PROTECT, related_name="+")
    channel = models.CharField(max_length=10, choices=[(channel.value, channel.value) for channel in Channel])
    decision = models.CharField(max_length=12, choices=[(decision.value, decision.value) for decision in Decision])
    method = models.CharField(max_length=20, choices=[(method.value, method.value) for method in Method])
    legal_basis = models.CharField(max_length=20)
    occurred_at = models.DateTimeField()
    recorded_at = models.DateTimeField()
    valid_until = models.DateTimeField(null=True)
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
                condition=models.Q(decision=Decision.WITHDRAWN.value) | models.Q(notice__isnull=False),
                name="a_yes_or_no_names_its_notice",
            ),
            # The order of a stream is counted, not read off a clock.
            models.UniqueConstraint(
                fields=["patient", "purpose", "channel", "number"], name="consent_events_are_counted"
            ),
        ]


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
    last_event = models.ForeignKey(ConsentEvent, on_delete=models.PROTECT, related_name="+")

    objects = States.as_manager()

    class Meta:
        db_table = "consent_state"
        constraints = [
            *Guarded.Meta.constraints,
            models.UniqueConstraint(fields=["patient", "purpose", "channel"], name="one_state_per_channel"),
        ]
