"""Once a day the checkpoints go where the officer keeps them; where that fails, nothing waits and somebody is told."""

import email
import logging
from datetime import timedelta
from email import policy

import pytest

from backend.audit.anchors import Folder, Mailbox, configured_places, send_checkpoints
from backend.audit.growing import log_key
from backend.audit.models import AuditAnchor, AuditLog
from backend.audit.notes import Checkpoint, origin_of
from backend.audit.sequencing import sequence_all
from tests.audit.tree.test_sequencing import add_entries
from tests.carriers.servers import free_port, listening, smtp
from tests.factories.clinics import make_clinic

DAY = timedelta(days=1)
OFFICER = "dpo@clinic.example"


@pytest.fixture
def clinic(committed, now):
    clinic = make_clinic("lindens", now=now - DAY)
    sequence_all(now=now)
    return clinic


def assert_genuine(notes: list[str]) -> None:
    """One checkpoint of each log, and all of them ours."""
    logs = {origin_of(log.origin) for log in AuditLog.objects.all()}
    found = {note.partition("\n")[0] for note in notes}
    assert found == logs
    for note in notes:
        key = log_key(note.partition("\n")[0]).verifying
        assert Checkpoint.parse(key.verify(note)).size > 0


def test_the_last_checkpoint_of_every_log_lies_in_the_folder(clinic, now, tmp_path):
    sent = send_checkpoints(now=now, places=[Folder(tmp_path)])

    files = sorted((tmp_path / "2026-10-14").iterdir())
    assert sent == len(files) == AuditLog.objects.count()
    assert_genuine([path.read_text(encoding="utf-8") for path in files])
    assert AuditAnchor.objects.filter(place="folder").count() == sent


def test_they_are_put_once_a_day(clinic, now, tmp_path):
    places = [Folder(tmp_path)]
    first = send_checkpoints(now=now, places=places)
    add_entries(clinic.id, 1, now=now)
    sequence_all(now=now)

    assert send_checkpoints(now=now + timedelta(hours=9), places=places) == 0
    assert send_checkpoints(now=now + DAY, places=places) == first
    assert len(list(tmp_path.iterdir())) == 2


def test_they_are_mailed_to_the_officer(clinic, now):
    with listening(smtp({})) as server:
        place = Mailbox(url=f"smtp://127.0.0.1:{server.port}", sender="no-reply@accord.example", recipient=OFFICER)
        assert send_checkpoints(now=now, places=[place]) == AuditLog.objects.count()

    said = b"".join(server.said)
    mail = email.message_from_bytes(said[said.index(b"From:") :], policy=policy.default)
    assert mail["To"] == OFFICER
    assert_genuine([part.get_content().decode() for part in mail.iter_attachments()])
    text = mail.get_body(("plain",))
    assert text is not None
    assert "does not fit it any more" in text.get_content()


def test_a_place_that_can_not_be_reached_holds_nothing_up_and_is_tried_again(clinic, now, tmp_path, caplog):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    nowhere = Mailbox(
        url=f"smtp://user:secret@127.0.0.1:{free_port()}", sender="no-reply@accord.example", recipient=OFFICER
    )
    with caplog.at_level(logging.ERROR, "accord.audit.alarm"):
        assert send_checkpoints(now=now, places=[Folder(blocked), nowhere]) == 0

    assert len(caplog.records) == 2
    assert "secret" not in caplog.text
    blocked.unlink()
    assert send_checkpoints(now=now + timedelta(hours=1), places=[Folder(blocked)]) == AuditLog.objects.count()


def test_the_settings_name_the_places(settings, tmp_path):
    settings.ACCORD_ANCHOR_DIR, settings.ACCORD_ANCHOR_EMAIL, settings.ACCORD_EMAIL_URL = "", "", ""
    assert configured_places() == []

    settings.ACCORD_ANCHOR_DIR, settings.ACCORD_ANCHOR_EMAIL = str(tmp_path), OFFICER
    assert [place.name for place in configured_places()] == ["folder"]

    settings.ACCORD_EMAIL_URL = "smtp://127.0.0.1:2525"
    assert [place.name for place in configured_places()] == ["folder", "mailbox"]
