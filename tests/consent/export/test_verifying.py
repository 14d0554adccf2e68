"""An export is held against its signed manifest by the one file that knows nothing of us."""

import io
import json
import stat
import zipfile

import pytest
from django.core.management import CommandError, call_command

from backend.audit import verifier
from backend.audit.actors import system_actor
from backend.audit.bundle.archive import Archive
from backend.audit.bundle.exporting import export_log
from backend.audit.growing import log_key
from backend.audit.merkle import inclusion_proof, leaf_hash, root
from backend.audit.notes import NoteRefused, SigningKey
from backend.consent.export.selection import Form
from tests.conftest import DAY
from tests.factories.exports import Export, exported


@pytest.fixture(autouse=True)
def _committed(transactional_db):
    """A log is signed only once it was committed."""


@pytest.fixture
def export(northgate, consenting, withdrawn, now):
    return exported(northgate.id, now=now, forms=list(Form))


@pytest.fixture
def verified(tmp_path, capsys):
    def ask(data, *arguments):
        path = tmp_path / "export.zip"
        path.write_bytes(data)
        code = verifier.main([str(path), *map(str, arguments), "--json"])
        return code, json.loads(capsys.readouterr().out)

    return ask


def rewritten(export, change, *, sign=None):
    """The same archive with other contents, as somebody would make it who has our code, and maybe a key."""
    file = io.BytesIO()
    contents = {name: export.zip.read(name) for name in export.names}
    manifest = contents.pop("manifest").decode()
    change(contents)
    with Archive(file, form="accord-consent-export/v1") as archive:
        for name, content in contents.items():
            archive.add(name, content)
        facts = [line for line in manifest.splitlines()[1:] if line and " " in line and len(line.split(" ")[0]) < 64]
        archive.close(manifest if sign is None else sign.sign(archive.manifest(facts[:-1])))
    return file.getvalue()


def test_an_export_is_valid_for_somebody_who_has_nothing_but_it(export, northgate, verified, capsys, tmp_path):
    code, report = verified(export.data)

    assert (code, report["findings"], report["clinic"]) == (0, [], str(northgate.id))
    assert [one["name"] for one in report["export"]["files"]] == export.names[:-1]
    assert len(report["warnings"]) == 1
    assert verifier.main([str(tmp_path / "export.zip")]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("VALID: all ")


def test_a_checkpoint_that_was_kept_vouches_for_the_key(export, northgate, now, verified, tmp_path):
    kept = export_log(io.BytesIO(), clinic_id=northgate.id, actor=system_actor(), now=now - DAY).checkpoint
    (tmp_path / "kept").write_text(kept)

    code, report = verified(export.data, "--checkpoint", tmp_path / "kept")

    assert (code, report["warnings"], report["pinned"][0]["ok"]) == (0, [], True)


@pytest.mark.parametrize("name", ["events.csv", "consents.csv", "notices/1-fr.json", "consents.xlsx", "checkpoint"])
def test_a_file_that_was_changed_is_named(export, verified, name):
    def change(contents):
        contents[name] = contents[name].replace(b"1", b"2", 1)

    code, report = verified(rewritten(export, change))

    assert code == 1
    assert any(name in finding["sentence"] for finding in report["findings"])


def test_a_row_that_was_taken_out_a_file_left_out_or_added_is_found(export, verified):
    def take_out(contents):
        contents["events.csv"] = b"\r\n".join([*contents["events.csv"].split(b"\r\n")[:-2], b""])

    for change in (take_out, lambda contents: contents.pop("events.csv"), lambda contents: contents.update(more=b"")):
        assert verified(rewritten(export, change))[0] == 1


def test_a_manifest_that_the_named_key_did_not_sign_is_found(export, verified):
    """Signed anew with another key, and edited under the old signature."""
    origin = export.facts()["origin"][0]
    signed_anew = rewritten(export, lambda _contents: None, sign=SigningKey(origin, b"\1" * 32))
    manifest = export.zip.read("manifest")
    edited = export.data.replace(manifest, manifest.replace(b"patient any", b"patient all"))

    code, report = verified(signed_anew)
    assert (code, [one["code"] for one in report["findings"]]) == (1, ["manifest_signature"])
    assert verified(edited)[0] == 1
    with pytest.raises(NoteRefused):
        Export(signed_anew).facts()


def test_an_export_that_the_log_does_not_hold_is_found(export, northgate, now, verified):
    """Signed by whoever has the log's key, with an entry or a proof that are another's, or none."""
    origin = export.facts()["origin"][0]
    key = log_key(origin)
    other = exported(northgate.id, now=now)
    index, _, hashes = export.zip.read("proof").partition(b"\n")

    def sealed(**contents):
        return rewritten(export, lambda all_of_it: all_of_it.update(contents), sign=key)

    assert verified(sealed())[0] == 0
    for wrong in (
        {
            "entry": other.zip.read("entry"),
            "proof": other.zip.read("proof"),
            "checkpoint": other.zip.read("checkpoint"),
        },
        {"entry": export.zip.read("entry")[:-1] + b"\0"},
        {"proof": index + b"\n" + hashes.partition(b"\n")[2]},
        {"proof": b"index 0\n" + hashes},
        {"proof": b""},
    ):
        assert verified(sealed(**wrong))[0] == 1, wrong


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 100])
def test_a_proof_of_inclusion_leads_to_the_root_from_every_place_and_from_no_other(size):
    leaves = [leaf_hash(bytes([number])) for number in range(size)]
    whole = root(leaves)
    for index, leaf in enumerate(leaves):
        path = inclusion_proof(leaves, index)
        assert verifier.root_by_proof(leaf, index, size, path) == whole
        assert verifier.root_by_proof(leaf, index, size, [*path, whole]) is None
        assert size == 1 or verifier.root_by_proof(leaf, index, size, path[:-1]) is None
        assert size == 1 or verifier.root_by_proof(leaf, (index + 1) % size, size, path) != whole


