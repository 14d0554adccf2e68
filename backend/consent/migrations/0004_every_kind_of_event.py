from django.db import migrations, models

KINDS = [
    "requested",
    "deferred",
    "pending",
    "given",
    "renewed",
    "refused",
    "withdrawn",
    "objected",
    "objection_lifted",
    "expired",
    "reconsent_required",
    "ended",
    "revoked",
    "invalidated",
    "entered_in_error",
    "unknown",
]


class Migration(migrations.Migration):
    dependencies = [
        ("consent", "0003_methods"),
    ]

    operations = [
        migrations.RemoveConstraint(model_name="consentevent", name="a_yes_or_no_names_its_notice"),
        migrations.RenameField(model_name="consentevent", old_name="decision", new_name="kind"),
        migrations.AlterField(
            model_name="consentevent",
            name="kind",
            field=models.CharField(choices=[(kind, kind) for kind in KINDS], max_length=20),
        ),
    ]
