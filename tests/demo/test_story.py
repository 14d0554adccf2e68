"""The demo as a stranger runs it: a process of its own, from nothing, and its report."""

import json
import os
import shlex
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SECONDS = 240
VERIFIER = Path(__file__).parents[2] / "backend" / "audit" / "verifier.py"


def run(folder: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    settings = {name: value for name, value in os.environ.items() if not name.startswith("ACCORD_")}
    return subprocess.run(
        [sys.executable, "-P", "-m", "demo", *arguments],
        env={**settings, "ACCORD_DATA_DIR": str(folder), **environment},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("demo")
    report = folder / "report.json"
    ended = run(folder / "data", "--once", "--report", str(report))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout, json.loads(report.read_text(encoding="utf-8"))


def test_the_story_holds(told: tuple[str, dict[str, Any]]) -> None:
    words, report = told

    assert "✗" not in words
    assert report["imported"] == 41
    assert report["refused"] == []
    assert report["deceased"] == 2
    assert report["audit"]["verified"] is True
    assert report["audit"]["tampering_found"] is True


def test_what_leaves_covers_every_channel_language_and_tone(told: tuple[str, dict[str, Any]]) -> None:
    _words, report = told
    handed_over = report["handed_over"]

    assert {one["channel"] for one in handed_over} == {"push", "sms", "email"}
    assert {one["language"] for one in handed_over} == {"fr", "en"}
    assert {one["tone"] for one in handed_over} >= {"formal", "informal"}
    assert {"app", "paper_form"} <= set(report["consents"])


def test_nothing_leaves_after_a_withdrawal(told: tuple[str, dict[str, Any]]) -> None:
    _words, report = told

    assert report["after_withdrawal"]["handed_over"] == 0
    assert report["after_withdrawal"]["withheld"] > 0
    assert {"patient": "tilleuls-26", "channel": "sms"}.items() <= next(
        one for one in report["withheld"] if one["patient"] == "tilleuls-26"
    ).items()


def test_nobody_who_died_or_was_silent_is_written_to(told: tuple[str, dict[str, Any]]) -> None:
    _words, report = told
    reached = {one["patient"] for one in report["handed_over"]}

    assert reached.isdisjoint({"tilleuls-08", "tilleuls-09", "tilleuls-10", "tilleuls-11", "tilleuls-19"})


def test_the_story_tells_no_token_of_another_and_no_number(told: tuple[str, dict[str, Any]]) -> None:
    words, _report = told

    assert "+3363998" not in words


def ask_verifier(*arguments: str | Path) -> tuple[int, dict[str, Any]]:
    command = [sys.executable, "-I", str(VERIFIER), *map(str, arguments), "--json"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    return ended.returncode, json.loads(ended.stdout)


def test_what_is_left_behind_verifies_and_tells_each_consent(told: tuple[str, dict[str, Any]]) -> None:
    _words, report = told
    log = report["audit"]

    code, answer = ask_verifier(
        *(log["bundle"], "--checkpoint", log["checkpoint"], "--keys", log["keys"], "--messages")
    )

    assert code == 0
    assert answer["size"] == log["bundle_size"] > log["checkpoint_size"]
    assert answer["pinned"][0]["ok"] is True
    assert answer["pinned"][0]["size"] == log["checkpoint_size"]
    assert answer["messages"]["handed_over"] == log["message.handed_over"]
    assert sum(one["consent_entry"] is not None for one in answer["messages"]["permitted"]) == len(
        report["handed_over"]
    )


def test_the_officers_key_is_for_the_officer_alone(told: tuple[str, dict[str, Any]]) -> None:
    _words, report = told
    key = Path(report["audit"]["keys"])

    assert stat.S_IMODE(key.stat().st_mode) == 0o400
    assert stat.S_IMODE(key.parent.stat().st_mode) == 0o700


def test_a_log_from_before_the_withdrawal_is_not_taken_for_the_whole(told: tuple[str, dict[str, Any]]) -> None:
    _words, report = told
    kept = Path(report["audit"]["checkpoint"])
    earlier = kept.with_name("before-the-withdrawal.zip")

    alone, _answer = ask_verifier(earlier)
    compared, answer = ask_verifier(earlier, "--checkpoint", kept)

    assert (alone, compared) == (0, 1)
    assert [one["code"] for one in answer["findings"]] == ["pinned_larger"]


def test_the_command_that_the_story_ends_with_works(told: tuple[str, dict[str, Any]]) -> None:
    words, _report = told
    _before, _told, rest = words.partition("Verify it yourself:\n")
    command = shlex.split(rest.partition("--messages")[0].replace("\\\n", " "))

    ended = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)

    assert ended.returncode == 0
    assert ended.stdout.splitlines()[-1].startswith("VALID:")


@pytest.mark.parametrize(
    ("tried", "told_of_it"),
    [
        ("one bit of it is changed in the database", "not_written_by_us_or_changed"),
        ("it is deleted from the database, and the gap closed", "each entry left is genuine"),
        ("one bit of it is changed in the file that was handed over", "Entry"),
        ("the log is handed over as it was before", "signs"),
    ],
)
def test_each_way_to_rewrite_the_past_is_found(told: tuple[str, dict[str, Any]], tried: str, told_of_it: str) -> None:
    words, _report = told
    _before, found, after = words.partition(f"✓ {tried}: found\n")

    assert found
    assert told_of_it in after.splitlines()[0]


@pytest.mark.needs_data
def test_real_files_hold_too(third_party_data: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"

    ended = run(
        tmp_path / "data",
        *("--once", "--fhir", str(third_party_data / "synthea-10"), "--today", "2023-03-13", "--report", str(report)),
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "SANDBOX" in ended.stdout
    told = json.loads(report.read_text(encoding="utf-8"))
    assert told["imported"] == 13
    assert told["deceased"] == 3
    assert len(told["unusable"]) == 13
    assert [one["patient"] for one in told["handed_over"] if one["channel"] != "push"] == []
    assert "6a4160eb-a793-2f86-2302-378626f46cce" in {one["patient"] for one in told["handed_over"]}
    assert told["reach"]["would_not"]
    assert told["audit"]["verified"] is True
    assert told["audit"]["tampering_found"] is True


def test_a_folder_that_is_not_the_demos_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "accord.sqlite3").write_text("somebody's data", encoding="utf-8")

    ended = run(tmp_path, "--once")

    assert ended.returncode == 2
    assert "left as it is" in ended.stderr
    assert (tmp_path / "accord.sqlite3").read_text(encoding="utf-8") == "somebody's data"


def test_another_database_is_refused(tmp_path: Path) -> None:
    ended = run(tmp_path / "data", "--once", ACCORD_DATABASE_URL="postgres://postgres@127.0.0.1:5432/postgres")

    assert ended.returncode == 2
    assert not (tmp_path / "data").exists()
