"""The data subject, and everything that is known of one. Whatever names or reaches a person is sealed."""

from typing import Any, Self
from uuid import UUID

from django.db import models

from backend.audit.guard import Guarded
from backend.policy.holidays import HolidayRegion
from backend.policy.vocabulary import (
    Channel,
    ContactStatus,
    ErasureGround,
    Language,
    RepresentationKind,
    RepresentationScope,
    RestrictionGround,
)
from backend.vault.fields import SealedField
from backend.vault.identifiers import new_id


class OfClinic(models.QuerySet[Any]):
    """Rows that belong to one clinic: there is no way to ask without saying which."""

    def in_clinic(self, clinic_id: UUID) -> Self:
        """Only the rows of this clinic."""
        return self.filter(clinic_id=clinic_id)


class OfPatient(Guarded):
    """A row about one patient, sealed under that patient's key."""

    clinic = models.ForeignKey("clinics.Clinic", on_delete=models.PROTECT, related_name="+")
    patient = models.ForeignKey("patients.Patient", on_delete=models.PROTECT, related_name="%(class)ss")

    class Meta(Guarded.Meta):
        abstract = True

    @property
    def sealing_subject(self) -> UUID:
        """The patient under whose key this row is sealed."""
        return self.patient_id


class Patient(Guarded):
    """One patient of one clinic."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    clinic = models.ForeignKey("clinics.Clinic", on_delete=models.PROTECT, related_name="+")
    family_name = SealedField(null=True)
    family_name_index = models.BinaryField(null=True)
    given_names = SealedField(null=True)
    birth_date = SealedField(null=True)
    # Since when it is another one than consents were judged by; None once they were judged by this one.
    birth_date_corrected_at = models.DateTimeField(null=True)
    address = SealedField(null=True)
    language = models.CharField(  # noqa: DJ001 - not known is not an empty code
        max_length=2, null=True, choices=[(language.value, language.value) for language in Language]
    )
    # As coarse as a calendar of holidays needs it; the address itself is sealed.
    holiday_region = models.CharField(
        max_length=30, blank=True, choices=[(region.value, region.value) for region in HolidayRegion]
    )
    is_active = models.BooleanField(default=True)
    deceased_at = models.DateTimeField(null=True)
    is_deceased = models.BooleanField(default=False)
    restricted_at = models.DateTimeField(null=True)
    erased_at = models.DateTimeField(null=True)
    source_digest = models.BinaryField(null=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    objects = OfClinic.as_manager()

    class Meta:
        db_table = "patients_patient"
        constraints = [*Guarded.Meta.constraints]
        indexes = [
            models.Index(fields=["clinic", "family_name_index"], name="patient_by_family_name"),
            models.Index(fields=["clinic", "id"], name="patient_of_clinic"),
            models.Index(
                fields=["birth_date_corrected_at"],
                condition=models.Q(birth_date_corrected_at__isnull=False),
                name="patient_of_another_age",
            ),
        ]

    @property
    def sealing_subject(self) -> UUID:
        """The patient under whose key this row is sealed."""
        return self.id


class Restriction(OfPatient):
    """Processing is frozen, all but storage (GDPR Art. 18): on what ground, and until when."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    ground = models.CharField(max_length=30, choices=[(one.value, one.value) for one in RestrictionGround])
    recorded_by = models.CharField(max_length=40)
    restricted_at = models.DateTimeField()
    lifted_at = models.DateTimeField(null=True)
    lifted_by = models.CharField(max_length=40, blank=True)
    lifted_because = models.CharField(max_length=20, blank=True)
    informed_on = models.DateField(null=True)

    objects = OfClinic.as_manager()

    class Meta:
        db_table = "patients_restriction"
        constraints = [
            *Guarded.Meta.constraints,
            models.UniqueConstraint(
                fields=["patient"], condition=models.Q(lifted_at__isnull=True), name="one_restriction_at_a_time"
            ),
        ]


