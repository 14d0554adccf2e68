"""`audit_export`: where its file goes, who may read it, and what is left of one that was stopped."""

import os
import signal
import stat
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from backend.audit import verifier
from backend.audit.models import AuditEntry
from tests.factories.clinics import make_clinic

DAY = timedelta(days=1)


@pytest.fixture
def clinic(committed, now):
    return make_clinic("lindens", now=now - DAY)


@pytest.mark.parametrize("kind", ["device", "folder", "root", "here", "pipe", "link"])
def test_what_is_no_regular_file_is_refused_before_anything(clinic, tmp_path, kind):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/null")
    out = {
        "device": Path("/dev/null"),
        "folder": tmp_path,
        "root": Path("/"),
        "here": Path(),
        "pipe": tmp_path / "pipe",
        "link": tmp_path / "link",
    }[kind]
    before = AuditEntry.objects.count()

    with pytest.raises(CommandError, match="no regular file"):
        call_command("audit_export", clinic="lindens", out=out)

    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    assert (tmp_path / "link").is_symlink()
    assert AuditEntry.objects.count() == before


def test_only_its_owner_may_read_the_bundle(clinic, tmp_path):
    out = tmp_path / "out.zip"
    out.write_bytes(b"an older one")
    out.chmod(0o644)

    call_command("audit_export", clinic="lindens", out=out)

    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert verifier.main([str(out), "--json"]) == 0


def test_what_another_export_is_writing_is_left_alone(clinic, tmp_path):
    other = tmp_path / ".out.zip.part"
    other.write_bytes(b"another export")

    call_command("audit_export", clinic="lindens", out=tmp_path / "out.zip")

    assert other.read_bytes() == b"another export"


def test_an_export_that_is_terminated_leaves_nothing_behind(clinic, tmp_path):
    drafts: list[tuple[str, int]] = []

    def terminate_at_the_entries(execute, sql, *rest):
        if "FROM audit_leaf l JOIN audit_entry" in sql and not drafts:
            drafts.extend((path.name, stat.S_IMODE(path.stat().st_mode)) for path in tmp_path.iterdir())
            os.kill(os.getpid(), signal.SIGTERM)
        return execute(sql, *rest)

    def missed(_number, _frame):
        pytest.fail("the command did not take the signal")

    before = signal.signal(signal.SIGTERM, missed)
    try:
        with connection.execute_wrapper(terminate_at_the_entries), pytest.raises(SystemExit) as ended:
            call_command("audit_export", clinic="lindens", out=tmp_path / "out.zip")
        assert signal.getsignal(signal.SIGTERM) is missed
    finally:
        signal.signal(signal.SIGTERM, before)

    assert ended.value.code == 128 + signal.SIGTERM
    assert [mode for _name, mode in drafts] == [0o600]
    assert list(tmp_path.iterdir()) == []
