"""A sealed value shows nothing, opens in its own place under an entry only, and is never compared or searched."""

# ruff: noqa: PT012, SLF001 - whole blocks refused, rows seen from inside

import copy
import io
import json
import logging
import pickle
import traceback
from datetime import UTC, datetime

import orjson
import pytest
from django.core import serializers
from django.db import connection, models, transaction
from django.db.models import F
from django.template import Context, Engine

from backend.audit.actions import Action
from backend.audit.actors import system_actor
from backend.audit.keys import destroy_subject_keys
from backend.audit.models import DataKey
from backend.audit.recording import record
from backend.patients.models import ContactPoint, Patient
from backend.vault.ciphers import Tampered, encrypt
from backend.vault.fields import (
    CLOSED,
    SHREDDED,
    Blob,
    NotRecorded,
    Sealed,
    SealedField,
    ValueShredded,
)
from backend.vault.identifiers import new_id
from backend.vault.keyring import KeyUnavailable, keyring

NAME = "Quibbler"


class Unwell(Exception):
    """Something went wrong inside a block."""


def stored(identifier: object, column: str = "family_name") -> bytes:
    """What really stands in the database."""
    with connection.cursor() as cursor:
        key = str(identifier) if connection.vendor == "postgresql" else str(identifier).replace("-", "")
        cursor.execute(f"SELECT {column} FROM patients_patient WHERE id = %s", [key])  # noqa: S608 - our own column
        (value,) = cursor.fetchone()
    return bytes(value)


def with_blob(row: Patient, blob: bytes, column: str = "family_name") -> Sealed:
    """What stood in one place, put in another without asking anybody."""
    setattr(row, column, Blob(blob))
    sealed = getattr(row, column)
    assert isinstance(sealed, Sealed)
    return sealed


# ------------------------------------------------------------------------------------------------- there and back


def test_what_was_sealed_is_revealed_under_an_entry(row, looking):
    with looking(row.id) as entry:
        assert row.family_name.reveal(entry) == NAME
        assert row.given_names.reveal_data(entry) == ["Ottokar", "Maria"]
        assert row.birth_date.open(entry) == "1980-05-17"
        assert row.address.reveal_data(entry)["city"] == "Exempleville"


def test_the_entry_is_good_after_its_block_too(row, looking):
    with looking(row.id) as entry:
        pass

    assert row.family_name.reveal(entry) == NAME


def test_nothing_is_text_that_is_not(row, looking):
    with looking(row.id) as entry, pytest.raises(TypeError, match="reveal_data"):
        row.given_names.reveal(entry)


def test_a_value_that_is_not_there_is_none(row, looking):
    with looking(row.id):
        row.family_name = None
        row.save()

    assert Patient.objects.get(id=row.id).family_name is None
    assert Patient.objects.filter(family_name__isnull=True).count() == 1


@pytest.mark.parametrize("value", ["", "0", "Zoë 😂", [], {}, 0, False, {"deep": [1, "two", None]}])
def test_every_kind_of_value_comes_back(row, looking, value):
    with looking(row.id) as entry:
        row.family_name = value
        row.save()
        assert Patient.objects.get(id=row.id).family_name.open(entry) == value


def test_a_value_can_be_revealed_before_it_was_saved_but_not_without_an_entry(row, looking):
    row.family_name = "Unsaved"
    assert row.family_name.key_id is None
    with looking(row.id) as entry:
        assert row.family_name.reveal(entry) == "Unsaved"
    with pytest.raises(NotRecorded), looking(new_neighbour(row)) as other:
        row.family_name.reveal(other)


def new_neighbour(row: Patient):
    from tests.factories.patients import make_patient  # noqa: PLC0415 - used once

    return make_patient(row.clinic_id, now=row.created_at, reachable=False).id


def test_saving_twice_does_not_seal_what_is_sealed(row, looking):
    with looking(row.id) as entry:
        row.family_name = "Once"
        row.save()
        first = stored(row.id)
        row.save()
        assert stored(row.id) == first
        assert row.family_name.reveal(entry) == "Once"


def test_the_same_name_is_never_sealed_alike(row, looking):
    blobs = set()
    with looking(row.id):
        for _ in range(5):
            row.family_name = NAME
            row.save(update_fields=["family_name"])
            blobs.add(stored(row.id))

    assert len(blobs) == 5