class ErasureRequest(OfPatient):
    """That a patient's data be erased: asked for by one person of the clinic, confirmed by another.

    Codes, pseudonyms and times only: it stays after the erasure, and says why there was one.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    ground = models.CharField(max_length=30, choices=[(one.value, one.value) for one in ErasureGround])
    asked_by = models.CharField(max_length=40)
    asked_as = models.CharField(max_length=20)
    asked_at = models.DateTimeField()
    taken_back_by = models.CharField(max_length=40, blank=True)
    taken_back_at = models.DateTimeField(null=True)
    confirmed_by = models.CharField(max_length=40, blank=True)
    confirmed_at = models.DateTimeField(null=True)

    objects = OfClinic.as_manager()

    class Meta:
        db_table = "patients_erasure_request"
        constraints = [
            *Guarded.Meta.constraints,
            models.UniqueConstraint(
                fields=["patient"],
                condition=models.Q(taken_back_at__isnull=True, confirmed_at__isnull=True),
                name="one_erasure_is_asked_for_at_a_time",
            ),
            models.CheckConstraint(
                condition=models.Q(confirmed_at__isnull=True) | ~models.Q(confirmed_by=models.F("asked_by")),
                name="an_erasure_takes_two_people",
            ),
        ]


class PatientIdentifier(OfPatient):
    """How another system names this patient. Equal within a clinic means: the same patient."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    system = models.CharField(max_length=200)
    value = SealedField()
    value_index = models.BinaryField()

    objects = OfClinic.as_manager()

    class Meta:
        db_table = "patients_identifier"
        constraints = [
            *Guarded.Meta.constraints,
            models.UniqueConstraint(fields=["clinic", "value_index"], name="an_identifier_names_one_patient"),
        ]


def whole_scope() -> list[str]:
    """Everything that a representative can do: what a parent may."""
    return [scope.value for scope in RepresentationScope]


class Representative(OfPatient):
    """A parent, guardian or carer of a patient."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    source_index = models.BinaryField()
    relationship = models.CharField(max_length=20)
    family_name = SealedField(null=True)
    given_names = SealedField(null=True)
    is_active = models.BooleanField(default=True)
    kind = models.CharField(
        max_length=30,
        default=RepresentationKind.PARENTAL_AUTHORITY.value,
        choices=[(kind.value, kind.value) for kind in RepresentationKind],
    )
    scope = models.JSONField(default=whole_scope)
    starts_on = models.DateField(null=True)
    ends_on = models.DateField(null=True)
    proof = SealedField(null=True)
    proof_checked_by = models.CharField(max_length=40, blank=True)
    proof_checked_at = models.DateTimeField(null=True)
    agreed_at = models.DateTimeField(null=True)
    # Purposes that are not told to this representative, or `*`: the adolescent's right (CSP, L.1111-5).
    hidden_purposes = models.JSONField(default=list)
    source_digest = models.BinaryField(null=True)

    objects = OfClinic.as_manager()

    class Meta:
        db_table = "patients_representative"
        constraints = [
            *Guarded.Meta.constraints,
            models.UniqueConstraint(fields=["clinic", "source_index"], name="a_representative_once"),
        ]


class ContactKind(models.TextChoices):
    """What kind of address a contact point is."""

    PHONE = "phone"
    EMAIL = "email"
    PUSH = "push"
    POSTAL = "postal"


class ContactPoint(OfPatient):
    """One way to reach a patient: kept even where it can not be used, and used only once verified or attested."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    kind = models.CharField(max_length=10, choices=ContactKind.choices)
    value = SealedField()
    value_index = models.BinaryField()
    takes_sms = models.BooleanField(default=False)
    status = models.CharField(max_length=12, choices=[(status.value, status.value) for status in ContactStatus])
    reason = models.CharField(max_length=40, blank=True)
    how = models.CharField(max_length=40, blank=True)
    confirmed_at = models.DateTimeField(null=True)
    code = SealedField(null=True)
    code_digest = models.BinaryField(null=True)
    # Kept after the code was typed: the next one may have to wait for a day.
    code_asked_at = models.DateTimeField(null=True)
    code_expires_at = models.DateTimeField(null=True)
    code_tries = models.PositiveSmallIntegerField(default=0)
    rank = models.PositiveSmallIntegerField(default=0)
    representative = models.ForeignKey(Representative, null=True, on_delete=models.PROTECT, related_name="+")
    from_source = models.BooleanField(default=False)
    ended_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()

    objects = OfClinic.as_manager()

    class Meta:
        db_table = "patients_contact_point"
        constraints = [
            *Guarded.Meta.constraints,
            models.UniqueConstraint(
                fields=["patient", "kind", "value_index"],
                condition=models.Q(ended_at__isnull=True),
                name="a_contact_point_once",
            ),
            models.UniqueConstraint(
                fields=["clinic", "value_index"],
                condition=models.Q(kind="push", ended_at__isnull=True),
                name="a_device_belongs_to_one_patient",
            ),
        ]
        indexes = [
            models.Index(fields=["clinic", "value_index"], name="contact_point_by_value"),
            models.Index(
                fields=["confirmed_at"],
                condition=models.Q(kind="push", ended_at__isnull=True),
                name="device_by_confirmation",
            ),
        ]


