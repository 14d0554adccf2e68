"""The database roles on a real PostgreSQL: what each can do, and what none of them can."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from django.db import connection
from django.db.utils import ConnectionHandler
from psycopg import sql

from backend.audit import roles
from backend.audit.checks import role_messages
from backend.audit.roles import Role
from backend.config import env
from tests.factories.houses import House, a_house, worked
from tests.services import postgres_url

# The roles do not depend on the database of the suite: once is enough, in the run on PostgreSQL.
on_a_server = pytest.mark.skipif(connection.vendor != "postgresql", reason="PostgreSQL's own words")
TABLES_OF_THE_LOG = ("audit_entry", "audit_log", *sorted(roles.TREE))
PATIENTS = """ipp;family_name;given_names;birth_date;phone;email
1001;Exemple;Camille;1980-05-17;0639980001;camille@example.org
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One for all tests of this module: each leaves it as it found it."""
    with a_house(tmp_path_factory.mktemp("house")) as made:
        yield made


# ------------------------------------------------------------------------------------------- what the app has to do

START = """
import django
django.setup()
from backend import clock
from backend.audit.sequencing import sequence_all
"""
WORK = """
import sys
from django.core.management import call_command
from backend.audit.actors import system_actor
from backend.audit.keys import destroy_subject_keys
from backend.clinics.models import Clinic
from backend.consent.operations import withdraw_consent
from backend.policy.vocabulary import Channel, Method
from tests.factories.patients import consent, make_patient

address = {"name": "Cabinet des Lilas", "telephone": "01 99 00 00 01", "address": "1 rue des Lilas"}
call_command("set_up_clinic", "lilas", **address)
call_command("add_staff", "dr.martin", clinic="lilas", role="staff")
call_command("import_csv", sys.argv[1], clinic="lilas")
now, clinic = clock.now(), Clinic.objects.get(slug="lilas").id
patient = make_patient(clinic, now=now)
consent(patient, purpose="appointment_reminder", channels=[Channel.SMS], now=now)
withdraw_consent(
    clinic_id=clinic, patient_id=patient.id, purpose="appointment_reminder", channels=[Channel.SMS],
    method=Method.APP, actor=patient.actor, now=now,
)
gone = make_patient(clinic, now=now, family_name="Parti")
destroy_subject_keys(subject_id=gone.id, clinic_id=clinic, reason="erasure", actor=system_actor(), now=now)
call_command("rebuild_consent_states", clinic="lilas")
for command in ("plan_programmes", "deliver_due_messages", "check_log"):
    call_command(command)
