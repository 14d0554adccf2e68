"""However a table is rebuilt or renamed, its triggers come along; a migration that writes needs an entry as well."""

from typing import Any

import pytest
from django.db import IntegrityError, connection, migrations, models, transaction
from django.db.migrations.operations.base import Operation

from backend.audit.actions import Action
from backend.audit.actors import system_actor
from backend.audit.guard import AppendOnly, AuditGuard
from backend.audit.recording import record
from backend.vault.identifiers import new_id
from backend.vault.keyring import SYSTEM
from tests.audit.scratch import APP, Scratch, append_only, guarded, unguarded

on_sqlite = pytest.mark.skipif(connection.vendor != "sqlite", reason="SQLite rebuilds tables")
on_postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="PostgreSQL updates rows in place")

GUARDS = (
    {"scratch_note_audited_insert", "scratch_note_audited_update", "scratch_note_audited_delete"}
    if connection.vendor == "sqlite"
    else {"scratch_note_audited", "scratch_note_audited_truncate"}
)
TEXT: Any = ("text", models.CharField(max_length=20, default=""))
CODE: Any = ("code", models.CharField(max_length=20, null=True))


def add(name: str, field: "models.Field[Any, Any]") -> Operation:
    return migrations.AddField("Note", name, field)


CHANGES: dict[str, Operation] = {
    "a column that may be empty": add("more", models.IntegerField(null=True)),
    "a column that may not be empty": add("more", models.IntegerField(default=0)),
    "a column that is unique": add("more", models.IntegerField(null=True, unique=True)),
    "a relation": add("shelf", models.ForeignKey("scratch.Shelf", null=True, on_delete=models.CASCADE)),
    "a column less": migrations.RemoveField("Note", "code"),
    "a longer column": migrations.AlterField("Note", "text", models.CharField(max_length=40, default="")),
    "another type": migrations.AlterField("Note", "code", models.TextField(null=True)),
    "another name for a column": migrations.RenameField("Note", "text", "words"),
    "another name for the model": migrations.RenameModel("Note", "Remark"),
    "another name for the table": migrations.AlterModelTable("Note", "scratch_remark"),
    "an index": migrations.AddIndex("Note", models.Index(fields=["text"], name="scratch_note_text")),
    "a unique constraint": migrations.AddConstraint(
        "Note", models.UniqueConstraint(fields=["text", "code"], name="scratch_note_once")
    ),
    "a check": migrations.AddConstraint(
        "Note", models.CheckConstraint(condition=~models.Q(text="x"), name="scratch_note_check")
    ),
    "unique together": migrations.AlterUniqueTogether("Note", {("text", "code")}),
    "another table that points here": migrations.CreateModel(
        "Reader",
        [("id", models.BigAutoField(primary_key=True)), ("note", models.ForeignKey("scratch.Note", models.CASCADE))],
    ),
}


def note_or_remark(scratch: Scratch) -> str:
    return "Remark" if ("scratch", "remark") in scratch.state.models else "Note"


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_the_guard_stands_after(scratch, announced, change):
    scratch.apply(unguarded("Shelf"), guarded("Note", TEXT, CODE))
    with announced():
        scratch.model("Note").objects.create()

    scratch.apply(change)

    name = note_or_remark(scratch)
    assert scratch.triggers(name) == GUARDS
    note = scratch.model(name)
    for write in (note.objects.create, note.objects.all().delete, lambda: note.objects.update(id=7)):
        with pytest.raises(IntegrityError, match="unaudited"), transaction.atomic():
            write()
    with announced():
        note.objects.create()
    assert note.objects.count() == 2


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_the_append_only_triggers_stand_after(scratch, change):
    scratch.apply(unguarded("Shelf"), append_only("Note", TEXT, CODE))
    before = scratch.triggers("Note")
    scratch.model("Note").objects.create()

    scratch.apply(change)

    name = note_or_remark(scratch)
    assert scratch.triggers(name) == before != set()
    note = scratch.model(name)
    for write in (note.objects.all().delete, lambda: note.objects.update(id=7)):
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            write()


