"""Letters as they are printed: one tagged PDF (PDF/UA-1), a new sheet for each, for window envelopes."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from babel.dates import format_date

from backend.clinics.queries import ClinicFacts
from backend.policy.vocabulary import Language

TYPST: Final = Path(__file__).parent / "documents" / "letter.typ"
ACCESSIBLE: Final = "ua-1"
REGION: Final = {Language.FRENCH: "FR", Language.ENGLISH: "GB"}
LOCALE: Final = {Language.FRENCH: "fr_FR", Language.ENGLISH: "en_GB"}
TITLE: Final = "Courriers / Letters"
WAY_OUT: Final = {
    Language.FRENCH: (
        "Vous ne souhaitez plus recevoir ces courriers\N{NO-BREAK SPACE}? Dites-le à l’accueil, "
        "appelez le {telephone}, ou ouvrez cette adresse\N{NO-BREAK SPACE}:"
    ),
    Language.ENGLISH: ("You no longer want these letters? Say so at the desk, call {telephone}, or open this address:"),
}


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Letter:
    """One letter: to whom, what it says, and the address that stops letters like it."""

    language: Language
    to: tuple[str, ...]
    subject: str
    text: str
    large_print: bool
    link: str


def letters_as_pdf(letters: Sequence[Letter], *, clinic: ClinicFacts, now: datetime) -> bytes:
    """Write them; the same letters of the same day give the same bytes."""
    # A compiled module of 80 MB: loaded by those who print something, and by nobody else.
    import typst  # noqa: PLC0415 - see above

    day = now.astimezone(ZoneInfo(clinic.time_zone)).date()
    # A number is not broken over two lines.
    telephone = clinic.telephone.replace(" ", "\N{NO-BREAK SPACE}")
    data = {
        "title": TITLE,
        "clinic": {"name": clinic.name, "address": clinic.address, "telephone": telephone},
        "letters": [
            {
                "language": letter.language.value,
                "region": REGION[letter.language],
                "to": list(letter.to),
                "day": format_date(day, "long", locale=LOCALE[letter.language]),
                "subject": letter.subject,
                "paragraphs": [part.split("\n") for part in letter.text.split("\n\n") if part.strip()],
                "large_print": letter.large_print,
                "way_out": WAY_OUT[letter.language].format(telephone=telephone),
                "link": letter.link,
            }
            for letter in letters
        ],
    }
    written: bytes = typst.compile(
        str(TYPST),
        root=str(TYPST.parent),
        ignore_system_fonts=True,
        format="pdf",
        sys_inputs={"letters": json.dumps(data)},
        pdf_standards=[ACCESSIBLE],
    )
    return written
