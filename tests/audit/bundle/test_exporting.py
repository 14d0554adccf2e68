"""The bundle that a clinic's officer takes away is verified by the file that knows nothing of us."""

import io
import json
import zipfile
from datetime import UTC, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from django.core.management import CommandError, call_command
from django.db import connection

from backend.audit import verifier
from backend.audit.actions import Action
from backend.audit.actors import system_actor
from backend.audit.bundle.exporting import Views, export_log, signed_log, unannounced_keys
from backend.audit.bundle.releasing import DpoKeyRefused, read_public_key
from backend.audit.keys import destroy_subject_keys
from backend.audit.models import DataKey
from backend.audit.recording import Draft, record, record_many
from backend.audit.sequencing import sequence_all
from backend.policy.vocabulary import Language
from backend.vault.keyring import SYSTEM, Keyring, install, keyring
from tests.factories.background import Background
from tests.factories.clinics import make_clinic
from tests.factories.patients import make_patient

DAY = timedelta(days=1)
VIEWS = Views(language=Language.FRENCH, zone=UTC)


@pytest.fixture
def clinic(committed, now):
    return make_clinic("lindens", now=now - DAY)


@pytest.fixture
def patients(clinic, now):
    return [make_patient(clinic.id, now=now - DAY, reachable=False, family_name=f"Nom{n}") for n in range(5)]


@pytest.fixture
def dpo_key():
    return X25519PrivateKey.generate()


def pem(key: X25519PrivateKey, folder: Path) -> Path:
    path = folder / "dpo.pem"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


def exported(clinic_id, folder, *, now, name="log.zip", **options):
    path = folder / name
    with path.open("w+b") as file:
        done = export_log(file, clinic_id=clinic_id, actor=system_actor(), now=now, **options)
    return path, done


def verified(*arguments, capsys):
    """Exit code and report of the verifier."""
    code = verifier.main([*map(str, arguments), "--json"])
    return code, json.loads(capsys.readouterr().out)


def look_at(patients, clinic, *, now, times=1):
    drafts = [
        Draft(action=Action.PATIENT_READ, clinic_id=clinic.id, about=(patient.id,), details={"reason": "desk"})
        for patient in patients
    ]
    for _ in range(times):
        with record_many(drafts, by=system_actor(), now=now):
            pass


def test_a_bundle_is_valid_for_somebody_who_has_nothing_but_it(clinic, patients, now, tmp_path, capsys):
    path, done = exported(clinic.id, tmp_path, now=now)

    code, report = verified(path, capsys=capsys)

    assert (code, report["valid"], report["findings"]) == (0, True, [])
    assert (report["size"], report["origin"]) == (done.size, done.origin)
    assert Action.LOG_EXPORTED.spec.code in path.read_bytes().decode("latin-1")


def test_with_their_key_the_officer_reads_every_entry(clinic, patients, now, tmp_path, dpo_key, capsys):
    look_at(patients, clinic, now=now)
    path, done = exported(clinic.id, tmp_path, now=now, recipient=dpo_key.public_key())

    code, report = verified(path, "--keys", pem(dpo_key, tmp_path), capsys=capsys)

    assert (code, report["findings"], report["unreadable"]) == (0, [], 0)
    assert report["parts"] >= done.size


def test_another_key_opens_nothing(clinic, patients, now, tmp_path, dpo_key, capsys):
    path, _ = exported(clinic.id, tmp_path, now=now, recipient=dpo_key.public_key())

    code, _report = verified(path, "--keys", pem(X25519PrivateKey.generate(), tmp_path), capsys=capsys)

    assert code == 2