done = sequence_all(now=now)
print(done.sequenced, done.refused)
"""


@pytest.fixture(scope="module")
def at_work(house: House, tmp_path_factory: pytest.TempPathFactory) -> House:
    """A clinic was set up, patients came in, one consented and withdrew, one was erased; the log was sequenced."""
    csv = tmp_path_factory.mktemp("csv") / "patients.csv"
    csv.write_text(PATIENTS, encoding="utf-8")
    worked(house.serve("manage.py", "prepare"))
    sequenced, refused = worked(house.serve("-c", START + WORK, str(csv))).splitlines()[-1].split()
    assert int(sequenced) > 10
    assert refused == "0"
    return house


@on_a_server
def test_the_app_does_its_work_with_the_rights_it_has(at_work):
    assert at_work.value("admin", "SELECT count(*) FROM patients_patient") == 3
    assert at_work.value("admin", "SELECT count(*) FROM consent_event") == 2
    assert at_work.value("admin", "SELECT count(*) FROM audit_data_key WHERE destroyed_at IS NOT NULL") == 2


@on_a_server
def test_the_sequencer_places_every_entry_that_the_app_recorded(at_work):
    unplaced = (
        "SELECT count(*) FROM audit_entry WHERE seq <= (SELECT max(entry_seq) FROM audit_leaf) "
        "AND seq NOT IN (SELECT entry_seq FROM audit_refused_entry) "
        "AND seq NOT IN (SELECT entry_seq FROM audit_leaf WHERE entry_seq IS NOT NULL)"
    )

    assert at_work.value("dpo", unplaced) == 0


@on_a_server
@pytest.mark.parametrize("table", TABLES_OF_THE_LOG)
def test_the_data_protection_officer_reads_each_table_of_the_log(at_work, table):
    count = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table)).as_string()

    assert at_work.value("dpo", count) == at_work.value("admin", count)


@on_a_server
def test_a_role_that_is_as_it_should_be_starts_without_a_word(at_work):
    done = at_work.serve("manage.py", "prepare")

    assert (done.returncode, done.stderr) == (0, "")
    found = at_work.serve("manage.py", "check", "--deploy", "--database", "default", "--database", "sequencer")
    assert "audit." not in found.stderr


# ------------------------------------------------------------------------------------------------- what nobody can do

AN_ENTRY = "(log_id, id, ts, leaf, wmac) VALUES (1, gen_random_uuid(), 1, '', '')"
REFUSED = {
    "app": [
        "UPDATE audit_entry SET ts = 0",
        "DELETE FROM audit_entry",
        "TRUNCATE audit_entry",
        "INSERT INTO audit_entry (seq, log_id, id, ts, leaf, wmac) VALUES (1, 1, gen_random_uuid(), 1, '', '')",
        "INSERT INTO audit_entry (xid, log_id, id, ts, leaf, wmac) VALUES ('5', 1, gen_random_uuid(), 1, '', '')",
        "INSERT INTO audit_entry (ep, log_id, id, ts, leaf, wmac) VALUES (2, 1, gen_random_uuid(), 1, '', '')",
        f"INSERT INTO audit_entry {AN_ENTRY} ON CONFLICT (id) DO UPDATE SET leaf = EXCLUDED.leaf",
        "SELECT seq FROM audit_entry FOR UPDATE",
        "LOCK TABLE audit_entry IN ACCESS EXCLUSIVE MODE",
        "SELECT setval('audit_entry_seq_seq', 1)",
        "SELECT nextval('audit_entry_seq_seq')",
        "ALTER TABLE audit_entry DISABLE TRIGGER ALL",
        "ALTER TABLE patients_patient DISABLE TRIGGER patients_patient_audited",
        "ALTER TABLE audit_entry ALTER COLUMN ep SET DEFAULT 2",
        "DROP TABLE audit_entry",
        "SET session_replication_role = replica",
        "CREATE OR REPLACE FUNCTION audit_require_entry() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "CREATE TABLE public.mine (id int)",
        "CREATE FUNCTION public.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE TEMPORARY TABLE audit_entry (id int)",
        "CREATE SCHEMA mine",
        "CREATE TRIGGER mine BEFORE INSERT ON patients_patient EXECUTE FUNCTION audit_refuse_change()",
        "CREATE ROLE mine",
        "COPY audit_entry TO PROGRAM 'true'",
        "INSERT INTO audit_leaf (log_id, idx, entry_seq, h) VALUES (1, 1, 1, '')",
        "INSERT INTO audit_node (log_id, lvl, n, h) VALUES (1, 1, 1, '')",
        "INSERT INTO audit_checkpoint (log_id, size, root, peaks, note, at) VALUES (1, 1, '', '', '', now())",
        "INSERT INTO audit_part (key_id, log_id, idx) VALUES (gen_random_uuid(), 1, 1)",
        "INSERT INTO audit_refused_entry (entry_seq, reason, at) VALUES (1, '', now())",
        "INSERT INTO audit_log (id, clinic_id, origin) VALUES (9, gen_random_uuid(), gen_random_uuid())",
        "UPDATE audit_log SET origin = gen_random_uuid()",
        "DELETE FROM audit_data_key",
        "DELETE FROM audit_clinic_key",
        "UPDATE consent_event SET kind = 'given'",
        "DELETE FROM consent_event",
        "DELETE FROM patients_patient",
        "TRUNCATE patients_patient CASCADE",
        "INSERT INTO django_migrations (app, name, applied) VALUES ('audit', 'x', now())",
        "SELECT * FROM auth_permission",
    ],
    "sequencer": [
        "SELECT * FROM patients_patient",
        "SELECT * FROM consent_event",
        "SELECT * FROM messaging_message",
        "UPDATE audit_data_key SET wrapped = NULL",
        "INSERT INTO audit_clinic_key (id) VALUES (gen_random_uuid())",
        "UPDATE audit_leaf SET h = ''",
        "DELETE FROM audit_leaf",
        "TRUNCATE audit_leaf",
        "UPDATE audit_checkpoint SET note = ''",
        "DELETE FROM audit_checkpoint",
        "DELETE FROM audit_refused_entry",
        "UPDATE audit_entry SET ts = 0",
        "DELETE FROM audit_entry",
        "INSERT INTO audit_entry (seq, log_id, id, ts, leaf, wmac) VALUES (1, 1, gen_random_uuid(), 1, '', '')",
        "SET session_replication_role = replica",
        "CREATE TABLE public.mine (id int)",
    ],
    "dpo": [
        "SELECT * FROM patients_patient",
        "SELECT * FROM consent_event",
        "SELECT * FROM accounts_access_token",
        "SELECT * FROM audit_data_key",
        "SELECT * FROM audit_clinic_key",
        f"INSERT INTO audit_entry {AN_ENTRY}",
        "UPDATE audit_entry SET ts = 0",
        "INSERT INTO audit_leaf (log_id, idx, entry_seq, h) VALUES (1, 1, 1, '')",
        "CREATE TABLE public.mine (id int)",
        "CREATE TEMPORARY TABLE mine (id int)",
    ],
}


@on_a_server
@pytest.mark.parametrize("who", REFUSED)
def test_a_role_can_do_nothing_that_is_not_its_own(at_work, who):
    went_through = []
    with at_work.connect(who) as opened:
        for statement in REFUSED[who]:
            try:
                with opened.transaction(force_rollback=True):
                    opened.execute(statement)
            except psycopg.errors.InsufficientPrivilege:
                continue
            except psycopg.Error as other:
                went_through.append(f"{statement}: {other}")
            else:
                went_through.append(statement)

    assert went_through == []


@on_a_server
@pytest.mark.parametrize("role", ["owner", "app", "sequencer", "dpo"])
def test_no_role_can_become_another(house, role):
    others = [house.role(other) for other in ("owner", *Role) if other != role]
    with house.connect(role) as opened:
        for name in others:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                opened.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(name)))


@on_a_server
def test_the_owner_is_refused_by_the_triggers_alone(at_work):
    for statement in ("UPDATE audit_entry SET ts = 0", "DELETE FROM audit_entry", "TRUNCATE audit_entry"):
        with pytest.raises(psycopg.errors.IntegrityConstraintViolation):
            at_work.execute("owner", statement)


@on_a_server
def test_an_entry_that_the_app_forged_has_no_place_in_any_log(at_work):
    """Whoever took over the app's connection, but not its keys, can add rows that nobody signed: an alarm says so."""
    at_work.execute("app", f"INSERT INTO audit_entry {AN_ENTRY}")

    done = at_work.serve("-c", f"{START}print(sequence_all(now=clock.now()).refused)")

    assert worked(done) == "1\n"
    assert "not_written_by_us" in done.stderr
    assert at_work.value("dpo", "SELECT reason FROM audit_refused_entry") == "not_written_by_us"


