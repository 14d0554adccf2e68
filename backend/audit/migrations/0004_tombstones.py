from typing import Any

from django.db import migrations, models

import backend.audit.guard


def lay(apps: Any, editor: Any) -> None:
    if editor.connection.vendor == "postgresql":
        editor.execute(backend.audit.guard.POSTGRESQL_FUNCTIONS, params=None)


def lift(apps: Any, editor: Any) -> None:
    if editor.connection.vendor == "postgresql":
        editor.execute(f"DROP FUNCTION public.{backend.audit.guard.TOMBSTONE_FUNCTION}()", params=None)


class Migration(migrations.Migration):
    dependencies = [
        ("audit", "0003_tree"),
    ]

    operations = [
        migrations.RunPython(lay, lift),
        migrations.AddField(
            model_name="datakey",
            name="subject_mark",
            field=models.BinaryField(null=True),
        ),
        migrations.AddIndex(
            model_name="datakey",
            index=models.Index(
                condition=models.Q(("subject_mark__isnull", False)),
                fields=["subject_mark"],
                name="audit_data_key_of_the_erased",
            ),
        ),
        migrations.AddConstraint(
            model_name="clinickey",
            constraint=backend.audit.guard.TombstoneStays(name="audit_clinickey_tombstone"),
        ),
        migrations.AddConstraint(
            model_name="datakey",
            constraint=backend.audit.guard.TombstoneStays(name="audit_datakey_tombstone"),
        ),
        migrations.AddConstraint(
            model_name="datakey",
            constraint=models.CheckConstraint(
                condition=models.Q(("subject_mark__isnull", True), ("destroyed_at__isnull", False), _connector="OR"),
                name="only_a_tombstone_has_a_mark",
            ),
        ),
    ]
