"""Exports of consents, read back from their documented form alone: a zip, CSV, JSON, a signed note."""

import csv
import hashlib
import io
import json
import re
import zipfile
from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID
from xml.etree import ElementTree as ET

from backend.audit.actors import Actor, system_actor
from backend.audit.notes import VerifyingKey
from backend.consent.export.exporting import export_consents
from backend.consent.export.selection import Form, Selection
from backend.policy.vocabulary import Language

SHEET = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


class Export:
    """What somebody finds who has the file and its description."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.zip = zipfile.ZipFile(io.BytesIO(data))

    @property
    def names(self) -> list[str]:
        return self.zip.namelist()

    def table(self, name: str, *, separator: str = ",") -> list[dict[str, str]]:
        """A CSV table in English."""
        text = self.zip.read(f"{name}.csv").decode("utf-8-sig")
        return list(csv.DictReader(io.StringIO(text, newline=""), delimiter=separator))

    def lines(self, name: str) -> list[Any]:
        return [json.loads(line) for line in self.zip.read(name).splitlines()]

    def facts(self) -> dict[str, list[str]]:
        """The manifest, once its signature and every hash in it were found right."""
        text = VerifyingKey.parse(self.zip.read("policy").decode().splitlines()[0].removeprefix("log ")).verify(
            self.zip.read("manifest").decode()
        )
        form, *lines = text.splitlines()
        assert form == "accord-consent-export/v1"
        told: dict[str, list[str]] = {}
        named = []
        for line in lines:
            word, _, rest = line.partition(" ")
            if re.fullmatch("[0-9a-f]{64}", word):
                size, _, name = rest.partition(" ")
                content = self.zip.read(name)
                assert (hashlib.sha256(content).hexdigest(), len(content)) == (word, int(size)), name
                named.append(name)
            else:
                told.setdefault(word, []).append(rest)
        assert [*named, "manifest"] == self.names
        return told

    def sheets(self) -> dict[str, list[list[str]]]:
        """Every sheet of the workbook; a cell that computes anything is an error."""
        book = zipfile.ZipFile(io.BytesIO(self.zip.read("consents.xlsx")))
        named = ET.fromstring(book.read("xl/workbook.xml")).iter(f"{SHEET}sheet")  # noqa: S314 - our own
        return {
            sheet.attrib["name"]: _rows(book.read(f"xl/worksheets/sheet{number}.xml"))
            for number, sheet in enumerate(named, start=1)
        }


def _rows(sheet: bytes) -> list[list[str]]:
    root = ET.fromstring(sheet)  # noqa: S314 - our own
    assert not list(root.iter(f"{SHEET}f")), "a cell is a formula"
    return [
        ["".join(text.text or "" for text in cell.iter(f"{SHEET}t")) for cell in row.iter(f"{SHEET}c")]
        for row in root.iter(f"{SHEET}row")
    ]


def exported(
    clinic_id: UUID,
    *,
    now: datetime,
    forms: Collection[Form] = (Form.CSV,),
    language: Language = Language.ENGLISH,
    actor: Actor | None = None,
    **selected: Any,
) -> Export:
    file = io.BytesIO()
    export_consents(
        file,
        clinic_id=clinic_id,
        selection=Selection(**selected),
        forms=forms,
        language=language,
        actor=actor or system_actor(),
        now=now,
    )
    return Export(file.getvalue())
