"""What somebody can do who holds the database: switch the triggers off, and on again afterwards."""

from typing import Any
from uuid import UUID

from django.db import connection, transaction

from backend.audit.models import AuditEntry
from backend.vault.identifiers import new_id


def tamper(statement: str, *, tables: str = "audit") -> None:
    """Run one statement as if no trigger were there; afterwards all of them are there as before."""
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT c.relname, t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
                "WHERE NOT t.tgisinternal AND c.relname LIKE %s",
                [f"{tables}\\_%"],
            )
            triggers = cursor.fetchall()
            for table, name in triggers:
                cursor.execute(f'ALTER TABLE "{table}" DISABLE TRIGGER "{name}"')
            cursor.execute(statement)
            for table, name in triggers:
                cursor.execute(f'ALTER TABLE "{table}" ENABLE ALWAYS TRIGGER "{name}"')
        else:
            cursor.execute(
                "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name LIKE %s", [f"{tables}_%"]
            )
            triggers = cursor.fetchall()
            for name, _sql in triggers:
                cursor.execute(f'DROP TRIGGER "{name}"')
            cursor.execute(statement)
            for _name, sql in triggers:
                cursor.execute(sql)


def forge(**changes: object) -> None:
    """A row among the entries that somebody with the database wrote by hand: a copy of the last one, but for this."""
    last = AuditEntry.objects.order_by("-seq").values("log_id", "ts", "leaf", "wmac").first()
    assert last is not None
    row: dict[str, Any] = {**last, "id": new_id(), **changes}
    row_id = row["id"] if connection.vendor == "postgresql" else UUID(str(row["id"])).hex
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO audit_entry (log_id, id, ts, leaf, wmac) VALUES (%s, %s, %s, %s, %s)",
            [row["log_id"], row_id, row["ts"], row["leaf"], row["wmac"]],
        )