def test_the_entries_of_an_erased_patient_are_unreadable_and_accounted_for(
    clinic, patients, now, tmp_path, dpo_key, capsys
):
    look_at(patients, clinic, now=now)
    before, kept = exported(clinic.id, tmp_path, now=now, name="before.zip")
    (tmp_path / "kept").write_text(kept.checkpoint)
    destroy_subject_keys(
        subject_id=patients[0].id, clinic_id=clinic.id, reason="erasure", actor=system_actor(), now=now
    )
    path, _ = exported(clinic.id, tmp_path, now=now, recipient=dpo_key.public_key())

    code, report = verified(path, "--keys", pem(dpo_key, tmp_path), "--checkpoint", tmp_path / "kept", capsys=capsys)

    assert (code, report["findings"]) == (0, [])
    assert report["unreadable"] > 0
    assert report["pinned"][0]["ok"] is True
    assert verified(before, capsys=capsys)[0] == 0


def test_several_tiles_and_an_earlier_checkpoint(clinic, patients, now, tmp_path, dpo_key, capsys):
    look_at(patients, clinic, now=now, times=60)
    _, kept = exported(clinic.id, tmp_path, now=now, name="before.zip")
    (tmp_path / "kept").write_text(kept.checkpoint)
    look_at(patients, clinic, now=now, times=60)
    path, done = exported(clinic.id, tmp_path, now=now, recipient=dpo_key.public_key())

    assert done.size > 512
    code, report = verified(path, "--keys", pem(dpo_key, tmp_path), "--checkpoint", tmp_path / "kept", capsys=capsys)
    assert (code, report["findings"]) == (0, [])


def test_the_views_tell_what_the_entries_say(clinic, patients, now, tmp_path, capsys):
    look_at(patients[:1], clinic, now=now)
    path, done = exported(clinic.id, tmp_path, now=now, views=VIEWS)

    with zipfile.ZipFile(path) as archive:
        table = archive.read("views/entries.csv").decode("utf-8-sig").splitlines()
        events = [json.loads(line) for line in archive.read("views/audit_event.ndjson").splitlines()]
    assert len(events) == done.size
    assert len(table) > done.size
    assert any(str(patients[0].id) in line for line in table)
    assert verified(path, capsys=capsys)[0] == 0


def test_a_clinics_bundle_holds_nothing_of_another_clinic(clinic, patients, now, tmp_path):
    other = make_clinic("oaks", now=now - DAY)
    stranger = make_patient(other.id, now=now - DAY, reachable=False)
    look_at([stranger], other, now=now)
    path, _ = exported(clinic.id, tmp_path, now=now, views=VIEWS)

    with zipfile.ZipFile(path) as archive:
        everything = b"".join(archive.read(name) for name in archive.namelist())
    assert str(other.id).encode() not in everything
    assert str(stranger.id).encode() not in everything


def test_the_systems_own_log_can_be_taken_away(clinic, now, tmp_path, capsys):
    path, _ = exported(SYSTEM, tmp_path, now=now)

    assert verified(path, capsys=capsys)[0] == 0


def test_the_export_stands_in_the_log_that_it_exports(clinic, now, tmp_path, dpo_key, capsys):
    _, first = exported(clinic.id, tmp_path, now=now)
    _, second = exported(clinic.id, tmp_path, now=now)

    assert second.size == first.size + 1


def test_an_export_that_is_broken_off_leaves_nothing_behind(clinic, patients, now):
    def stop(_entries):
        raise KeyboardInterrupt

    file = io.BytesIO()
    with pytest.raises(KeyboardInterrupt):
        export_log(file, clinic_id=clinic.id, actor=system_actor(), now=now, progress=stop)

    assert file.getvalue() == b""
    with record(Action.LOG_READ, by=system_actor(), now=now, clinic_id=clinic.id, count=1):
        pass


def test_nobody_waits_for_an_export(clinic, patients, now):
    """On SQLite, too, where a transaction that may write keeps all others out."""
    if connection.vendor != "sqlite":
        pytest.skip("readers and writers do not meet on PostgreSQL")
    seen = []

    def write_meanwhile(_entries):

        seen.append(Background(lambda: look_at(patients[:1], clinic, now=now)).result())

    export_log(io.BytesIO(), clinic_id=clinic.id, actor=system_actor(), now=now, progress=write_meanwhile)
    assert seen


