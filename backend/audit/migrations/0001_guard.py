"""What the guard stands on: functions on PostgreSQL, two small tables on SQLite. No model, and never altered."""

from typing import Any

from django.db import migrations

from backend.audit.guard import APPEND_ONLY_FUNCTION, GUARD_FUNCTION, POSTGRESQL_FUNCTIONS, SQLITE_TABLES


def lay(apps: Any, editor: Any) -> None:
    if editor.connection.vendor == "postgresql":
        editor.execute(POSTGRESQL_FUNCTIONS, params=None)
    else:
        for command in SQLITE_TABLES.values():
            editor.execute(command)


def lift(apps: Any, editor: Any) -> None:
    if editor.connection.vendor == "postgresql":
        editor.execute(
            f"DROP FUNCTION public.{GUARD_FUNCTION}(); DROP FUNCTION public.{APPEND_ONLY_FUNCTION}()", params=None
        )
    else:
        editor.execute("DROP TABLE audit_open")
        editor.execute("DROP TABLE audit_never")


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [migrations.RunPython(lay, lift)]
