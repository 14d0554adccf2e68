"""Promise 6: erased means unreadable, whatever is restored: yesterday’s data, its keys, or a copy made by hand."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections
from psycopg import sql

from backend.audit.actors import system_actor
from backend.audit.keys import destroy_subject_keys
from backend.audit.ledger import ledger
from backend.audit.models import AuditEntry, AuditLog, DataKey
from backend.audit.recording import ROWS_PER_STATEMENT
from backend.audit.restoring import note_restore, transaction_numbers_started_over
from backend.audit.sequencing import sequence_all
from backend.audit.verification import check_entries, stored_entries
from backend.config.backups.archive import CONTENT, MANIFEST
from backend.config.backups.taking import take_data, take_keys
from backend.patients.models import Patient
from backend.patients.operations import import_records
from backend.vault.keyring import Scope, keyring
from backend.vault.providers import FileKeyProvider
from tests.factories import records
from tests.factories.clinics import make_clinic
from tests.factories.keys import key_file_of_its_own
from tests.services import database_url, postgres_url, with_database

ROOT = Path(__file__).parents[2]
ACTOR = system_actor("backup")
DAY = timedelta(days=1)
MANY, ERASED = 1_000, 40


@dataclass
class House:
    """An installation with its database, its key file, its ledger; and an empty place to restore into."""

    folder: Path
    provider: FileKeyProvider
    elsewhere: str
    clinic_id: UUID
    now: datetime

    def settle(self, how_many: int) -> list[UUID]:
        """Patients, each with an entry or two about them."""
        people = [records.patient(f"restored-{number}") for number in range(how_many)]
        for start in range(0, how_many, ROWS_PER_STATEMENT):
            piece = people[start : start + ROWS_PER_STATEMENT]
            import_records(clinic_id=self.clinic_id, records=piece, source="test", actor=ACTOR, now=self.now)
        return list(Patient.objects.filter(clinic_id=self.clinic_id).order_by("id").values_list("id", flat=True))

    def erase(self, people: Sequence[UUID]) -> set[UUID]:
        """Destroy their keys; which those were."""
        gone: set[UUID] = set()
        for subject in people:
            gone |= set(
                destroy_subject_keys(
                    subject_id=subject, clinic_id=self.clinic_id, reason="erasure", actor=ACTOR, now=self.now
                )
            )
        return gone

    def take(self, day: str, *, now: datetime) -> tuple[Path, Path]:
        """Both backups."""
        data, keys = self.folder / f"{day}-data.accord", self.folder / f"{day}-keys.accord"
        take_data(data, actor=ACTOR, now=now)
        take_keys(keys, actor=ACTOR, now=now)
        return data, keys

    def run(self, *arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
        """A command of manage.py, on the other database."""
        return self.python("manage.py", *arguments, **settings)

    def script(self, name: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """One of the scripts in deploy/."""
        return self._run(str(ROOT / "deploy" / name), *arguments)

    def python(self, *arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
        """Python, as a process of that installation."""
        return self._run(sys.executable, *arguments, **settings)

    def _run(self, *command: str, **settings: str) -> "subprocess.CompletedProcess[str]":
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ACCORD_")}
        return subprocess.run(
            command,
            cwd=ROOT,
            env={
                **kept,
                "DJANGO_SETTINGS_MODULE": "backend.config.settings",
                "ACCORD_DATA_DIR": str(self.folder / "data"),
                "ACCORD_DATABASE_URL": self.elsewhere,
                "ACCORD_SECRET_KEY": "made-up-" * 6,
                "ACCORD_KEY_FILE": str(self.provider.path),
                "ACCORD_DESTROYED_KEYS_FILE": str(self.folder / "destroyed-keys"),
                "ACCORD_CHECKPOINT_DIR": str(self.folder / "checkpoints"),
                **settings,
            },
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    def restore(self, data: Path, keys: Path, *options: str) -> "subprocess.CompletedProcess[str]":
        return self.run("restore", "--data", str(data), "--keys", str(keys), *options)

    def look(self, keys: set[UUID]) -> "Seen":
        """What somebody sees who works on the other database."""
        (self.folder / "keys.json").write_text(json.dumps([str(key) for key in keys]))
        ended = self.python("-c", LOOK, str(self.folder / "keys.json"))
        assert ended.returncode == 0, ended.stderr
        return Seen(**json.loads(ended.stdout))


@dataclass(frozen=True)
class Seen:
    entries: int
    unreadable: int
    findings: list[str]
    opened: int
    destroyed: int
    living: int
    reasons: dict[str, int]


LOOK = """
import json, sys
from collections import Counter
from pathlib import Path
from uuid import UUID
import django
django.setup()
from backend.audit.leaf import open_part, parse_leaf
from backend.audit.models import AuditEntry, DataKey
from backend.audit.verification import check_entries, stored_entries
from backend.vault.keyring import KeyDestroyed, keyring
check = check_entries(stored_entries())
opened = destroyed = 0
asked = [UUID(one) for one in json.loads(Path(sys.argv[1]).read_text())]
for key in asked:
    try:
        keyring().by_id(key)
        opened += 1
    except KeyDestroyed:
        destroyed += 1
