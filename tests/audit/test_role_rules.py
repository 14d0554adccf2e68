"""What the rules of the database roles say, and that no table is forgotten; no server is needed."""

import ast
from io import StringIO
from pathlib import Path

import pytest
from django.apps import apps
from django.apps.registry import Apps
from django.core.management import call_command
from django.db import connection, models

from backend.audit import roles
from backend.audit.roles import Privilege, Role, UnplacedTable, all_rights, rights_on
from backend.config import env

ROOT = Path(__file__).resolve().parents[2]
TABLES_OF_THE_LOG = ("audit_entry", "audit_log", *sorted(roles.TREE))


def test_every_table_has_its_place_in_the_rules():
    placed = all_rights(app_sequences=False)

    assert {model._meta.db_table for model in apps.get_models(include_auto_created=True)} <= set(placed)  # noqa: SLF001 - Django's API


def test_no_rule_is_about_a_table_that_is_gone():
    named = {"audit_entry", "audit_log", *roles.TREE, *roles.KEYS, *roles.DELETED_FROM, *roles.UNGUARDED, *roles.UNUSED}

    assert named <= {model._meta.db_table for model in apps.get_models(include_auto_created=True)}  # noqa: SLF001 - Django's API


@pytest.mark.parametrize("app", ["audit", "patients"])
def test_a_new_table_without_a_place_in_the_rules_is_refused(app):
    class Forgotten(models.Model):
        class Meta:
            app_label = app
            db_table = f"{app}_forgotten"
            apps = Apps()

    with pytest.raises(UnplacedTable, match=f"{app}_forgotten"):
        rights_on(Forgotten, app_sequences=False)


def test_nobody_but_the_owner_changes_or_deletes_what_is_append_only():
    for sequences in (True, False):
        placed = all_rights(app_sequences=sequences)
        for table in (*TABLES_OF_THE_LOG, "consent_event", "consent_notice", "programmes_approval"):
            for rights in placed[table].values():
                assert {right.privilege for right in rights} <= {Privilege.SELECT, Privilege.INSERT}


def test_the_data_protection_officer_reads_the_log_and_nothing_else():
    placed = all_rights(app_sequences=False)

    assert {table for table, rights in placed.items() if Role.DPO in rights} == set(TABLES_OF_THE_LOG)


def test_code_deletes_rows_only_where_the_rules_know_it():
    """Whoever deletes from another table says so in roles.DELETED_FROM, and adds the place here."""
    places = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "backend").rglob("*.py")
        if "migrations" not in path.parts
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "delete"
    }

    assert places == {
        "backend/api/idempotency.py",
        "backend/consent/operations/rebuilding.py",
        "backend/messaging/operations/drafting.py",
        "backend/messaging/operations/templates.py",
        "backend/patients/suppression.py",
    }


def test_an_entry_is_written_with_the_columns_that_are_granted():
    source = (ROOT / "backend" / "audit" / "recording.py").read_text(encoding="utf-8")

    assert source.count("audit_entry (") == source.count(f"audit_entry ({', '.join(roles.ENTRY_COLUMNS)})") == 1


@pytest.mark.skipif(connection.vendor != "sqlite", reason="SQLite's own words")
def test_sqlite_has_no_roles_and_the_command_says_so():
    words = StringIO()

    call_command("grant_roles", app="app", stdout=words)

    assert words.getvalue().startswith("SQLite has no roles")


# -------------------------------------------------------------------------------------------------------- the setting


def test_the_sequencer_has_the_same_database_as_another_user(tmp_path):
    default = env.database("postgres://app:one@db.example/accord", data_dir=tmp_path)

    found = env.sequencer_database("postgres://seq:two@db.example/accord", default=default)

    assert (found["NAME"], found["USER"], found["TEST"]) == ("accord", "seq", {"MIRROR": "default"})


@pytest.mark.parametrize(
    ("default", "sequencer"),
    [
        ("postgres://app@db.example/accord", "postgres://seq:cret@db.example/other"),
        ("postgres://app@db.example/accord", "postgres://seq:cret@db.example/"),
        ("sqlite:///accord", "postgres://seq:cret@db.example/accord"),
        ("", "postgres://seq:cret@db.example/accord"),
    ],
)
def test_another_database_for_the_sequencer_is_refused_and_not_quoted(tmp_path, default, sequencer):
    with pytest.raises(env.SettingRefused, match=r"^ACCORD_SEQUENCER_DATABASE_URL ") as refused:
        env.sequencer_database(sequencer, default=env.database(default, data_dir=tmp_path))

    assert "cret" not in str(refused.value)
