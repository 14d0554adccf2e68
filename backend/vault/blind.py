"""Finding an equal value without reading any: a keyed hash per clinic and kind of value.

Its only protection is the key (a phone number is quickly guessed), so the key belongs to one clinic and never leaves
the process. An index outlives no erasure: it is deleted with the row, but for the suppression list, whose purpose is
to outlive it. Nothing about health is ever indexed.
"""

import unicodedata
from enum import StrEnum
from functools import lru_cache
from uuid import UUID

from backend.vault.ciphers import derive, mac
from backend.vault.keyring import Scope, keyring

INDEX_BYTES = 16


class Indexed(StrEnum):
    """What is indexed, and under which version of its normal form."""

    PHONE = "phone|v1"
    EMAIL = "email|v1"
    DEVICE = "device|v1"
    FAMILY_NAME = "family_name|v1"
    IDENTIFIER = "identifier|v1"
    SOURCE = "source|v1"
    CODE = "code|v1"
    SUPPRESSED = "suppressed|v1"
    LINK = "link|v1"
    QUESTION = "question|v1"
    POSTAL = "postal|v1"


def blind_index(kind: Indexed, value: str, *, clinic_id: UUID) -> bytes:
    """Sixteen bytes that are equal exactly when the normal forms are, within one clinic."""
    root = keyring().current(clinic_id=clinic_id, scope=Scope.BLIND_INDEX)
    return mac(_derived(root.secret, kind), normal_form(kind, value).encode())[:INDEX_BYTES]


def normal_form(kind: Indexed, value: str) -> str:
    """The form in which two values count as equal: case and accents aside for names, case aside for e-mail."""
    composed = unicodedata.normalize("NFKC", value).strip()
    if kind is Indexed.EMAIL:
        return composed.lower()
    if kind is Indexed.FAMILY_NAME:
        folded = unicodedata.normalize("NFKD", composed.casefold())
        return "".join(letter for letter in folded if letter.isalnum())
    return composed


@lru_cache(maxsize=1024)
def _derived(root: bytes, kind: Indexed) -> bytes:
    return derive(root, purpose=f"bi-v1|{kind}")