@on_sqlite
def test_no_new_unique_column_opens_a_way_to_replace_rows(scratch):
    scratch.apply(append_only("Note", TEXT, CODE))
    scratch.apply(migrations.AlterField("Note", "code", models.CharField(max_length=20, null=True, unique=True)))
    scratch.model("Note").objects.create(code="one", text="first")

    with pytest.raises(IntegrityError, match="append-only"), connection.cursor() as cursor:
        cursor.execute("REPLACE INTO scratch_note (code, text) VALUES ('one', 'second')")

    assert scratch.model("Note").objects.get().text == "first"


def test_another_table_being_rebuilt_does_not_stumble_over_the_triggers(scratch, announced):
    scratch.apply(unguarded("Shelf", TEXT), guarded("Note", TEXT), append_only("Page", TEXT))

    for name in ("Shelf", "Note", "Page"):
        scratch.apply(migrations.AddField(name, "more", models.IntegerField(default=0)))

    assert scratch.triggers("Note") == GUARDS


def test_a_guard_comes_with_the_constraint_and_goes_with_it(scratch):
    guard = AuditGuard(name="scratch_note_audited")
    scratch.apply(unguarded("Note", TEXT))
    assert scratch.triggers("Note") == set()

    scratch.apply(migrations.AddConstraint("Note", guard))
    assert scratch.triggers("Note") == GUARDS
    with pytest.raises(IntegrityError, match="unaudited"), transaction.atomic():
        scratch.model("Note").objects.create()

    scratch.apply(migrations.RemoveConstraint("Note", guard.name))
    assert scratch.triggers("Note") == set()
    scratch.model("Note").objects.create()


def test_two_kinds_of_triggers_stand_side_by_side(scratch, announced):
    scratch.apply(guarded("Note", TEXT, options={"constraints": [AppendOnly(name="scratch_note_append_only")]}))

    with pytest.raises(IntegrityError, match="unaudited"), transaction.atomic():
        scratch.model("Note").objects.create()
    with announced():
        scratch.model("Note").objects.create()
    with pytest.raises(IntegrityError, match="append-only"), announced():
        scratch.model("Note").objects.update(text="changed")


# --------------------------------------------------------------------------------------------------- data migrations


def fill(apps: Any, editor: Any) -> None:
    # A savepoint, because SQLite's schema editor still asks the database something after an error.
    with transaction.atomic(using=editor.connection.alias):
        apps.get_model(APP, "Note").objects.using(editor.connection.alias).update(text="filled")


def fill_under_an_entry(apps: Any, editor: Any) -> None:
    now = "2026-10-14T08:00:00+00:00"
    with record(
        Action.CLINIC_CREATED,
        by=system_actor("migration"),
        now=models.DateTimeField().to_python(now),
        clinic_id=SYSTEM,
        using=editor.connection.alias,
        clinic=new_id(),
    ):
        fill(apps, editor)


def test_a_data_migration_without_an_entry_is_refused(scratch, announced):
    scratch.apply(guarded("Note", TEXT))
    with announced():
        scratch.model("Note").objects.create()

    with pytest.raises(IntegrityError, match="unaudited"):
        scratch.apply(migrations.RunPython(fill))
    with pytest.raises(IntegrityError, match="unaudited"):
        scratch.apply(migrations.RunSQL("UPDATE scratch_note SET text = 'filled'"))

    assert scratch.model("Note").objects.get().text == ""


def test_a_data_migration_under_an_entry_passes(scratch, announced):
    scratch.apply(guarded("Note", TEXT))
    with announced():
        scratch.model("Note").objects.create()

    scratch.apply(migrations.RunPython(fill_under_an_entry))

    assert scratch.model("Note").objects.get().text == "filled"


def test_a_data_migration_after_a_rebuild_is_refused_too(scratch, announced):
    scratch.apply(guarded("Note", TEXT))
    with announced():
        scratch.model("Note").objects.create()

    scratch.apply(add("more", models.IntegerField(default=0)))
    with pytest.raises(IntegrityError, match="unaudited"):
        scratch.apply(migrations.RunPython(fill))


@on_postgresql
def test_a_column_that_must_be_filled_is_an_unannounced_write(scratch):
    """SQLite rebuilds the table instead and lets it pass: that is why every migration runs on PostgreSQL as well."""
    scratch.apply(guarded("Note", CODE))

    with pytest.raises(IntegrityError, match="unaudited"):
        scratch.apply(migrations.AlterField("Note", "code", models.CharField(max_length=20, default="")))