# -------------------------------------------------------------------------------------------------- without a sequencer


@on_a_server
def test_without_a_sequencer_of_its_own_the_app_writes_the_tree(house):
    try:
        words = worked(house.manage("owner", "grant_roles", "--app", house.role("app")))
        assert "the app's role writes the log's tree" in words

        with house.connect("app") as opened, opened.transaction(force_rollback=True):
            opened.execute("INSERT INTO audit_leaf (log_id, idx, entry_seq, h) VALUES (999, 1, 999999, '')")
        with house.connect("app") as opened, pytest.raises(psycopg.errors.InsufficientPrivilege):
            opened.execute("UPDATE audit_leaf SET h = ''")
        assert worked(house.manage("app", "prepare", ACCORD_REQUIRE_ROLES="yes"))
    finally:
        worked(house.grant())


# ------------------------------------------------------------------------------------------------------- the command


@on_a_server
def test_granting_takes_away_what_was_given_by_hand(house):
    app = sql.Identifier(house.role("app")).as_string()
    house.execute(
        "owner",
        f"GRANT UPDATE (leaf), DELETE ON audit_entry TO {app}",
        f"GRANT USAGE ON SEQUENCE audit_entry_seq_seq TO {app}",
        f"GRANT CREATE ON SCHEMA public TO {app}",
        "GRANT SELECT ON patients_patient TO PUBLIC",
        f"ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO {app}",
    )

    worked(house.grant())

    for role in Role:
        assert found(house, role) == []
    house.execute("owner", "CREATE TABLE later (id int)")
    try:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            house.execute("app", "SELECT * FROM later")
    finally:
        house.execute("owner", "DROP TABLE later")


