"""Programmes, their versions and approvals, and the enrolments that come of occasions."""

from django.db import models

from backend.audit.guard import AppendOnly, Guarded
from backend.patients.models import OfClinic, OfPatient
from backend.vault.identifiers import new_id


class ProgrammeState(models.TextChoices):
    """Whether a programme sends."""

    DRAFT = "draft"
    APPROVED = "approved"
    RUNNING = "running"
    PAUSED = "paused"


class Programme(Guarded):
    """What a clinic sends around one kind of occasion."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    clinic = models.ForeignKey("clinics.Clinic", on_delete=models.PROTECT, related_name="+")
    slug = models.SlugField(max_length=60)
    purpose = models.ForeignKey("consent.Purpose", on_delete=models.PROTECT, related_name="+")
    names = models.JSONField(default=dict)
    state = models.CharField(max_length=10, choices=ProgrammeState.choices, default=ProgrammeState.DRAFT)
    version = models.PositiveIntegerField(default=1)
    started_at = models.DateTimeField(null=True)

    objects = OfClinic.as_manager()

    class Meta:
        db_table = "programmes_programme"
        constraints = [
            *Guarded.Meta.constraints,
            models.UniqueConstraint(fields=["clinic", "slug"], name="a_programme_once"),
        ]


class ProgrammeVersion(Guarded):
    """The definition of a programme as it was written: never changed."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    programme = models.ForeignKey(Programme, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    definition = models.JSONField()
    sha256 = models.CharField(max_length=64)
    written_at = models.DateTimeField()
    written_by = models.CharField(max_length=40)

    class Meta:
        db_table = "programmes_version"
        constraints = [
            *Guarded.Meta.constraints,
            AppendOnly(name="programmes_version_append_only"),
            models.UniqueConstraint(fields=["programme", "number"], name="a_programme_version_once"),
        ]


class Approval(Guarded):
    """A health professional approved one version."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    version = models.OneToOneField(ProgrammeVersion, on_delete=models.PROTECT, related_name="approval")
    account_id = models.UUIDField()
    approved_at = models.DateTimeField()

    class Meta:
        db_table = "programmes_approval"
        constraints = [*Guarded.Meta.constraints, AppendOnly(name="programmes_approval_append_only")]


class Enrolment(OfPatient):
    """A patient follows a programme because of one occasion."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    programme = models.ForeignKey(Programme, on_delete=models.PROTECT, related_name="enrolments")
    occasion = models.ForeignKey("patients.Occasion", on_delete=models.PROTECT, related_name="+")
    enrolled_at = models.DateTimeField()

    objects = OfClinic.as_manager()

    class Meta:
        db_table = "programmes_enrolment"
        constraints = [
            *Guarded.Meta.constraints,
            models.UniqueConstraint(fields=["programme", "occasion"], name="an_occasion_enrols_once"),
        ]
