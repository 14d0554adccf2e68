"""Nothing that names or reaches a patient stands in the database as it was given, in whatever encoding."""

# ruff: noqa: S608 - SQL is put together here

import base64
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from django.db import connection

from backend.patients.models import Patient
from tests.factories.clinics import make_clinic
from tests.factories.patients import make_appointment, make_patient

# Words that stand nowhere else, and nothing that a random byte string would hold by chance.
GIVEN = {
    "family name": "Zwölfenstein-Quibbler",
    "given name": "Ottokarius",
    "telephone": "+33639998877",
    "e-mail": "ottokarius.zwolfenstein@example.org",
    "birth date": "1953-02-27",
}


def spellings(value: str) -> Iterator[bytes]:
    """A value in the ways in which it could stand somewhere."""
    digits = value.replace("+33", "0").replace("-", "")
    for text in {value, value.lower(), value.upper(), value.lstrip("+"), digits}:
        for encoding in ("utf-8", "utf-16-le", "utf-16-be", "latin-1"):
            raw = text.encode(encoding)
            yield raw
            yield raw.hex().encode()
            yield raw.hex().upper().encode()
        yield base64.b64encode(text.encode()).rstrip(b"=")[:-1]


def found_in(content: bytes) -> list[str]:
    return [name for name, value in GIVEN.items() if any(spelling in content for spelling in spellings(value))]


@pytest.fixture
def known(transactional_db, now):
    """A patient with everything that is known of one, and an appointment."""
    clinic = make_clinic("lindens", now=now)
    patient = make_patient(
        clinic.id,
        now=now,
        family_name=GIVEN["family name"],
        given_names=(GIVEN["given name"],),
        birth_date=date.fromisoformat(GIVEN["birth date"]),
        phone=GIVEN["telephone"],
        email=GIVEN["e-mail"],
    )
    make_appointment(patient, starts_at=now + timedelta(days=3), now=now)
    return patient


def everything() -> bytes:
    """Each value of each row of each table, binary ones as they are; on SQLite the files themselves."""
    if connection.vendor == "sqlite":
        path = Path(str(connection.settings_dict["NAME"]))
        files = [path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")]
        assert path.exists()
        return b"".join(file.read_bytes() for file in files if file.exists())
    content: list[bytes] = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            for row in cursor.fetchall():
                content += [bytes(v) if isinstance(v, bytes | memoryview) else str(v).encode() for v in row]
            cursor.execute(f'SELECT t::text FROM "{table}" t')
            content += [line.encode() for (line,) in cursor.fetchall()]
    return b"\n".join(content)


def test_nothing_personal_stands_in_the_database(known):
    content = everything()

    assert Patient.objects.filter(id=known.id).exists()
    # The search itself works: what is public about the clinic is found, and so is the patient's row.
    assert b"Clinique Lindens" in content
    assert (known.id.hex.encode() in content) or (str(known.id).encode() in content)
    assert found_in(content) == []


@pytest.mark.parametrize("value", GIVEN.values(), ids=GIVEN.keys())
def test_the_search_would_find_it(value):
    assert found_in(b"..." + value.encode() + b"...")
    assert found_in(value.encode("utf-16-le"))
    assert found_in(value.encode().hex().encode())
    assert found_in(base64.b64encode(value.encode()))
