"""One row of preferences per patient; no row means the defaults, which permit nothing either. No version is lost."""

from django.db import models

from backend.audit.actors import ActorKind
from backend.audit.guard import AppendOnly, Guarded
from backend.patients.models import OfClinic, OfPatient
from backend.policy.vocabulary import Language, Tone
from backend.vault.identifiers import new_id

A_FREQUENCY_IS_WHOLE = models.Q(frequency_max__isnull=True, frequency_per="") | models.Q(
    frequency_max__gte=0, frequency_per__in=["day", "week", "month"]
)


class Wishes(OfPatient):
    """What a patient can prefer. Clear, because the planner needs it and none of it can be a diagnosis."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    version = models.PositiveIntegerField(default=1)
    channel_order = models.JSONField(default=list)
    frequency_max = models.PositiveSmallIntegerField(null=True)
    frequency_per = models.CharField(max_length=5, blank=True)
    digest = models.BooleanField(default=False)
    tone = models.CharField(max_length=10, choices=[(tone.value, tone.value) for tone in Tone], blank=True)
    language = models.CharField(max_length=2, choices=[(one.value, one.value) for one in Language], blank=True)
    quiet_from = models.TimeField(null=True)
    quiet_to = models.TimeField(null=True)
    time_zone = models.CharField(max_length=40, blank=True)
    paused_until = models.DateTimeField(null=True)
    discreet = models.BooleanField(default=True)
    large_print = models.BooleanField(default=False)
    no_first_name = models.BooleanField(default=False)
    no_personalisation = models.BooleanField(default=False)
    purposes = models.JSONField(default=dict)

    objects = OfClinic.as_manager()

    class Meta(OfPatient.Meta):
        abstract = True


class Preferences(Wishes):
    """How a patient wants to be contacted, as it stands."""

    updated_at = models.DateTimeField()

    class Meta:
        db_table = "preferences_preferences"
        constraints = [
            *Guarded.Meta.constraints,
            models.UniqueConstraint(fields=["patient"], name="one_set_of_preferences"),
            models.CheckConstraint(condition=A_FREQUENCY_IS_WHOLE, name="a_frequency_is_whole"),
        ]


class PreferenceVersion(Wishes):
    """How a patient wanted to be contacted from then on, and who said so. Never changed."""

    changed = models.JSONField()
    changed_at = models.DateTimeField()
    changed_by = models.CharField(max_length=20, choices=[(kind.value, kind.value) for kind in ActorKind])
    recorded_by = models.CharField(max_length=40)
    representative = models.ForeignKey("patients.Representative", null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        db_table = "preferences_version"
        constraints = [
            *Guarded.Meta.constraints,
            AppendOnly(name="preferences_version_append_only"),
            models.UniqueConstraint(fields=["patient", "version"], name="a_version_of_preferences_once"),
            models.CheckConstraint(condition=A_FREQUENCY_IS_WHOLE, name="a_frequency_was_whole"),
        ]
