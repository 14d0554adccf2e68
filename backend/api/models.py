"""What the API itself has to remember."""

from django.db import models

from backend.vault.identifiers import new_id


class IdempotencyKey(models.Model):
    """A request that was made with an Idempotency-Key, and its answer, for 24 hours.

    Not guarded: no business fact stands here, only that a request was answered and how; the operation that it led to
    has its own entries. `answer` holds ids, codes, counts and times: no address that takes a key answers with anything
    personal (tests/api/test_idempotency.py). The body is kept as a keyed fingerprint, the key as a hash.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    clinic_id = models.UUIDField()
    key_digest = models.BinaryField(unique=True)
    fingerprint = models.BinaryField()
    status = models.PositiveSmallIntegerField(null=True)
    answer = models.JSONField(null=True)
    location = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField()

    class Meta:
        db_table = "api_idempotency_key"
        indexes = [models.Index(fields=["created_at"], name="idempotency_key_by_age")]
