"""The rows of the log, and of the keys whose life it records."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from django.db import models
from django.db.models.expressions import Func

from backend.audit.guard import AppendOnly, AuditGuard, Guarded, TombstoneStays
from backend.vault.identifiers import new_id
from backend.vault.keyring import Scope

if TYPE_CHECKING:
    _IntegerLike = models.Field[int, int]
else:
    _IntegerLike = models.Field


# Whose log has the checkpoints of all others for its leaves.
META: Final = UUID(int=1)


class CurrentTransaction(Func):
    """The id of the running transaction, on PostgreSQL; 0 elsewhere."""

    template = "0"

    def __init__(self) -> None:
        super().__init__(output_field=TransactionIdField())

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> tuple[str, Sequence[Any]]:
        """The transaction's own id, the same in every savepoint."""
        return super().as_sql(compiler, connection, template="pg_current_xact_id()", **context)


class TransactionIdField(_IntegerLike):
    """A transaction id that never wraps around (`xid8`)."""

    description = "A 64-bit transaction id"

    def db_type(self, connection: Any) -> str:
        """`xid8` on PostgreSQL, a whole number elsewhere."""
        return "xid8" if connection.vendor == "postgresql" else "bigint"

    def from_db_value(self, value: str | int | None, *_context: object) -> int | None:
        """PostgreSQL's driver knows no xid8 and hands over text."""
        return None if value is None else int(value)

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:  # noqa: FBT001, FBT002 - Django's signature
        """PostgreSQL compares no xid8 with a number: it is written as text."""
        prepares = value is not None and not hasattr(value, "as_sql") and connection.vendor == "postgresql"
        return str(value) if prepares else super().get_db_prep_value(value, connection, prepared)


class AuditLog(models.Model):
    """One log: a clinic's own, or the system's. Append-only; its number is made before its first entry."""

    id = models.AutoField(primary_key=True)
    clinic_id = models.UUIDField(unique=True)
    origin = models.UUIDField(unique=True, default=new_id)

    class Meta:
        db_table = "audit_log"
        constraints = [AppendOnly(name="audit_log_append_only")]


class AuditEntry(models.Model):
    """One entry. Written by one statement that names only the columns below `log`; never by the ORM, never changed."""

    seq = models.BigAutoField(primary_key=True)
    ep = models.SmallIntegerField(db_default=1)
    xid = TransactionIdField(db_default=CurrentTransaction())
    log_id = models.IntegerField()
    id = models.UUIDField(unique=True)
    ts = models.BigIntegerField()
    leaf = models.BinaryField()
    wmac = models.BinaryField()

    class Meta:
        db_table = "audit_entry"
        constraints = [AppendOnly(name="audit_entry_append_only")]
        indexes = [
            models.Index(fields=["ep", "xid", "seq"], name="audit_entry_horizon"),
            models.Index(fields=["log_id", "seq"], name="audit_entry_of_log"),
        ]


class AuditLeaf(models.Model):
    """The place in its log of an entry, or in the meta-log of a checkpoint. Written by the sequencer, never changed."""

    pk = models.CompositePrimaryKey("log_id", "idx")
    log_id = models.IntegerField()
    idx = models.BigIntegerField()
    entry_seq = models.BigIntegerField(null=True, unique=True)
    checkpoint_id = models.BigIntegerField(null=True, unique=True)
    h = models.BinaryField()

    class Meta:
        db_table = "audit_leaf"
        constraints = [
            AppendOnly(name="audit_leaf_append_only"),
            models.CheckConstraint(
                condition=models.Q(entry_seq__isnull=False, checkpoint_id__isnull=True)
                | models.Q(entry_seq__isnull=True, checkpoint_id__isnull=False),
                name="audit_leaf_is_of_an_entry_or_a_checkpoint",
            ),
        ]


class AuditNode(models.Model):
    """The root of a whole subtree of 256^lvl leaves, the `n`-th of its level: what proofs of old leaves are made of."""

    pk = models.CompositePrimaryKey("log_id", "lvl", "n")
    log_id = models.IntegerField()
    lvl = models.SmallIntegerField()
    n = models.BigIntegerField()
    h = models.BinaryField()

    class Meta:
        db_table = "audit_node"
        constraints = [AppendOnly(name="audit_node_append_only")]


class AuditCheckpoint(models.Model):
    """A signed size and root of one log, with the roots of its whole subtrees, from which the tree grows on."""

    id = models.BigAutoField(primary_key=True)
    log_id = models.IntegerField()
    size = models.BigIntegerField()
    root = models.BinaryField()
    peaks = models.BinaryField()
    note = models.TextField()
    at = models.DateTimeField()

    class Meta:
        db_table = "audit_checkpoint"
        constraints = [
            AppendOnly(name="audit_checkpoint_append_only"),
            models.UniqueConstraint(fields=["log_id", "size"], name="one_checkpoint_per_size"),
        ]


