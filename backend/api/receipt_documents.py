"""A receipt as it is read: a page without a script, and a tagged PDF (PDF/UA-1) whose text can be selected."""

import dataclasses
import json
from pathlib import Path
from typing import Final

from django.template.loader import render_to_string

from backend.api.receipt_words import Readable

TYPST: Final = Path(__file__).parent / "documents" / "receipt.typ"
ACCESSIBLE: Final = "ua-1"
REGION: Final = {"fr": "FR", "en": "GB"}


def as_page(told: Readable) -> bytes:
    """HTML in the frame of the patients' pages. It was asked for with a token, so it links to no other such page."""
    frame = {
        "language": told.language,
        "title": told.labels["title"],
        "clinic": told.clinic,
        "telephone": told.telephone,
    }
    return render_to_string("portal/receipt.html", {**frame, "told": told, "words": told.labels}).encode()


def as_pdf(told: Readable) -> bytes:
    """A PDF of one or two sheets; the same receipt gives the same bytes."""
    # A compiled module of 80 MB: loaded by those who print something, and by nobody else.
    import typst  # noqa: PLC0415 - see above

    data = {**dataclasses.asdict(told), "region": REGION[told.language]}
    written: bytes = typst.compile(
        str(TYPST),
        root=str(TYPST.parent),
        ignore_system_fonts=True,
        format="pdf",
        sys_inputs={"receipt": json.dumps(data)},
        pdf_standards=[ACCESSIBLE],
    )
    return written