def test_bulk_create_seals_as_save_does(somebody, clinic, looking, now):
    rows = [
        ContactPoint(
            clinic_id=clinic.id,
            patient_id=somebody.id,
            kind="email",
            value=f"{index}@example.org",
            value_index=bytes([index]),
            status="unverified",
            created_at=now,
        )
        for index in range(3)
    ]
    with looking(somebody.id) as entry:
        ContactPoint.objects.bulk_create(rows)
        found = ContactPoint.objects.filter(value_index__in=[b"\x00", b"\x01", b"\x02"]).order_by("value_index")
        assert [point.value.reveal(entry) for point in found] == [f"{index}@example.org" for index in range(3)]

    with connection.cursor() as cursor:
        cursor.execute("SELECT value FROM patients_contact_point")
        assert not [value for (value,) in cursor.fetchall() if b"example.org" in bytes(value)]


# ------------------------------------------------------------------------------------------------------ only recorded


def test_another_patients_entry_reveals_nothing(row, neighbour, looking):
    with looking(neighbour.id) as entry, pytest.raises(NotRecorded):
        row.family_name.reveal(entry)


def test_another_clinics_entry_reveals_nothing(row, elsewhere, now):
    with (
        record(
            Action.PATIENTS_LISTED,
            by=system_actor(),
            now=now,
            clinic_id=elsewhere.id,
            whole_clinic=True,
            reason="care",
            count=1,
        ) as entry,
        pytest.raises(NotRecorded),
    ):
        row.family_name.reveal(entry)


def test_an_entry_that_was_rolled_back_reveals_nothing(row, looking):
    with pytest.raises(Unwell), looking(row.id) as entry:
        raise Unwell

    with pytest.raises(NotRecorded):
        row.family_name.reveal(entry)


def test_an_entry_whose_outer_transaction_was_rolled_back_reveals_nothing(row, looking):
    with pytest.raises(Unwell), transaction.atomic(), looking(row.id) as entry:
        raise Unwell

    with pytest.raises(NotRecorded):
        row.family_name.reveal(entry)


def test_no_entry_reveals_nothing(row):
    with pytest.raises(AttributeError):
        row.family_name.reveal(None)
    with pytest.raises(TypeError):
        row.family_name.reveal()


# ------------------------------------------------------------------------------------------------------- nowhere else


def test_a_ciphertext_moved_to_another_row_is_refused(row, neighbour, looking):
    other = Patient.objects.get(id=neighbour.id)
    with looking(neighbour.id) as entry, pytest.raises(Tampered):
        with_blob(other, stored(row.id)).reveal(entry)


def test_a_ciphertext_moved_to_another_column_is_refused(row, looking):
    with looking(row.id) as entry, pytest.raises(Tampered):
        with_blob(row, stored(row.id, "birth_date")).reveal(entry)


def test_a_ciphertext_moved_in_the_database_is_refused(row, looking):
    with looking(row.id) as entry:
        Patient.objects.filter(id=row.id).update(family_name=F("birth_date"))
        with pytest.raises(Tampered):
            Patient.objects.get(id=row.id).family_name.reveal(entry)


def test_a_ciphertext_moved_to_another_clinic_is_refused(row, elsewhere, now):
    row.clinic_id = elsewhere.id
    with (
        record(
            Action.PATIENTS_LISTED,
            by=system_actor(),
            now=now,
            clinic_id=elsewhere.id,
            whole_clinic=True,
            reason="care",
            count=1,
        ) as entry,
        pytest.raises(Tampered),
    ):
        row.family_name.reveal(entry)


def test_a_ciphertext_moved_to_another_table_is_refused(row, looking):
    class Copied(models.Model):
        id = models.UUIDField(primary_key=True)
        clinic_id = models.UUIDField()
        family_name = SealedField()
        sealing_subject = property(lambda self: self.id)

        class Meta:
            app_label = "scratch"

    copied = Copied(id=row.id, clinic_id=row.clinic_id)
    copied.family_name = Blob(stored(row.id))
    with looking(row.id) as entry, pytest.raises(Tampered):
        copied.family_name.reveal(entry)


