"""One row of preferences per patient; no row means the defaults, which permit nothing either."""

from django.db import models

from backend.audit.guard import Guarded
from backend.patients.models import OfClinic, OfPatient
from backend.policy.vocabulary import Language, Tone
from backend.vault.identifiers import new_id


class Preferences(OfPatient):
    """How a patient wants to be contacted. Clear, because the planner needs it and none of it can be a diagnosis."""

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
    purposes = models.JSONField(default=dict)
    updated_at = models.DateTimeField()

    objects = OfClinic.as_manager()

    class Meta:
        db_table = "preferences_preferences"
        constraints = [
            *Guarded.Meta.constraints,
            models.UniqueConstraint(fields=["patient"], name="one_set_of_preferences"),
            models.CheckConstraint(
                condition=models.Q(frequency_max__isnull=True, frequency_per="")
                | models.Q(frequency_max__gte=0, frequency_per__in=["day", "week", "month"]),
                name="a_frequency_is_whole",
            ),
        ]