def test_the_command_writes_the_bundle_and_says_what_to_keep(clinic, patients, now, tmp_path, dpo_key, capsys):
    public = tmp_path / "dpo.pub"
    public.write_bytes(dpo_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    out = tmp_path / "out.zip"

    call_command("audit_export", clinic="lindens", out=out, dpo_key=public, views=True)

    told = capsys.readouterr().out
    (tmp_path / "kept").write_text(told[told.index("accord/audit/") :])
    code, report = verified(out, "--checkpoint", tmp_path / "kept", "--keys", pem(dpo_key, tmp_path), capsys=capsys)
    assert (code, report["findings"]) == (0, [])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dpo.pem", "dpo.pub", "kept", "out.zip"]


def test_the_command_refuses_what_it_can_not_use(clinic, tmp_path, dpo_key):
    private = pem(dpo_key, tmp_path)

    with pytest.raises(CommandError, match="private key"):
        call_command("audit_export", clinic="lindens", out=tmp_path / "out.zip", dpo_key=private)
    with pytest.raises(CommandError, match="no clinic"):
        call_command("audit_export", clinic="nowhere", out=tmp_path / "out.zip")
    with pytest.raises(CommandError, match="can not be written"):
        call_command("audit_export", clinic="lindens", out=tmp_path / "nowhere" / "out.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["dpo.pem"]


def test_a_key_of_another_kind_is_refused():
    with pytest.raises(DpoKeyRefused, match="PEM"):
        read_public_key(b"what is this?")


def test_the_sequencer_may_go_on_while_the_bundle_is_made(clinic, patients, now, tmp_path, capsys):
    def grow(_entries):
        look_at(patients[:1], clinic, now=now)
        sequence_all(now=now)

    if connection.vendor != "postgresql":
        pytest.skip("one connection can not do both on SQLite")

    path, _ = exported(clinic.id, tmp_path, now=now, progress=lambda n: Background(lambda: grow(n)).result())
    assert verified(path, capsys=capsys)[0] == 0


def test_a_key_whose_announcement_still_waits_is_not_released(clinic, patients, now):
    sequence_all(now=now)
    log = signed_log(clinic.id)
    assert unannounced_keys(log) == set()

    late = make_patient(clinic.id, now=now, reachable=False)

    waiting = set(DataKey.objects.filter(subject_id=late.id).values_list("id", flat=True))
    assert unannounced_keys(log) == waiting
    sequence_all(now=now)
    assert unannounced_keys(log) == set()


def test_a_flipped_byte_in_the_file_names_its_entry(clinic, patients, now, tmp_path, capsys):
    path, _ = exported(clinic.id, tmp_path, now=now)
    content = bytearray(path.read_bytes())
    at = content.index(b"patient.created")
    content[at] ^= 1
    path.write_bytes(content)

    code, report = verified(path, capsys=capsys)

    assert code == 1
    assert min(one["entry"] for one in report["findings"] if one["entry"] is not None) < 10


def test_what_another_process_erased_a_moment_ago_is_in_no_view(clinic, patients, now, tmp_path):
    """This process remembers keys for minutes; a bundle in clear asks whether they still live."""
    look_at(patients, clinic, now=now)
    exported(clinic.id, tmp_path, now=now, name="before.zip", views=VIEWS)

    def erase():
        remembered = keyring()
        install(Keyring(provider=remembered.provider, store=remembered.store))
        try:
            destroy_subject_keys(
                subject_id=patients[0].id, clinic_id=clinic.id, reason="erasure", actor=system_actor(), now=now
            )
        finally:
            install(remembered)

    erase()
    path, _ = exported(clinic.id, tmp_path, now=now, views=VIEWS)

    with zipfile.ZipFile(path) as archive:
        assert str(patients[0].id).encode() not in archive.read("views/entries.csv")
        assert str(patients[1].id).encode() in archive.read("views/entries.csv")
