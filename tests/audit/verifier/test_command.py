"""The command itself: one file, nothing to install, an answer for people, and never a traceback."""

import ast
import io
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from backend.audit import verifier
from tests.factories.bundles import LogInTest, archive, many_of, members_of

SOURCE = Path(verifier.__file__)


def run(*options, folder, flags=("-I", "-S")):
    return subprocess.run(
        [sys.executable, *flags, "verifier.py", *options],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def alone(tmp_path):
    """A folder in which nothing but the one file is."""
    folder = tmp_path / "empty machine"
    folder.mkdir()
    shutil.copy(SOURCE, folder / "verifier.py")
    return folder


def test_the_file_imports_the_standard_library_alone():
    imported = set()
    for node in ast.walk(ast.parse(SOURCE.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported.add(str(node.module).partition(".")[0])

    # cryptography opens entries, and is imported only where a key was named.
    assert imported - sys.stdlib_module_names == {"cryptography"}
    top = [node for node in ast.parse(SOURCE.read_text("utf-8")).body if isinstance(node, ast.ImportFrom)]
    assert not any(str(node.module).startswith("cryptography") for node in top)


def test_it_runs_on_an_empty_machine(alone, log):
    (alone / "bundle.zip").write_bytes(log.bundle())
    (alone / "kept").write_bytes(log.checkpoint(5))

    answer = run("bundle.zip", "--checkpoint", "kept", folder=alone)

    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout.splitlines()[-1].startswith(f"VALID: all {len(log.leaves)} entries")
    assert f"Key {log.signer.vkey}" in answer.stdout


def test_tampering_is_told_in_a_sentence_at_the_end(alone, log):
    members = members_of(log.bundle())
    name = next(name for name in members if name.startswith("tile/entries/"))
    body = bytearray(members[name])
    body[-1] ^= 1
    (alone / "bundle.zip").write_bytes(archive({**members, name: bytes(body)}))

    answer = run("bundle.zip", folder=alone)

    last = len(log.leaves) - 1
    assert answer.returncode == 1
    assert f"The first wrong entry that can be named is {last} (id {log.ids[last]})." in answer.stdout.splitlines()[-1]
    assert answer.stdout.splitlines()[-1].startswith("INVALID: ")


def test_without_cryptography_keys_can_not_be_used_and_it_says_so(alone, log):
    (alone / "bundle.zip").write_bytes(log.bundle())
    (alone / "dpo.pem").write_bytes(log.private_key())

    answer = run("bundle.zip", "--keys", "dpo.pem", folder=alone)

    assert answer.returncode == 2
    assert answer.stderr.startswith("UNUSABLE: ")
    assert "cryptography" in answer.stderr


def test_with_cryptography_the_same_file_opens_the_entries(alone, log):
    (alone / "bundle.zip").write_bytes(log.bundle())
    (alone / "dpo.pem").write_bytes(log.private_key())

    answer = run("bundle.zip", "--keys", "dpo.pem", "--messages", folder=alone, flags=("-I",))

    assert (answer.returncode, answer.stderr) == (0, "")
    assert (
        "2 messages were handed over: 1 with a consent that stood at a moment between being taken up and leaving"
        in answer.stdout
    )


def test_what_is_no_bundle_is_said_to_be_none(desk):
    wrong = {
        "empty": b"",
        "text": b"hello\n" * 1000,
        "bytes": bytes(range(256)) * 50,
        "another zip": archive({"hello.txt": b"hello"}),
        "an empty zip": archive({}),
        "the end of a zip": b"PK\x05\x06" + bytes(18),
        "zeros": bytes(100_000),
    }

    for name, body in wrong.items():
        answer = desk.ask(body)
        assert (name, answer.code, answer.document["valid"]) == (name, 2, False)
        assert "is no audit bundle" in answer.errors


def test_a_file_that_can_not_be_read_is_said_to_be_so(desk, log):
    there = desk.put("bundle.zip", log.bundle())

    for options in (
        [f"{desk.folder}/none.zip"],
        [str(desk.folder)],
        ["a\x00b"],
        [there, "--checkpoint", f"{desk.folder}/none"],
        [there, "--checkpoint", str(desk.folder)],
        [there, "--checkpoint", "a\x00b"],
        [there, "--keys", f"{desk.folder}/none"],
    ):
        answer = desk.run(*options, "--json")
        assert (answer.code, answer.findings) == (2, {"unusable"})


PINS = {
    "nothing": b"",
    "text": b"hello\n",
    "bytes": bytes(range(256)),
    "too much": b"a" * 100_000,
    "no signature": b"accord/audit/x\n1\n",
}


@pytest.mark.parametrize("pin", PINS.values(), ids=PINS)
def test_a_kept_file_that_is_no_checkpoint_is_said_to_be_none(desk, log, pin):
    answer = desk.ask(log.bundle(), pins={"kept": pin})

    assert (answer.code, answer.findings) == (2, {"unusable"})


def test_two_checkpoints_in_one_file_are_not_guessed_apart(desk, log):
    assert desk.ask(log.bundle(), pins={"kept": log.checkpoint(2) + log.checkpoint(3)}).code == 2
    assert desk.ask(log.bundle(), pins={"kept": log.checkpoint(2) + b"\n" + log.checkpoint(3)}).code == 2


def test_a_kept_manifest_is_no_checkpoint(desk, log):
    assert desk.ask(log.bundle(), pins={"kept": log.manifest(log.members())}).code == 2


def test_a_checkpoint_of_another_log_is_said_to_be_so(desk, log):
    other = LogInTest("southbank")

    answer = desk.ask(log.bundle(), pins={"kept": other.checkpoint()})

    assert answer.code == 2
    assert "checkpoint of another log" in answer.errors


def test_a_checkpoint_with_a_changed_root_is_wrong(desk, log):
    changed = bytearray(log.checkpoint(3))
    at = changed.index(b"\n3\n") + 5
    changed[at] = ord("B") if changed[at] == ord("A") else ord("A")

    assert desk.ask(log.bundle(), pins={"kept": bytes(changed)}).findings == {"pinned_signature"}


def test_names_of_files_can_not_paint_the_terminal(desk, log):
    answer = desk.ask(log.bundle(), pins={"\x1b[2Jkept": log.checkpoint(3)})
    code, out, _ = desk.say(f"{desk.folder}/bundle.zip", "--checkpoint", f"{desk.folder}/\x1b[2Jkept")

    assert (answer.code, code) == (0, 0)
    assert "\x1b" not in out


def test_a_command_line_that_makes_no_sense_is_unusable(alone):
    assert run(folder=alone).returncode == 2
    assert run("bundle.zip", "--what", folder=alone).returncode == 2
    assert run("--help", folder=alone).returncode == 0


def test_an_answer_that_nobody_reads_is_not_valid(alone, log):
    (alone / "bundle.zip").write_bytes(log.bundle())

    with subprocess.Popen(
        [sys.executable, "-I", "-S", "verifier.py", "bundle.zip"],
        cwd=alone,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as asked:
        asked.stdout.close()
        errors = asked.stderr.read()
    assert (asked.returncode, errors) == (2, b"")


@pytest.fixture
def unreadable(tmp_path):
    """A file that opens, and whose first byte can not be read."""
    path = Path("/proc/self/mem")
    if not path.exists():
        pytest.skip("only Linux has such a file")
    return str(path)


@pytest.mark.parametrize("option", ["", "--checkpoint", "--keys"])
def test_a_file_that_fails_while_it_is_read_is_unusable(desk, log, unreadable, option):
    options = [desk.put("bundle.zip", log.bundle()), option, unreadable] if option else [unreadable]

    answer = desk.run(*options, "--json")

    assert (answer.code, answer.findings) == (2, {"unusable"})


@pytest.mark.parametrize("redirection", ["> /dev/full", ">&-", "> /dev/full 2>&1", ">&- 2>&-", "> /dev/full 2>&-"])
@pytest.mark.parametrize("options", ["", " --json", " --checkpoint none"])
def test_an_answer_that_can_not_be_written_is_unusable(alone, log, redirection, options):
    (alone / "bundle.zip").write_bytes(log.bundle())

    ended = subprocess.run(  # noqa: S602 - it is the shell that redirects
        f"{sys.executable} -I -S verifier.py bundle.zip{options} {redirection}",
        shell=True,
        cwd=alone,
        capture_output=True,
        check=False,
    )

    assert (ended.returncode, b"Traceback" in ended.stderr) == (2, False)


def test_a_closed_standard_error_changes_no_answer(alone, log):
    (alone / "bundle.zip").write_bytes(log.bundle())
    (alone / "broken.zip").write_bytes(log.bundle()[:-1])

    for name, code in (("bundle.zip", 0), ("broken.zip", 1), ("none.zip", 2)):
        for closed in ("2>&-", "2> /dev/full"):
            command = f"{sys.executable} -I -S verifier.py {name} {closed}"
            ended = subprocess.run(command, shell=True, cwd=alone, stdout=subprocess.PIPE, check=False)  # noqa: S602 - it is the shell that redirects
            assert (name, closed, ended.returncode) == (name, closed, code)


@pytest.mark.parametrize("options", [["--keys", ""], ["--checkpoint", ""], ["--messages"]])
def test_an_option_that_names_nothing_is_unusable(desk, log, options):
    answer = desk.run(desk.put("bundle.zip", log.bundle()), *options, "--json")

    assert (answer.code, answer.findings) == (2, {"unusable"})


def test_a_checkpoint_is_read_to_its_end_where_it_arrives_in_pieces(desk, log):
    bundle, pipe, note = desk.put("bundle.zip", log.bundle()), desk.folder / "pipe", log.checkpoint(5)
    os.mkfifo(pipe)

    def write():
        with pipe.open("wb", buffering=0) as file:
            for piece in (note[:20], note[20:90], note[90:]):
                file.write(piece)
                time.sleep(0.05)

    writer = threading.Thread(target=write)
    writer.start()
    answer = desk.run(bundle, "--checkpoint", str(pipe), "--json")
    writer.join()

    assert (answer.code, answer.document["pinned"][0]["ok"]) == (0, True)


def touched(note):
    return {
        "CRLF": note.replace(b"\n", b"\r\n"),
        "a byte order mark": b"\xef\xbb\xbf" + note,
        "empty lines behind it": note + b"\n\n",
        "all of it": b"\xef\xbb\xbf" + (note + b"\n").replace(b"\n", b"\r\n"),
    }


@pytest.mark.parametrize("name", touched(b""))
def test_a_kept_checkpoint_that_programs_for_mail_have_touched_still_fits(desk, log, name):
    answer = desk.ask(log.bundle(), pins={"kept": touched(log.checkpoint(5))[name]})
    wrong = desk.ask(log.bundle(), pins={"kept": touched(log.checkpoint(5).replace(b"\n5\n", b"\n6\n"))[name]})

    assert (answer.code, answer.document["pinned"][0]["ok"]) == (0, True)
    assert wrong.findings == {"pinned_signature"}


class Screen(io.StringIO):
    """What somebody watches."""

    def isatty(self):
        return True


def test_progress_is_shown_on_a_terminal_where_the_log_is_long():
    watched, piped, short = Screen(), io.StringIO(), Screen()

    for done in (256, 60_000):
        verifier.Progress(watched)(done, 60_000)
        verifier.Progress(piped)(done, 60_000)
        verifier.Progress(short)(done, 600)

    assert watched.getvalue() == "\r256 of 60,000 entries\r60,000 of 60,000 entries\n"
    assert (piped.getvalue(), short.getvalue()) == ("", "")


MEASURED = """
import runpy, sys, tracemalloc
main = runpy.run_path({source!r}, run_name="verifier")["main"]
tracemalloc.start()
code = main([{bundle!r}, "--json"])
sys.stderr.write(f"{{code}} {{tracemalloc.get_traced_memory()[1]}}")
"""


def test_memory_hardly_grows_with_the_log(desk):
    """By 21 bytes for each entry, for its id."""
    log = LogInTest()
    log.read(log.enter())
    peaks = []
    for times in (300, 3_000):
        copy = LogInTest()
        copy.leaves = many_of(log.leaves, len(log.leaves) * times)
        path = desk.put(f"{times}.zip", copy.bundle(with_keys=False))
        program = MEASURED.format(source=str(SOURCE), bundle=path)
        ended = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=True)
        code, peak = ended.stderr.split()
        assert code == "0"
        peaks.append(int(peak))

    assert peaks[1] < peaks[0] + 500_000
    assert peaks[1] < 4_000_000
