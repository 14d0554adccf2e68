"""Accounts of staff and machines, and access tokens."""

import hashlib

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import models

from backend.audit.guard import Guarded
from backend.vault.identifiers import new_id


def digest_of(token: str) -> bytes:
    """What is kept of a token. A plain hash is enough for 256 random bits."""
    return hashlib.sha256(token.encode()).digest()


class Role(models.TextChoices):
    """What a token may do. Finer roles come with sign-in."""

    PATIENT = "patient"
    REPRESENTATIVE = "representative"
    STAFF = "staff"
    DPO = "dpo"


class Account(AbstractBaseUser, Guarded):
    """Somebody who works for a clinic, or a machine that does; `pseudonym` names them in the log's clear header."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    handle = models.CharField(max_length=80, unique=True)
    pseudonym = models.CharField(max_length=32, unique=True)
    is_active = models.BooleanField(default=True)

    USERNAME_FIELD = "handle"

    class Meta:
        db_table = "accounts_account"
        constraints = [*Guarded.Meta.constraints]


class AccessToken(Guarded):
    """A bearer token of one clinic, and one patient, representative or account.

    Only the hash of its random 256 bits is kept. What a representative may do is looked up each time.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    digest = models.BinaryField(unique=True)
    role = models.CharField(max_length=16, choices=Role.choices)
    clinic_id = models.UUIDField()
    patient_id = models.UUIDField(null=True)
    representative_id = models.UUIDField(null=True)
    account = models.ForeignKey(Account, null=True, on_delete=models.PROTECT, related_name="tokens")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "accounts_access_token"
        constraints = [
            *Guarded.Meta.constraints,
            models.CheckConstraint(
                condition=models.Q(
                    role="patient", patient_id__isnull=False, representative_id__isnull=True, account__isnull=True
                )
                | models.Q(
                    role="representative",
                    patient_id__isnull=False,
                    representative_id__isnull=False,
                    account__isnull=True,
                )
                | models.Q(
                    role__in=["staff", "dpo"],
                    patient_id__isnull=True,
                    representative_id__isnull=True,
                    account__isnull=False,
                ),
                name="token_is_of_somebody",
            ),
        ]
        indexes = [models.Index(fields=["patient_id"], name="token_of_patient")]
