"""The import commands say what they could not do, in a sentence and with their exit code."""

import json
import os
import sqlite3
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

ROOT = Path(__file__).resolve().parents[3]
GOOD = {"resourceType": "Patient", "id": "p1", "name": [{"family": "Durand"}]}
BAD = {"resourceType": "Patient", "id": "p2", "name": "Durand"}


@pytest.fixture
def run(northgate):
    """Runs a command for Northgate: what it wrote, and the sentence it ended with where it failed."""

    def run(command, path):
        out = StringIO()
        try:
            call_command(command, str(path), clinic=northgate.slug, stdout=out)
        except CommandError as error:
            return out.getvalue(), str(error)
        return out.getvalue(), ""

    return run


def write(path, *lines, end="\n"):
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines) + end)


def test_when_all_is_taken_over_nothing_is_complained_of(run, tmp_path):
    write(tmp_path / "Patient.ndjson", GOOD)
    write(tmp_path / "Observation.ndjson", {"resourceType": "Observation"})

    written, failure = run("import_fhir", tmp_path)

    assert failure == ""
    assert "created    1" in written
    assert "not read   Observation.ndjson: Observation, 1 lines." in written


def test_what_is_refused_is_told_by_the_exit_code_and_the_rest_is_there(run, tmp_path):
    write(tmp_path / "Patient.ndjson", GOOD, BAD)

    written, failure = run("import_fhir", tmp_path)

    assert "created    1" in written
    assert "Patient.ndjson:2: name:" in written
    assert failure == "Not everything was imported: 1 refused, 0 files could not be read."


def test_a_file_that_breaks_off_is_told_by_the_exit_code(run, tmp_path):
    write(tmp_path / "Patient.ndjson", GOOD, '{"resourceType": "Pat', end="")

    written, failure = run("import_fhir", tmp_path)

    assert "The last line is cut off" in written
    assert failure.startswith("Not everything was imported: 1 refused")


def test_a_file_that_could_not_be_read_is_told_with_its_reason(run, tmp_path):
    write(tmp_path / "Patient.ndjson", GOOD)
    (tmp_path / "Appointment.ndjson.gz").write_bytes(b"x")
    (tmp_path / "Encounter.ndjson").symlink_to(tmp_path / "nowhere")

    written, failure = run("import_fhir", tmp_path)

    assert "not read   Appointment.ndjson.gz: The file is compressed: unpack it first." in written
    assert "not read   Encounter.ndjson: This is no file" in written
    assert "None" not in written
    assert failure == "Not everything was imported: 0 refused, 2 files could not be read."


def test_a_row_that_is_refused_is_told_by_the_exit_code(run, tmp_path):
    write(tmp_path / "patients.csv", "IPP;Nom", "1;Durand", ";Petit")

    written, failure = run("import_csv", tmp_path / "patients.csv")

    assert "created    1" in written
    assert failure == "Not everything was imported: 1 refused."


def test_what_is_not_there_is_said_in_a_sentence(run, tmp_path):
    os.mkfifo(tmp_path / "pipe")

    assert run("import_fhir", tmp_path / "none")[1] == f"There is no folder {tmp_path / 'none'}."
    assert run("import_fhir", tmp_path / "pipe")[1].startswith(f"{tmp_path / 'pipe'} is no folder")
    assert run("import_fhir", tmp_path)[1] == "The folder holds no file that is imported."
    assert run("import_csv", tmp_path / "none")[1] == f"There is no file {tmp_path / 'none'}."
    assert run("import_csv", tmp_path)[1] == f"{tmp_path} is a folder, not a file."
    assert run("import_csv", tmp_path / "pipe")[1].startswith(f"{tmp_path / 'pipe'} is no regular file")


@pytest.mark.parametrize("kind", ["no database", "an empty file", "a database without tables"])
def test_an_installation_that_was_never_prepared_is_told_so_and_gets_no_database(tmp_path, kind):
    source, data = tmp_path / "export", tmp_path / "data"
    source.mkdir()
    data.mkdir()
    write(source / "Patient.ndjson", GOOD)
    database = data / "accord.sqlite3"
    if kind != "no database":
        database.touch()
    if kind == "a database without tables":
        with sqlite3.connect(database) as connection:
            connection.execute("CREATE TABLE other (id INTEGER)")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ACCORD_", "DJANGO_"))}

    done = subprocess.run(
        [sys.executable, "manage.py", "import_fhir", str(source), "--clinic", "northgate"],
        cwd=ROOT,
        env={**kept, "ACCORD_DATA_DIR": str(data), "ACCORD_DATABASE_URL": f"sqlite:///{database}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 1
    assert done.stderr.strip() == "CommandError: There is no database here yet: run manage.py prepare first."
    assert database.exists() is (kind != "no database")