class AuditPart(models.Model):
    """Which entries of a log have a part under which key. The key's row knows the patient, until it is destroyed."""

    pk = models.CompositePrimaryKey("key_id", "log_id", "idx")
    key_id = models.UUIDField()
    log_id = models.IntegerField()
    idx = models.BigIntegerField()

    class Meta:
        db_table = "audit_part"
        constraints = [AppendOnly(name="audit_part_append_only")]


class AuditRefusedEntry(models.Model):
    """A row among the entries that was not written by us, and has no place in any log. It raised an alarm once."""

    entry_seq = models.BigIntegerField(primary_key=True)
    reason = models.CharField(max_length=20)
    at = models.DateTimeField()

    class Meta:
        db_table = "audit_refused_entry"
        constraints = [AppendOnly(name="audit_refused_entry_append_only")]


class AuditAnchor(Guarded):
    """A checkpoint that was put, on one day, where the data protection officer keeps it."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    log_id = models.IntegerField()
    day = models.DateField()
    place = models.CharField(max_length=10)
    size = models.BigIntegerField()
    at = models.DateTimeField()

    class Meta:
        db_table = "audit_anchor"
        constraints = [
            *Guarded.Meta.constraints,
            models.UniqueConstraint(fields=["log_id", "day", "place"], name="one_anchor_per_day_and_place"),
        ]


class ClinicKey(Guarded):
    """A clinic key of one epoch, wrapped by the key provider."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    clinic_id = models.UUIDField()
    epoch = models.PositiveIntegerField()
    provider = models.CharField(max_length=20)
    wrapped = models.BinaryField(null=True)
    created_at = models.DateTimeField()
    destroyed_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "audit_clinic_key"
        constraints = [
            *Guarded.Meta.constraints,
            TombstoneStays(name="audit_clinickey_tombstone"),
            models.UniqueConstraint(fields=["clinic_id", "epoch"], name="one_clinic_key_per_epoch"),
            models.CheckConstraint(
                condition=models.Q(wrapped__isnull=False, destroyed_at__isnull=True)
                | models.Q(wrapped__isnull=True, destroyed_at__isnull=False),
                name="clinic_key_is_there_or_destroyed",
            ),
        ]


class DataKey(Guarded):
    """A data key, wrapped by a clinic key. Destroyed, its row stays as a tombstone that names nobody.

    The tombstone of a patient's key keeps a mark: a keyed hash by which it is told, of a patient's id that comes again
    from a backup or a stale process, that it was erased. Without the system's key it leads to nobody.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    clinic_id = models.UUIDField()
    scope = models.CharField(max_length=20, choices=[(scope.value, scope.value) for scope in Scope])
    subject_id = models.UUIDField(null=True)
    epoch = models.PositiveIntegerField()
    wrapped = models.BinaryField(null=True)
    created_at = models.DateTimeField()
    destroyed_at = models.DateTimeField(null=True)
    subject_mark = models.BinaryField(null=True, editable=False)

    class Meta:
        db_table = "audit_data_key"
        indexes = [
            models.Index(
                fields=["subject_mark"],
                condition=models.Q(subject_mark__isnull=False),
                name="audit_data_key_of_the_erased",
            ),
        ]
        constraints = [
            *Guarded.Meta.constraints,
            TombstoneStays(name="audit_datakey_tombstone"),
            models.CheckConstraint(
                condition=models.Q(subject_mark__isnull=True) | models.Q(destroyed_at__isnull=False),
                name="only_a_tombstone_has_a_mark",
            ),
            models.UniqueConstraint(
                fields=["subject_id", "clinic_id", "scope"],
                condition=models.Q(subject_id__isnull=False),
                name="one_living_key_per_subject",
            ),
            models.UniqueConstraint(
                fields=["clinic_id", "scope"],
                condition=models.Q(subject_id__isnull=True, destroyed_at__isnull=True),
                name="one_living_key_per_clinic",
            ),
            models.CheckConstraint(
                condition=models.Q(wrapped__isnull=False, destroyed_at__isnull=True)
                | models.Q(wrapped__isnull=True, destroyed_at__isnull=False, subject_id__isnull=True),
                name="data_key_is_there_or_a_tombstone",
            ),
        ]


__all__ = [
    "META",
    "AuditAnchor",
    "AuditCheckpoint",
    "AuditEntry",
    "AuditGuard",
    "AuditLeaf",
    "AuditLog",
    "AuditNode",
    "AuditPart",
    "AuditRefusedEntry",
    "ClinicKey",
    "DataKey",
]
