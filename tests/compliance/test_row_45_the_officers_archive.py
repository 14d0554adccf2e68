"""Row 45, GDPR 5(2): what the officer takes away is signed, opens without Accord, and shows each change.

Not yet: one archive of all of it; consents and the log are one each, registers, requests and breaches are in neither.
"""

import io
import json
from hashlib import sha256

import pytest

from backend.audit import verifier
from backend.audit.bundle.archive import Archive
from backend.consent.export.selection import Form
from tests.factories.exports import exported


@pytest.fixture(autouse=True)
def _committed(transactional_db):
    """A log is signed only once it was committed."""


@pytest.fixture
def export(northgate, consenting, withdrawn, now):
    return exported(northgate.id, now=now, forms=list(Form))


def is_valid(data, folder):
    path = folder / "consents.zip"
    path.write_bytes(data)
    return verifier.main([str(path), "--json"]) == 0


def test_consents_notices_and_what_became_of_them_are_in_it_in_every_form(export, tmp_path):
    assert is_valid(export.data, tmp_path)
    assert set(export.names) == {
        "about",
        "policy",
        "checkpoint",
        "entry",
        "proof",
        "notices/1-en.json",
        "notices/1-fr.json",
        "consents.csv",
        "events.csv",
        "consents.xlsx",
        "fhir/Consent.ndjson",
        "fhir/Provenance.ndjson",
        "dpv/ConsentRecord.ndjson",
        "manifest",
    }
    events = {row["event"] for row in export.table("events")}
    assert events == {one["id"] for one in export.lines("fhir/Provenance.ndjson")}
    assert events == {
        status["@id"].removeprefix("urn:uuid:")
        for record in export.lines("dpv/ConsentRecord.ndjson")
        for status in record["dpv:hasConsentStatus"]
    }
    hashes = {sha256(export.zip.read(name)).hexdigest() for name in export.names if name.startswith("notices/")}
    assert {row["notice hash"] for row in export.table("events") if row["kind"] == "given"} <= hashes
    assert json.loads(export.zip.read("notices/1-fr.json"))["language"] == "fr"


def test_a_row_taken_out_moved_edited_or_cut_off_is_found(export, tmp_path):
    def with_events(change):
        file = io.BytesIO()
        with Archive(file, form="accord-consent-export/v1") as archive:
            for name in export.names[:-1]:
                lines = export.zip.read(name).split(b"\r\n")
                archive.add(name, b"\r\n".join(change(lines)) if name == "events.csv" else export.zip.read(name))
            archive.close(export.zip.read("manifest").decode())
        return file.getvalue()

    assert is_valid(with_events(lambda lines: lines), tmp_path)
    for change in (
        lambda lines: [*lines[:3], *lines[4:]],
        lambda lines: [*lines[:3], lines[4], lines[3], *lines[5:]],
        lambda lines: [lines[0], lines[1].replace(b"given", b"refused"), *lines[2:]],
        lambda lines: [*lines[:-2], b""],
    ):
        assert not is_valid(with_events(change), tmp_path)