@on_a_server
def test_granting_again_changes_nothing(house):
    rights = "SELECT string_agg(relname || coalesce(relacl::text, ''), ';' ORDER BY relname) FROM pg_class"
    before = house.value("admin", rights)

    worked(house.grant())

    assert house.value("admin", rights) == before


@on_a_server
def test_a_dry_run_prints_the_sql_and_changes_nothing(house):
    missing = house.role("nobody-yet")

    printed = worked(house.manage("owner", "grant_roles", "--app", missing, "--create", "--dry-run"))

    assert f'CREATE ROLE "{missing}" NOLOGIN;\nREVOKE ALL ON TABLE ' in printed
    assert (
        f'GRANT SELECT, INSERT ("log_id", "id", "ts", "leaf", "wmac") ON TABLE public."audit_entry" TO "{missing}";'
        in printed
    )
    assert house.password not in printed
    assert house.value("admin", "SELECT count(*) FROM pg_roles WHERE rolname = %s", missing) == 0
    assert found(house, Role.APP) == []


@on_a_server
def test_roles_are_made_without_a_password_and_can_not_sign_in(house):
    made = house.role("made")
    try:
        refused = house.manage("owner", "grant_roles", "--app", made, "--create")
        assert "An administrator does: CREATE ROLE" in refused.stderr

        words = worked(house.manage("admin", "grant_roles", "--app", made, "--create"))
        assert f"Nobody can sign in yet as {made}" in words
        assert "\\password" in words
        assert house.value("admin", "SELECT rolcanlogin FROM pg_roles WHERE rolname = %s", made) is False
    finally:
        house.execute("admin", f'DROP OWNED BY "{made}"', f'DROP ROLE "{made}"')


@on_a_server
def test_a_role_that_is_too_mighty_or_unknown_is_refused_by_name(house):
    refusals = {
        "no role": house.manage("owner", "grant_roles", "--app", "no-such-role"),
        "owns the log": house.manage("owner", "grant_roles", "--app", house.role("owner")),
        "a name of its own": house.manage("owner", "grant_roles", "--app", "one", "--dpo", "one"),
        "can not be named": house.manage("owner", "grant_roles", "--app", "public"),
        "Only the owner": house.manage("app", "grant_roles", "--app", house.role("app")),
        "SUPERUSER": house.manage("owner", "grant_roles", "--app", urlsplit(postgres_url()).username or ""),
    }

    for words, done in refusals.items():
        assert done.returncode == 1
        assert done.stderr.startswith("CommandError: ")
        assert words.lower() in done.stderr.lower()


@on_a_server
def test_what_a_role_has_through_another_one_stops_the_granting(house):
    dpo = sql.Identifier(house.role("dpo")).as_string()
    house.execute("admin", f"GRANT pg_read_all_data TO {dpo}")
    try:
        done = house.grant()
    finally:
        house.execute("admin", f"REVOKE pg_read_all_data FROM {dpo}")

    assert done.returncode == 1
    assert "Nothing was changed" in done.stderr
    assert "accounts_access_token (SELECT)" in done.stderr


