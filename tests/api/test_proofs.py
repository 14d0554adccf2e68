"""The officer takes the log away, and compares it with what was kept."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from backend.audit import verifier
from backend.audit.actions import Action
from backend.audit.leaf import open_part, parse_leaf
from backend.audit.merkle import verify_consistency
from backend.audit.models import AuditEntry, AuditLeaf, AuditLog
from backend.audit.sequencing import sequence_all
from backend.vault.keyring import keyring
from tests.api.conftest import Client
from tests.factories.tampering import tamper

AUDIT = "/api/v1/clinics/northgate/audit"


@pytest.fixture(autouse=True)
def _signed(transactional_db: None, northgate: Any, silent: Any, now: Any) -> None:
    """A log is signed only once it was committed."""
    sequence_all(now=now)


def body(answer: Any) -> bytes:
    content = b"".join(answer.streaming_content)
    answer.close()
    return content


def verified(bundle: bytes, folder: Path, capsys: Any, *arguments: str) -> tuple[int, Any]:
    path = folder / "bundle.zip"
    path.write_bytes(bundle)
    code = verifier.main([str(path), *arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_the_checkpoint_is_the_one_that_was_signed_last(officer: Client, northgate) -> None:
    answer = officer.get(f"{AUDIT}/checkpoint").json()

    log = AuditLog.objects.get(clinic_id=northgate.id)
    assert answer["origin"] == f"accord/audit/{log.origin}"
    assert answer["note"].startswith(f"{answer['origin']}\n{answer['size']}\n{answer['root_hash']}\n\n")
    assert answer["key"].startswith(f"{answer['origin']}+")


def test_a_log_that_fits_what_was_kept_proves_it(officer: Client, now) -> None:
    kept = officer.get(f"{AUDIT}/checkpoint").json()
    officer.get(f"{AUDIT}/entries")
    sequence_all(now=now)

    answer = officer.post(f"{AUDIT}/verify", {"checkpoint": kept["note"]}).json()

    assert (answer["holds"], answer["findings"], answer["compared"]["fit"]) == (True, [], "fits")
    latest = answer["checkpoint"]
    assert latest["size"] > kept["size"]
    verify_consistency(
        kept["size"],
        latest["size"],
        [base64.b64decode(one) for one in answer["compared"]["proof"]],
        base64.b64decode(kept["root_hash"]),
        base64.b64decode(latest["root_hash"]),
    )


@pytest.mark.parametrize("saved", [lambda note: note.replace("\n", "\r\n"), lambda note: f"\ufeff{note}"])
def test_a_checkpoint_that_a_mail_program_saved_fits_too(officer: Client, saved) -> None:
    kept = officer.get(f"{AUDIT}/checkpoint").json()["note"]

    answer = officer.post(f"{AUDIT}/verify", {"checkpoint": saved(kept)}).json()

    assert (answer["holds"], answer["compared"]["fit"]) == (True, "fits")


def test_an_entry_that_was_changed_is_named(officer: Client, northgate) -> None:
    leaf = AuditLeaf.objects.get(log_id=AuditLog.objects.get(clinic_id=northgate.id).id, idx=3)
    tamper(f"UPDATE audit_entry SET leaf = wmac WHERE seq = {leaf.entry_seq}")  # noqa: S608 - a number of ours

    answer = officer.post(f"{AUDIT}/verify", {}).json()

    assert answer["holds"] is False
    assert answer["findings"][0] == {"entry": 3, "what": "changed"}
    assert answer["compared"] is None


@pytest.mark.parametrize(
    ("changed", "fit"),
    [
        (lambda _note: "what is this?", "not_a_checkpoint"),
        (lambda note: note.replace("accord/audit/", "accord/audit/0", 1), "other_log"),
        (lambda note: note.replace("\n", "\n9", 1), "not_signed_by_us"),
    ],
)
def test_a_checkpoint_that_is_not_ours_is_told_apart(officer: Client, changed, fit) -> None:
    kept = officer.get(f"{AUDIT}/checkpoint").json()["note"]

    answer = officer.post(f"{AUDIT}/verify", {"checkpoint": changed(kept)}).json()

    assert (answer["holds"], answer["compared"]["fit"]) == (False, fit)


def recorded_result(clinic_id: Any) -> Any:
    """What the log's last entry says came of the verification."""
    leaf = parse_leaf(bytes(AuditEntry.objects.order_by("-seq").values_list("leaf", flat=True)[0]))
    assert (leaf.header["a"], leaf.header["tn"]) == (Action.LOG_VERIFIED.spec.code, str(clinic_id))
    details: Any = open_part(leaf, 0, keyring().by_id(leaf.parts[0].key_id))["d"]
    return details["result"]