def test_every_single_flipped_byte_is_refused(row, looking):
    blob = stored(row.id)
    with looking(row.id) as entry:
        for place in range(len(blob)):
            changed = blob[:place] + bytes([blob[place] ^ 1]) + blob[place + 1 :]
            # A changed key id names a key that never was; everything else fails to authenticate.
            with pytest.raises(KeyUnavailable if 1 <= place < 17 else Tampered):
                with_blob(row, changed).reveal(entry)
            with pytest.raises((KeyUnavailable, Tampered)):
                with_blob(row, blob[:place]).reveal(entry)
        assert with_blob(row, blob).reveal(entry) == NAME


def test_a_value_under_a_neighbours_key_is_refused(row, neighbour, looking):
    """Whoever can write ciphertext under one key still can not pass it off as another patient's."""
    key = keyring().by_id(Blob(stored(neighbour.id)).key_id)
    forged = b"\x01" + key.key_id.bytes + encrypt(key.cipher, plain=b'"Forged"', bound=b"")
    with looking(row.id) as entry, pytest.raises(Tampered):
        with_blob(row, forged).reveal(entry)


@pytest.mark.parametrize("where", ["in memory", "in the database"])
def test_a_row_that_was_given_to_another_patient_is_refused(somebody, neighbour, looking, where):
    point = ContactPoint.objects.filter(patient_id=somebody.id).first()
    assert point is not None
    with looking(neighbour.id) as entry:
        if where == "in memory":
            point.patient_id = neighbour.id
        else:
            ContactPoint.objects.filter(id=point.id).update(patient_id=neighbour.id)
            point = ContactPoint.objects.get(id=point.id)
        with pytest.raises(Tampered):
            point.value.reveal(entry)


def test_the_copy_of_a_row_is_refused_before_it_is_stored(row, looking):
    twin = copy.copy(Patient.objects.get(id=row.id))
    twin.pk = new_id()
    twin._state.adding = True
    with pytest.raises(Tampered), looking(row.id):
        twin.save(force_insert=True)

    assert Patient.objects.count() == 1


def test_a_row_whose_first_saving_was_rolled_back_is_saved_again(somebody, clinic, looking, now):
    point = ContactPoint(
        clinic_id=clinic.id,
        patient_id=somebody.id,
        kind="email",
        value="again@example.org",
        value_index=b"again",
        status="unverified",
        created_at=now,
    )
    with pytest.raises(Unwell), looking(somebody.id):
        point.save(force_insert=True)
        raise Unwell
    with looking(somebody.id) as entry:
        point.save(force_insert=True)
        assert ContactPoint.objects.get(id=point.id).value.reveal(entry) == "again@example.org"


# ----------------------------------------------------------------------------------------------------------- shredded


def test_a_destroyed_key_leaves_a_mark_and_never_text(row, somebody, clinic, looking, now):
    with looking(row.id) as entry:
        assert row.family_name.reveal(entry) == NAME
    destroy_subject_keys(
        subject_id=somebody.id, clinic_id=clinic.id, reason="erasure_request", actor=system_actor(), now=now
    )

    # The very process that had the key in use a moment ago.
    again = Patient.objects.get(id=row.id)
    for sealed in (row.family_name, again.family_name, again.given_names):
        assert sealed.open(entry) is SHREDDED
        with pytest.raises(ValueShredded):
            sealed.reveal(entry)
        with pytest.raises(ValueShredded):
            sealed.reveal_data(entry)
    assert repr(SHREDDED) == "<shredded>"


def test_nothing_new_is_sealed_for_somebody_whose_keys_were_destroyed(row, somebody, clinic, now):
    destroy_subject_keys(
        subject_id=somebody.id, clinic_id=clinic.id, reason="erasure_request", actor=system_actor(), now=now
    )
    row.family_name = "Back again"
    with (
        pytest.raises(KeyUnavailable),
        record(Action.CONSENTS_READ, by=system_actor(), now=now, clinic_id=clinic.id),
    ):
        row.save()


def test_a_key_that_is_lost_is_not_a_key_that_was_destroyed(row, looking):
    lost = Blob(b"\x01" + new_id().bytes + stored(row.id)[17:])
    with looking(row.id) as entry, pytest.raises(KeyUnavailable):
        with_blob(row, lost).open(entry)