@on_a_server
def test_rights_of_others_stay_and_are_named(house):
    backup = house.role("backup")
    house.execute("admin", f'CREATE ROLE "{backup}"', f'GRANT SELECT ON audit_entry TO "{backup}"')
    try:
        words = worked(house.grant())
        assert f"stay as they are: {backup}." in words
        assert house.value("admin", "SELECT has_table_privilege(%s::name, 'audit_entry', 'SELECT')", backup) is True
    finally:
        house.execute("admin", f'DROP OWNED BY "{backup}"', f'DROP ROLE "{backup}"')


# ---------------------------------------------------------------------------------------------------------- the check


@pytest.fixture
def unblocked(django_db_blocker: Any) -> Iterator[None]:
    """These tests open connections of their own, never the suite's."""
    with django_db_blocker.unblock():
        yield


def found(house: House, needs: Role, *, who: str = "", app_sequences: bool = False) -> list[str]:
    """The numbers of what is wrong with a role, without their letter."""
    described = {**env.database(house.address(who or needs), data_dir=house.folder), "CONN_MAX_AGE": 0}
    with closing(ConnectionHandler({"default": described})["default"]) as opened:
        return [str(message.id) for message in role_messages(opened, needs, app_sequences=app_sequences)]


@pytest.fixture(autouse=True)
def _may_connect(unblocked: None) -> None:
    """`found` opens its own."""


DRIFT = {
    "a superuser": (["ALTER ROLE {app} SUPERUSER"], ["ALTER ROLE {app} NOSUPERUSER"], ["audit.W011"]),
    "may make roles": (["ALTER ROLE {app} CREATEROLE"], ["ALTER ROLE {app} NOCREATEROLE"], ["audit.W011"]),
    "may copy the server": (["ALTER ROLE {app} REPLICATION"], ["ALTER ROLE {app} NOREPLICATION"], ["audit.W011"]),
    "may become the owner": (["GRANT {owner} TO {app}"], ["REVOKE {owner} FROM {app}"], ["audit.W012"]),
    "may become the owner only by SET ROLE": (
        ["ALTER ROLE {app} NOINHERIT", "GRANT {owner} TO {app}"],
        ["REVOKE {owner} FROM {app}", "ALTER ROLE {app} INHERIT"],
        ["audit.W012"],
    ),
    "owns a table": (
        ["CREATE TABLE public.mine (id int)", "ALTER TABLE public.mine OWNER TO {app}"],
        ["DROP TABLE public.mine"],
        ["audit.W013"],
    ),
    "may delete entries": (
        ["GRANT DELETE ON audit_entry TO {app}"],
        ["REVOKE DELETE ON audit_entry FROM {app}"],
        ["audit.W014"],
    ),
    "may empty the log": (
        ["GRANT TRUNCATE ON audit_entry TO PUBLIC"],
        ["REVOKE TRUNCATE ON audit_entry FROM PUBLIC"],
        ["audit.W014"],
    ),
    "may choose the transaction": (
        ["GRANT INSERT (xid) ON audit_entry TO {app}"],
        ["REVOKE INSERT (xid) ON audit_entry FROM {app}"],
        ["audit.W014"],
    ),
    "may write the tree": (
        ["GRANT INSERT ON audit_leaf TO {app}"],
        ["REVOKE INSERT ON audit_leaf FROM {app}"],
        ["audit.W014"],
    ),
    "may set the counter back": (
        ["GRANT UPDATE ON SEQUENCE audit_entry_seq_seq TO {app}"],
        ["REVOKE UPDATE ON SEQUENCE audit_entry_seq_seq FROM {app}"],
        ["audit.W014"],
    ),
    "may make tables": (
        ["GRANT CREATE ON SCHEMA public TO {app}"],
        ["REVOKE CREATE ON SCHEMA public FROM {app}"],
        ["audit.W015"],
    ),
    "may make temporary tables": (
        ["GRANT TEMPORARY ON DATABASE {database} TO PUBLIC"],
        ["REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC"],
        ["audit.W016"],
    ),
    "may skip triggers": (
        ["GRANT SET ON PARAMETER session_replication_role TO {app}"],
        ["REVOKE SET ON PARAMETER session_replication_role FROM {app}"],
        ["audit.W017"],
    ),
    "lacks a right": (
        ["REVOKE SELECT ON patients_patient FROM {app}"],
        ["GRANT SELECT ON patients_patient TO {app}"],
        ["audit.E009"],
    ),
}


