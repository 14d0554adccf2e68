"""The row and the entry as bare tables: the same columns and indexes, no guard, never written by the ORM."""

from django.db import models

from benchmarks.audit.shape import ConsentShape


class RawEvent(ConsentShape):
    """The row."""

    class Meta:
        db_table = "raw_event"


class RawEntry(models.Model):
    """What Accord's entry table has, without its triggers."""

    seq = models.BigAutoField(primary_key=True)
    ep = models.SmallIntegerField(db_default=1)
    xid = models.BigIntegerField(db_default=0)
    log_id = models.IntegerField()
    id = models.UUIDField(unique=True)
    ts = models.BigIntegerField()
    leaf = models.BinaryField()
    wmac = models.BinaryField()

    class Meta:
        db_table = "raw_entry"
        indexes = [
            models.Index(fields=["ep", "xid", "seq"], name="raw_entry_horizon"),
            models.Index(fields=["log_id", "seq"], name="raw_entry_of_log"),
        ]
