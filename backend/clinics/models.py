"""Clinics and memberships."""

from django.db import models

from backend.audit.guard import Guarded
from backend.vault.identifiers import new_id


class Clinic(Guarded):
    """One tenant: a controller in the sense of GDPR Art. 4(7). What is said of it here is public anyway."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    slug = models.SlugField(max_length=60, unique=True)
    name = models.CharField(max_length=120)
    discreet_name = models.CharField(max_length=40)
    country = models.CharField(max_length=2, default="FR")
    time_zone = models.CharField(max_length=40, default="Europe/Paris")
    telephone = models.CharField(max_length=30, blank=True)
    address = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField()

    class Meta:
        db_table = "clinics_clinic"
        constraints = [*Guarded.Meta.constraints]


class MembershipRole(models.TextChoices):
    """What somebody is in a clinic."""

    STAFF = "staff"
    DPO = "dpo"


class Membership(Guarded):
    """Somebody works in a clinic."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="memberships")
    account = models.ForeignKey("accounts.Account", on_delete=models.PROTECT, related_name="memberships")
    role = models.CharField(max_length=10, choices=MembershipRole.choices)
    is_health_professional = models.BooleanField(default=False)

    class Meta:
        db_table = "clinics_membership"
        constraints = [
            *Guarded.Meta.constraints,
            models.UniqueConstraint(fields=["clinic", "account"], name="one_membership_per_account"),
        ]