def test_each_patient_has_a_key_for_the_profile_and_another_for_the_log(somebody, neighbour):
    keys = DataKey.objects.filter(subject_id__in=[somebody.id, neighbour.id])

    assert sorted(keys.values_list("scope", flat=True)) == ["audit", "audit", "profile", "profile"]
    assert len(set(keys.values_list("id", flat=True))) == 4


# ----------------------------------------------------------------------------------------------- nothing is shown


def shown(value: object) -> list[str]:
    """Every way in which something ends up as text."""
    stream = io.StringIO()
    logger = logging.getLogger("tests.vault")
    logger.propagate = False
    logger.handlers = [logging.StreamHandler(stream)]
    logger.warning("%s", value)
    logger.warning("%r", value)
    logger.warning(value)
    return [
        str(value),
        repr(value),
        f"{value}",
        f"{value!r:>30}",
        f"{value:>30}" if isinstance(value, Sealed) else "",
        "{}".format(value),  # noqa: UP032 - the old ways are tried as well
        "%s %r" % (value, value),  # noqa: UP031 - the old ways are tried as well
        repr([value, {"key": value}]),
        json.dumps({"value": value}, default=str),
        orjson.dumps({"value": [value]}, default=repr).decode(),
        ascii(value),
        stream.getvalue(),
    ]


@pytest.mark.parametrize("state", ["loaded", "set and not saved", "ciphertext"])
def test_a_sealed_value_shows_nothing(row, state):
    blob = stored(row.id)
    if state == "set and not saved":
        row.family_name = NAME
    value = row.__dict__["family_name"] if state == "ciphertext" else row.family_name
    for text in shown(value):
        assert NAME not in text
        assert "Quib" not in text
        assert blob[20:40].hex() not in text
        assert repr(blob[20:24])[2:-1] not in text
    assert str(value) == CLOSED == repr(value)


def test_a_row_shows_nothing(row):
    row.family_name = NAME
    for value in (row, row.__dict__, vars(row), [row], Patient.objects.all(), Patient.objects.values()):
        assert NAME not in f"{value} {value!r}"


def test_json_refuses_a_sealed_value(row):
    with pytest.raises(TypeError):
        json.dumps(row.family_name)
    with pytest.raises(TypeError):
        orjson.dumps(row.family_name)


def test_a_traceback_shows_nothing(row):
    row.family_name = NAME

    def inner() -> None:
        held, local = row.family_name, row
        raise ValueError(held, local)

    try:
        inner()
    except ValueError as error:
        lines = traceback.TracebackException.from_exception(error, capture_locals=True).format()
        text = "".join(lines)
    assert CLOSED in text
    # The name that the test itself holds is in its own frame only.
    assert NAME not in text.replace("NAME", "")


def test_a_page_shows_nothing(row):
    row.family_name = NAME
    page = Engine().from_string("{{ row.family_name }}|{{ row.family_name|upper }}|{{ row.given_names|join:'-' }}")

    assert NAME.upper() not in page.render(Context({"row": row})).upper()


def test_a_sealed_value_has_no_truth_and_no_equal(row):
    for attempt in (
        lambda: bool(row.family_name),
        lambda: row.family_name == NAME,
        lambda: row.family_name != NAME,
        lambda: row.family_name in [NAME, NAME.lower()],
        lambda: row.family_name == row.family_name,
        lambda: {row.family_name},
        lambda: len(row.family_name),
        lambda: list(row.family_name),
    ):
        with pytest.raises(TypeError):
            attempt()


def test_a_sealed_value_is_neither_pickled_nor_copied(row):
    row.family_name = NAME
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="neither copied nor pickled"):
            attempt(row.family_name)
    with pytest.raises(TypeError, match="neither copied nor pickled"):
        pickle.dumps(row)


def test_a_loaded_row_is_pickled_as_ciphertext(row, looking):
    again = pickle.loads(pickle.dumps(row))  # noqa: S301 - our own bytes

    assert NAME.encode() not in pickle.dumps(row)
    with looking(row.id) as entry:
        assert again.family_name.reveal(entry) == NAME


def test_rows_are_not_serialised(row):
    for language in ("json", "python", "xml"):
        with pytest.raises(TypeError, match="not serialised"):
            serializers.serialize(language, [row])