class OccasionKind(models.TextChoices):
    """What a step of a programme may count from."""

    APPOINTMENT = "appointment"
    IMMUNISATION = "immunisation"
    ENCOUNTER = "encounter"


class Occasion(OfPatient):
    """An appointment, an immunisation, an encounter. `topic` is a coarse code that can not be a diagnosis."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    source_index = models.BinaryField()
    kind = models.CharField(max_length=20, choices=OccasionKind.choices)
    topic = models.CharField(max_length=40, blank=True)
    status = models.CharField(max_length=20)
    starts_at = models.DateTimeField(null=True)
    ends_at = models.DateTimeField(null=True)
    details = SealedField(null=True)
    source_digest = models.BinaryField(null=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    objects = OfClinic.as_manager()

    class Meta:
        db_table = "patients_occasion"
        constraints = [
            *Guarded.Meta.constraints,
            models.UniqueConstraint(fields=["clinic", "source_index"], name="an_occasion_once"),
        ]
        indexes = [
            models.Index(fields=["clinic", "kind", "topic", "starts_at"], name="occasion_by_time"),
            models.Index(fields=["patient", "kind", "topic", "starts_at"], name="occasion_of_patient"),
        ]


class ImportRun(Guarded):
    """One import: what came of it, in numbers. The report row by row goes to whoever asked for the import."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    clinic = models.ForeignKey("clinics.Clinic", on_delete=models.PROTECT, related_name="+")
    source = models.CharField(max_length=20)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    created = models.PositiveIntegerField(default=0)
    updated = models.PositiveIntegerField(default=0)
    unchanged = models.PositiveIntegerField(default=0)
    refused = models.PositiveIntegerField(default=0)
    unusable = models.PositiveIntegerField(default=0)

    objects = OfClinic.as_manager()

    class Meta:
        db_table = "patients_import_run"
        constraints = [*Guarded.Meta.constraints]


class SuppressedBy(models.TextChoices):
    """What put an address on the suppression list."""

    STOP = "stop"
    COMPLAINT = "complaint"
    STAFF = "staff"
    ERASURE = "erasure"


class SuppressionEntry(Guarded):
    """An address that a clinic must not use on a channel, whoever's it is: a keyed hash, and nothing about anybody.

    It outlives the erasure of a patient, so it names none, and nothing leads from it to one (CNIL, MED-2023-040). What
    put it here is a kind, not the id of an event: that would name the patient again.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    clinic = models.ForeignKey("clinics.Clinic", on_delete=models.PROTECT, related_name="+")
    channel = models.CharField(max_length=10, choices=[(channel.value, channel.value) for channel in Channel])
    digest = models.BinaryField()
    source_event = models.CharField(max_length=12, choices=SuppressedBy.choices)
    created_at = models.DateTimeField()

    objects = OfClinic.as_manager()

    class Meta:
        db_table = "patients_suppression"
        constraints = [
            *Guarded.Meta.constraints,
            models.UniqueConstraint(fields=["clinic", "digest", "channel"], name="an_address_is_suppressed_once"),
        ]