def test_a_checkpoint_of_something_else_is_not_recorded_against_the_log(officer: Client, northgate) -> None:
    kept = officer.get(f"{AUDIT}/checkpoint").json()["note"]

    for sent, result in (({}, "holds"), ({"checkpoint": kept}, "holds"), ({"checkpoint": "x"}, "other_checkpoint")):
        officer.post(f"{AUDIT}/verify", sent)
        assert recorded_result(northgate.id) == result

    leaf = AuditLeaf.objects.get(log_id=AuditLog.objects.get(clinic_id=northgate.id).id, idx=3)
    tamper(f"UPDATE audit_entry SET leaf = wmac WHERE seq = {leaf.entry_seq}")  # noqa: S608 - a number of ours
    officer.post(f"{AUDIT}/verify", {"checkpoint": "x"})
    assert recorded_result(northgate.id) == "does_not_hold"


def test_a_checkpoint_that_is_no_text_is_refused(officer: Client) -> None:
    for wrong in (1, True, None, ["x"]):
        assert officer.post(f"{AUDIT}/verify", {"checkpoint": wrong}).status_code == 400


def test_the_bundle_is_valid_elsewhere(officer: Client, tmp_path, capsys) -> None:
    answer = officer.get(f"{AUDIT}/export")
    bundle = body(answer)

    assert (answer.status_code, answer["Content-Type"]) == (200, "application/zip")
    assert answer["Content-Disposition"].startswith('attachment; filename="northgate-audit-')
    assert answer["Cache-Control"] == "no-store"
    code, report = verified(bundle, tmp_path, capsys)
    assert (code, report["findings"]) == (0, [])


def test_the_officers_key_opens_the_bundle(officer: Client, tmp_path, capsys) -> None:
    key = X25519PrivateKey.generate()
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    private = tmp_path / "dpo.pem"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    answer = officer.post(f"{AUDIT}/export", {"dpo_key": pem})

    code, report = verified(body(answer), tmp_path, capsys, "--keys", str(private))
    assert (code, report["findings"], report["unreadable"]) == (0, [], 0)


def test_the_views_go_along_where_they_are_asked_for(officer: Client) -> None:
    import zipfile  # noqa: PLC0415 - here only

    closed, opened = body(officer.get(f"{AUDIT}/export")), body(officer.get(f"{AUDIT}/export?views=true"))

    names = [zipfile.ZipFile(io.BytesIO(one)).namelist() for one in (closed, opened)]
    assert "views/entries.csv" not in names[0]
    assert {"views/entries.csv", "views/audit_event.ndjson"} <= set(names[1])


def test_what_is_no_public_key_is_refused(officer: Client) -> None:
    private = X25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    for wrong in ("nothing", private.decode()):
        answer = officer.post(f"{AUDIT}/export", {"dpo_key": wrong})
        assert answer.status_code == 400
        assert "dpo_key" in answer.content.decode()
        assert answer.json()["code"] == ("private_key_sent" if "PRIVATE" in wrong else "dpo_key_refused")
        assert "PRIVATE KEY" not in answer.content.decode()
    assert officer.get(f"{AUDIT}/export?views=perhaps").status_code == 400


@pytest.mark.parametrize("path", ["checkpoint", "export"])
def test_only_the_officer_of_this_clinic_may(desk: Client, stranger: Client, me: Client, nobody: Client, path) -> None:
    answers = [who.get(f"{AUDIT}/{path}").status_code for who in (desk, stranger, me, nobody)]

    assert answers == [403, 403, 403, 401]