reasons = Counter()
for entry in AuditEntry.objects.all():
    leaf = parse_leaf(bytes(entry.leaf))
    if leaf.header["a"] == "key.destroyed":
        reasons[open_part(leaf, 0, keyring().by_id(leaf.parts[0].key_id))["d"]["reason"]] += 1
print(json.dumps({
    "entries": check.entries, "unreadable": check.unreadable, "findings": [one.what for one in check.findings],
    "opened": opened, "destroyed": destroyed, "reasons": reasons,
    "living": DataKey.objects.filter(id__in=asked, destroyed_at=None).count(),
}))
"""


@pytest.fixture
def house(committed, settings, tmp_path, now) -> Iterator[House]:
    """Northgate's neighbour, whose transactions really end."""
    settings.ACCORD_DESTROYED_KEYS_FILE = tmp_path / "destroyed-keys"
    settings.ACCORD_CHECKPOINT_DIR = tmp_path / "checkpoints"
    (tmp_path / "data").mkdir()
    with key_file_of_its_own() as provider, empty_place(tmp_path) as elsewhere:
        clinic = make_clinic("lindens", now=now - DAY)
        yield House(tmp_path, provider, elsewhere, clinic.id, now)


class empty_place:  # noqa: N801 - it reads like the functions beside it
    """An empty database beside the one of the suite."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "data" / "accord.sqlite3"
        self._name = f"{connection.settings_dict['NAME']}_restored"

    def __enter__(self) -> str:
        if connection.vendor == "sqlite":
            return f"sqlite:///{str(self._file).lstrip('/')}"
        self.__exit__()
        self._do("CREATE DATABASE {}")
        return with_database(postgres_url(), self._name)

    def __exit__(self, *_: object) -> None:
        if connection.vendor == "postgresql":
            self._do("DROP DATABASE IF EXISTS {} WITH (FORCE)")

    def _do(self, command: str) -> None:
        with psycopg.connect(postgres_url(), autocommit=True) as server:
            server.execute(sql.SQL(command).format(sql.Identifier(self._name)))


def copy_by_hand(house: House, place: Path) -> None:
    """The whole database as it is, keys included: what somebody has who makes backups in their own way."""
    if connection.vendor == "sqlite":
        copy = sqlite3.connect(place)
        connection.connection.backup(copy)
        copy.close()
        return
    dump = [
        "pg_dump",
        "--format=custom",
        "--no-owner",
        "--file",
        str(place),
        database_url().replace("postgres", "postgresql", 1),
    ]
    subprocess.run(dump, check=True, capture_output=True)


def bring_back_by_hand(house: House, place: Path) -> None:
    if connection.vendor == "sqlite":
        shutil.copy(place, house.folder / "data" / "accord.sqlite3")
        return
    address = house.elsewhere.replace("postgres", "postgresql", 1)
    subprocess.run(["pg_restore", "--no-owner", "--dbname", address, str(place)], check=True, capture_output=True)


# ------------------------------------------------------------------------------------------------------ the promise


def test_forty_erased_of_a_thousand_stay_erased_whatever_is_restored(house):
    people = house.settle(MANY)
    sequence_all(now=house.now)
    yesterday, keys_of_yesterday = house.take("yesterday", now=house.now - DAY)
    by_hand = house.folder / "by-hand"
    copy_by_hand(house, by_hand)
    before = check_entries(stored_entries())
    assert (before.unreadable, before.findings) == (0, [])

    gone = house.erase(people[:ERASED])
    sequence_all(now=house.now)
    today_data, keys_of_today = house.take("today", now=house.now)

    # Their entries are unreadable, all others readable, and nothing looks changed.
    check = check_entries(stored_entries())
    assert (len(gone), check.unreadable, check.findings) == (2 * ERASED, ERASED, [])
    assert len(ledger().read()) == 2 * ERASED

    # Yesterday's data with today's keys.
    ended = house.restore(yesterday, keys_of_today)
    assert ended.returncode == 0, ended.stderr
    seen = house.look(gone)
    assert (seen.opened, seen.destroyed, seen.living, seen.findings) == (0, 2 * ERASED, 0, [])
    assert seen.unreadable == ERASED
    prepared = house.run("prepare")
    assert prepared.returncode == 0, prepared.stderr

    # Yesterday's data and yesterday's keys: the restore destroys them again, each with an entry.
    start_over(house)
    ended = house.restore(yesterday, keys_of_yesterday)
    assert ended.returncode == 0, ended.stderr
    assert f"{2 * ERASED} were destroyed again" in ended.stdout.replace("of which ", "")
    seen = house.look(gone)
    assert (seen.opened, seen.living, seen.unreadable, seen.findings) == (0, 0, ERASED, [])
    assert seen.reasons == {"restored_backup": ERASED}

    # A copy of everything, brought back by hand: nothing starts, nothing opens, until it is replayed.
    start_over(house)
    bring_back_by_hand(house, by_hand)
    refused = house.run("prepare")
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1].startswith("CommandError: ")
    assert f"{2 * ERASED} keys that were destroyed live again" in refused.stderr
    assert "replay_destroyed_keys" in refused.stderr
    for process in WEB, WORKER:
        ended = house.python(*process)
        assert ended.returncode == (3 if process is WEB else 2)
        assert "live again" in ended.stderr
    seen = house.look(gone)
    assert (seen.opened, seen.destroyed, seen.living) == (0, 2 * ERASED, 2 * ERASED)
    replayed = house.run("replay_destroyed_keys")
    assert replayed.stdout == f"{2 * ERASED} keys were destroyed again.\n"
    assert house.run("prepare").returncode == 0
    seen = house.look(gone)
    assert (seen.opened, seen.living, seen.unreadable, seen.findings) == (0, 0, ERASED, [])
    assert today_data.exists()


WEB = ("-c", "import backend.config.wsgi")
WORKER = ("-m", "celery", "--app", "backend.config.celery:app", "worker", "--pool", "solo")


def start_over(house: House) -> None:
    """An empty place again."""
    if connection.vendor == "sqlite":
        for path in (house.folder / "data").glob("accord.sqlite3*"):
            path.unlink()
    else:
        empty_place(house.folder).__enter__()
    shutil.rmtree(house.folder / "checkpoints", ignore_errors=True)


def test_without_the_ledger_the_log_itself_tells_what_was_destroyed(house):
    people = house.settle(5)
    _data, old_keys = house.take("yesterday", now=house.now - DAY)
    gone = house.erase(people[:2])
    new_data, _keys = house.take("today", now=house.now)
    ledger().path.unlink()

    refused = house.restore(new_data, old_keys)
    assert refused.returncode == 1
    assert "is older than" in refused.stderr

    ended = house.restore(new_data, old_keys, "--accept-older-keys", "--without-ledger")
    assert ended.returncode == 0, ended.stderr
    seen = house.look(gone)
    assert (seen.opened, seen.living, seen.reasons) == (0, 0, {"erasure": 2, "restored_backup": 2})
    # And the new ledger knows it from then on.
    assert ledger().read() == gone


# ----------------------------------------------------------------------------------------------------- the archives


def test_the_backup_of_the_data_holds_no_wrapped_key(house):
    house.settle(3)
    data, _keys = house.take("now", now=house.now)
    wrapped = [bytes(one) for one in DataKey.objects.values_list("wrapped", flat=True) if one is not None]

    with zipfile.ZipFile(data) as archive:
        content = archive.read(CONTENT)
    if connection.vendor == "postgresql":
        (house.folder / "dump").write_bytes(content)
        done = subprocess.run(["pg_restore", "--file=-", str(house.folder / "dump")], check=True, capture_output=True)
        content = done.stdout
        wrapped = [one.hex().encode() for one in wrapped]
    assert len(wrapped) > 6
    assert b"audit_data_key" in content
    assert not [one for one in wrapped if one in content]


def test_both_backups_are_in_the_log(house):
    house.take("now", now=house.now)

    assert check_entries(stored_entries()).actions["backup.taken"] == 2


def test_a_restored_database_has_every_guard_and_goes_on(house):
    house.settle(3)
    sequence_all(now=house.now)
    data, keys = house.take("now", now=house.now)

    assert house.restore(data, keys).returncode == 0

    checked = house.run("check", "--database", "default")
    assert checked.returncode == 0, checked.stderr
    made = house.run("set_up_clinic", "later", "--name", "X", "--telephone", "01 99 00 00 01", "--address", "Y")
    assert made.returncode == 0, made.stderr
    logged = house.run("check_log")
    assert logged.returncode == 0, logged.stderr + logged.stdout
    if connection.vendor == "postgresql":
        with psycopg.connect(house.elsewhere) as there:
            epochs = there.execute("SELECT DISTINCT ep FROM audit_entry ORDER BY ep").fetchall()
            enabled = there.execute("SELECT DISTINCT tgenabled::text FROM pg_trigger WHERE NOT tgisinternal").fetchall()
        assert epochs == [(1,), (2,)]
        assert enabled == [("A",)]


def test_what_was_signed_and_is_lost_is_told_and_kept(house):
    house.settle(3)
    data, keys = house.take("now", now=house.now)
    house.settle(5)
    sequence_all(now=house.now)

    ended = house.restore(data, keys)

    assert ended.returncode == 0, ended.stderr
    assert "that were signed are not in this backup" in ended.stderr
    assert list((house.folder / "checkpoints").glob("*.lost-*"))


def test_data_without_keys_does_not_start(house):
    data, keys = house.take("now", now=house.now)
    assert house.restore(data, keys).returncode == 0
    forget_keys(house)

    ended = house.run("prepare")

    assert ended.returncode == 1
    assert "holds a log and no keys" in ended.stderr


def forget_keys(house: House) -> None:
    if connection.vendor == "sqlite":
        there = sqlite3.connect(house.folder / "data" / "accord.sqlite3")
        for (name,) in there.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            there.execute(f'DROP TRIGGER "{name}"')
        there.executescript("DELETE FROM audit_clinic_key; DELETE FROM audit_data_key;")
        there.close()
        return
    with psycopg.connect(house.elsewhere) as server:
        for table in ("audit_clinic_key", "audit_data_key"):
            server.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
            server.execute(f"DELETE FROM {table}")  # noqa: S608 - our own words


def test_keys_from_before_a_rotation_are_refused(house):
    data, keys = house.take("now", now=house.now)
    house.provider.begin_epoch()
    house.provider.destroy(1)

    ended = house.restore(data, keys)

    assert ended.returncode == 1
    assert "newer than the last rotation" in ended.stderr
    assert is_empty(house)


def is_empty(house: House) -> bool:
    if connection.vendor == "sqlite":
        return list((house.folder / "data").glob("*sqlite3*")) == []
    with psycopg.connect(house.elsewhere) as server:
        return server.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)


def spoil(path: Path, how: str) -> None:
    content = path.read_bytes()
    if how == "cut off":
        path.write_bytes(content[: len(content) // 2])
    elif how == "a flipped byte":
        place = len(content) // 2
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    elif how == "no archive":
        path.write_bytes(b"PK" + bytes(1000))
    else:
        with zipfile.ZipFile(path) as archive:
            told, held = json.loads(archive.read(MANIFEST)), archive.read(CONTENT)
        told |= {"another version": {"schema": "0" * 64}, "another house": {"origin": str(UUID(int=7))}}[how]
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(CONTENT, held)
            archive.writestr(MANIFEST, json.dumps(told))


SPOILED = ["cut off", "a flipped byte", "no archive", "another version", "another house"]


def test_an_unfit_archive_is_refused_and_nothing_is_written(house):
    data, keys = house.take("now", now=house.now)
    for part in data, keys:
        for how in SPOILED:
            kept = part.read_bytes()
            spoil(part, how)
            told = refusal(house, data, keys)
            assert part.name in told, (how, told)
            part.write_bytes(kept)
    assert "backup of the data, not of the keys" in refusal(house, data, data)
    assert "can not be read" in refusal(house, data, house.folder / "nothing")
    assert list((house.folder / "data").glob("*sqlite3*")) == []


def refusal(house: House, data: Path, keys: Path) -> str:
    """In this process, where the database is there and full: it is asked for last."""
    with pytest.raises(CommandError) as told:
        call_command("restore", data=data, keys=keys)
    return str(told.value)


def test_a_database_that_is_not_empty_is_left_alone(house):
    house.settle(2)
    data, keys = house.take("now", now=house.now)
    before = AuditEntry.objects.count()

    told = refusal(house, data, keys)

    assert "not empty" in told if connection.vendor == "postgresql" else "is there already" in told
    assert AuditEntry.objects.count() == before


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="the same script; the database is asked by the commands")
def test_the_script_takes_both_and_removes_old_backups_of_the_keys_only(house):
    data, keys = house.folder / "one", house.folder / "other"
    for folder, kind in (data, "data"), (keys, "keys"):
        folder.mkdir()
        for name in (f"accord-{kind}-20200101T000000Z", f"accord-{kind}-20200102T000000Z", "notes"):
            (folder / name).write_text("old")
    assert house.run("prepare", "--verbosity", "0").returncode == 0

    ended = house.script("backup", str(data), str(keys))

    assert ended.returncode == 0, ended.stderr
    (newest,) = set(keys.iterdir()) - {keys / "accord-keys-20200102T000000Z", keys / "notes"}
    assert len(list(data.iterdir())) == 4
    (of_data,) = sorted(data.glob("accord-data-*"))[2:]
    restored = house.script("restore", str(of_data), str(newest), "--replace")
    assert restored.returncode == 0, restored.stderr
    assert house.script("backup", str(data), str(data)).returncode == 2
    assert house.script("restore", str(data)).returncode == 2


def test_a_backup_is_never_overwritten(house):
    data, _keys = house.take("now", now=house.now)
    before = data.read_bytes()

    with pytest.raises(CommandError, match="never overwritten"):
        call_command("backup_data", str(data))
    with pytest.raises(CommandError, match="can not be written"):
        call_command("backup_keys", str(house.folder / "no" / "such" / "folder"))
    assert data.read_bytes() == before


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="a file is put aside; PostgreSQL's must be empty")
def test_the_file_that_was_there_is_put_aside(house):
    data, keys = house.take("now", now=house.now)
    assert house.restore(data, keys).returncode == 0
    place = house.folder / "data" / "accord.sqlite3"
    before = place.stat().st_ino
    assert "is there already" in house.restore(data, keys).stderr

    user = sqlite3.connect(place)
    user.execute("PRAGMA journal_mode = WAL")
    user.execute("BEGIN")
    user.execute("SELECT count(*) FROM audit_entry").fetchall()
    assert "is in use" in house.restore(data, keys, "--replace").stderr
    user.close()
    ended = house.restore(data, keys, "--replace")

    assert ended.returncode == 0, ended.stderr
    (aside,) = place.parent.glob("accord.sqlite3.before-*")
    assert aside.stat().st_ino == before
    assert [path.name for path in place.parent.glob(".accord.sqlite3*")] == []


# ------------------------------------------------------------------------------------------- transaction numbers


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has no transaction numbers")
def test_a_log_from_another_postgresql_goes_on_in_a_new_epoch(house):
    assert not transaction_numbers_started_over()
    log = AuditLog.objects.get(clinic_id=house.clinic_id)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO audit_entry (log_id, xid, id, ts, leaf, wmac) SELECT %s, '9000000000'::xid8, "
            "gen_random_uuid(), ts, leaf, wmac FROM audit_entry LIMIT 1",
            [log.id],
        )
    assert transaction_numbers_started_over()
    with pytest.raises(CommandError, match="audit_restored"):
        call_command("prepare", verbosity=0)

    done = note_restore(actor=ACTOR, now=house.now)

    assert done.epoch == 2
    assert not transaction_numbers_started_over()
    assert AuditEntry.objects.order_by("-seq").values_list("ep", flat=True)[0] == 2
    assert note_restore(actor=ACTOR, now=house.now).epoch == 3
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_entry ALTER COLUMN ep SET DEFAULT 1")
    connections.close_all()


def test_keys_in_the_ledger_open_for_nobody(house):
    """Whatever the row says: the ledger stands above a database that was set back."""
    people = house.settle(2)
    key = DataKey.objects.filter(subject_id=people[0], scope=Scope.AUDIT).get()
    assert keyring().by_id(key.id).subject_id == people[0]

    ledger().add({key.id: house.now})
    keyring().clear()

    assert keyring().store.active_keys(clinic_id=house.clinic_id, scope=Scope.AUDIT, subject_ids=[people[0]]) == []
    with pytest.raises(CommandError, match="1 keys that were destroyed live again"):
        call_command("prepare", verbosity=0)
    call_command("replay_destroyed_keys", verbosity=0)
    assert DataKey.objects.get(id=key.id).wrapped is None