# ------------------------------------------------------------------------------------- searching, loading, moving

LOOKUPS = {
    "family_name": NAME,
    "family_name__in": [NAME],
    "family_name__contains": NAME,
    "family_name__icontains": NAME,
    "family_name__startswith": NAME,
    "family_name__regex": NAME,
    "family_name__gt": NAME,
    "family_name__range": (NAME, NAME),
    "family_name__iexact": NAME,
}


@pytest.mark.parametrize(("lookup", "value"), LOOKUPS.items(), ids=LOOKUPS.keys())
def test_a_sealed_column_is_not_searched(row, lookup, value):
    for search in (
        lambda: Patient.objects.filter(**{lookup: value}),
        lambda: Patient.objects.exclude(**{lookup: value}),
        lambda: ContactPoint.objects.filter(**{f"patient__{lookup}": value}),
    ):
        with pytest.raises(TypeError, match="sealed") as refused:
            list(search())
        assert NAME not in str(refused.value)


@pytest.mark.parametrize("write", ["update", "get_or_create"])
def test_a_sealed_column_is_not_set_by_a_query(row, looking, write):
    with looking(row.id), pytest.raises(TypeError, match="sealed") as refused:
        getattr(Patient.objects, write)(family_name=NAME)
    assert NAME not in str(refused.value)


def test_a_sealed_value_is_not_written_past_its_row(row, looking):
    row.family_name = NAME
    with looking(row.id), pytest.raises(TypeError, match="sealed"):
        Patient.objects.bulk_update([row], ["family_name"])


@pytest.mark.parametrize("asked", ["only", "defer"])
def test_a_value_that_was_left_out_is_loaded_when_it_is_asked_for(somebody, looking, asked):
    found = Patient.objects.only("id") if asked == "only" else Patient.objects.defer("family_name")
    row = found.get(id=somebody.id)
    assert "family_name" in row.get_deferred_fields()

    with looking(somebody.id) as entry:
        assert row.family_name.reveal(entry) == NAME


def test_saving_a_row_with_values_left_out_leaves_them_as_they_are(somebody, looking):
    row = Patient.objects.defer("family_name").get(id=somebody.id)
    row.is_active = False
    with looking(somebody.id) as entry:
        row.save()
        assert Patient.objects.get(id=somebody.id).family_name.reveal(entry) == NAME


def test_a_row_is_loaded_again(row, looking):
    with looking(row.id) as entry:
        row.family_name = "Never saved"
        row.refresh_from_db()
        assert row.family_name.reveal(entry) == NAME
        row.given_names = ["Never saved"]
        row.refresh_from_db(fields=["given_names"])
        assert row.given_names.reveal_data(entry) == ["Ottokar", "Maria"]


def test_a_value_belongs_to_its_row_and_column(row, neighbour):
    other = Patient.objects.get(id=neighbour.id)
    with pytest.raises(TypeError, match="belongs to its row"):
        other.family_name = row.family_name
    with pytest.raises(TypeError, match="belongs to its row"):
        Patient(clinic_id=row.clinic_id, family_name=row.family_name)
    with pytest.raises(TypeError, match="belongs to its column"):
        row.family_name = row.birth_date


def test_a_value_is_handed_to_another_copy_of_its_row(row, looking):
    again = Patient.objects.get(id=row.id)
    row.family_name = "New"
    again.family_name = row.family_name
    with looking(row.id) as entry:
        again.save()
        assert Patient.objects.get(id=row.id).family_name.reveal(entry) == "New"


@pytest.mark.parametrize("value", [object(), {1, 2}, F("given_names"), b"bytes"])
def test_what_is_no_json_is_not_sealed(row, looking, value):
    row.family_name = value
    with pytest.raises(TypeError), looking(row.id):
        row.save()


def test_a_date_comes_back_as_text(row, looking):
    row.birth_date = datetime(1953, 2, 27, tzinfo=UTC).date()
    with looking(row.id) as entry:
        row.save()
        assert Patient.objects.get(id=row.id).birth_date.reveal(entry) == "1953-02-27"


def test_migrations_know_the_field():
    field = Patient._meta.get_field("family_name")
    _name, path, args, options = field.deconstruct()

    assert path == "backend.vault.fields.SealedField"
    assert SealedField(*args, **options).null