@on_a_server
@pytest.mark.parametrize(("change", "undo", "numbers"), DRIFT.values(), ids=DRIFT.keys())
def test_a_role_that_is_not_as_it_should_be_is_told(house, change, undo, numbers):
    names = {
        "app": sql.Identifier(house.role("app")).as_string(),
        "owner": sql.Identifier(house.role("owner")).as_string(),
        "database": sql.Identifier(house.name).as_string(),
    }
    assert found(house, Role.APP) == []

    house.execute("admin", *(statement.format(**names) for statement in change))
    try:
        assert found(house, Role.APP) == numbers
    finally:
        house.execute("admin", *(statement.format(**names) for statement in undo))


@on_a_server
def test_the_other_roles_are_as_they_should_be(house):
    assert found(house, Role.SEQUENCER) == []
    assert found(house, Role.DPO) == []


@on_a_server
def test_a_role_in_the_place_of_another_is_told(house):
    assert found(house, Role.APP, who="sequencer") == ["audit.E009", "audit.W014"]
    assert found(house, Role.SEQUENCER, who="app") == ["audit.E009", "audit.W014"]


@on_a_server
def test_one_role_for_everything_is_told_and_where_roles_are_required_refused(house, settings):
    assert found(house, Role.APP, who="owner", app_sequences=True) == ["audit.W012"]

    settings.ACCORD_REQUIRE_ROLES = True

    assert found(house, Role.APP, who="owner", app_sequences=True) == ["audit.E012"]


# ----------------------------------------------------------------------------------------------------------- the start


@on_a_server
def test_a_small_installation_starts_with_one_role_and_a_warning(house):
    done = house.manage("owner", "prepare")

    assert done.returncode == 0
    assert "Warning (audit.W012)" in done.stderr


@on_a_server
def test_where_roles_are_required_the_owner_does_not_serve(house):
    done = house.manage("owner", "prepare", ACCORD_REQUIRE_ROLES="yes")

    assert done.returncode == 1
    assert done.stderr.startswith(f"CommandError: The database role {house.role('owner')} owns the log")
    assert house.manage("owner", "prepare", "--migrate", ACCORD_REQUIRE_ROLES="yes").returncode == 0


@on_a_server
def test_migrations_that_wait_are_the_owners_to_run(house):
    forgotten = "DELETE FROM django_migrations WHERE app = 'auth' AND name = '0012_alter_user_first_name_max_length'"
    house.execute("owner", forgotten)
    try:
        done = house.serve("manage.py", "prepare")
    finally:
        worked(house.manage("owner", "prepare", "--migrate"))

    assert done.returncode == 1
    assert done.stderr.startswith(
        "CommandError: Migrations wait for the owner of the database (1): run manage.py prepare"
    )
    worked(house.serve("manage.py", "prepare"))


@on_a_server
def test_a_role_without_rights_is_told_what_to_run(house):
    done = house.manage("dpo", "prepare")

    assert done.returncode == 1
    assert done.stderr.startswith("CommandError: This database role may not look at the database: run manage.py grant")


@on_a_server
def test_a_sequencer_on_another_server_or_database_is_told(house, tmp_path):
    done = house.serve(
        "manage.py", "prepare", ACCORD_SEQUENCER_DATABASE_URL="postgres://nobody@127.0.0.1:1/" + house.name
    )

    assert done.returncode == 1
    assert "see ACCORD_SEQUENCER_DATABASE_URL" in done.stderr