def test_another_key_does_not_pass_for_the_logs(export, northgate, now, verified, tmp_path):
    """Whoever signs anew, and names their own key in it, is found out by a checkpoint that was kept."""
    kept = export_log(io.BytesIO(), clinic_id=northgate.id, actor=system_actor(), now=now - DAY).checkpoint
    (tmp_path / "kept").write_text(kept)
    policy = export.zip.read("policy").decode().splitlines()
    forger = SigningKey(policy[0].removeprefix("log ").partition("+")[0], b"\1" * 32)

    def change(contents):
        contents["policy"] = "\n".join([f"log {forger.verifying}", *policy[1:], ""]).encode()
        contents["checkpoint"] = forger.sign(contents["checkpoint"].decode().partition("\n\n")[0] + "\n").encode()
        contents["events.csv"] = contents["events.csv"].replace(b"withdrawn", b"given")

    forged = rewritten(export, change, sign=forger)

    assert verified(forged)[0] == 0
    code, report = verified(forged, "--checkpoint", tmp_path / "kept")
    assert (code, report["findings"][0]["code"]) == (1, "pinned_signature")


def test_what_is_cut_short_is_not_valid(export, verified):
    for length in (100, len(export.data) // 2, len(export.data) - 1):
        assert verified(export.data[:length])[0] == 1


def test_the_command_writes_what_the_verifier_takes(northgate, consenting, now, tmp_path, capsys):
    out = tmp_path / "consents.zip"

    call_command("consent_export", "--clinic", "northgate", "--out", out, "--format", "csv", "--from", "2026-01-01")

    assert "events.csv: 6 rows" in capsys.readouterr().out
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert verifier.main([str(out), "--json"]) == 0
    assert "consents.xlsx" not in zipfile.ZipFile(out).namelist()
    assert [path.name for path in tmp_path.iterdir()] == ["consents.zip"]
    for wrong in (["--purpose", "nothing"], ["--from", "2026-02-01", "--to", "2026-01-01"]):
        with pytest.raises(CommandError):
            call_command("consent_export", "--clinic", "northgate", "--out", out, *wrong)
    with pytest.raises(CommandError, match="no regular file"):
        call_command("consent_export", "--clinic", "northgate", "--out", tmp_path)
