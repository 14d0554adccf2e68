"""An import takes over what a source knows: batch by batch, whole or not at all, and the same again changes nothing."""

from datetime import UTC, date, datetime, timedelta

import pytest

from backend.audit.actions import Action
from backend.audit.actors import system_actor
from backend.audit.keys import destroy_subject_keys
from backend.audit.models import DataKey
from backend.audit.recording import record
from backend.patients.models import (
    ContactKind,
    ContactPoint,
    ImportRun,
    Occasion,
    Patient,
    PatientIdentifier,
    Representative,
)
from backend.patients.operations import (
    ImportRow,
    RowOutcome,
    add_contact_point,
    attest_contact_point,
    import_records,
    remove_contact_point,
)
from backend.patients.operations.importing import BATCH
from backend.patients.queries import find_patient_by_identifier, reveal_contact_values, reveal_profiles
from backend.patients.sources.reasons import Why
from backend.patients.sources.records import Problem, Reference, Where
from backend.policy.vocabulary import Language
from tests.conftest import DAY, HOUR
from tests.factories.background import all_at_once
from tests.factories.log import actions_recorded
from tests.factories.patients import IPP
from tests.factories.records import appointment, email, mother, patient, phone

ACTOR = system_actor("import")


@pytest.fixture
def take(northgate, now):
    """Imports records, and tells what came of each row."""

    def take(*records, at=now, clinic=northgate):
        rows: list[ImportRow] = []
        import_records(
            clinic_id=clinic.id, records=list(records), source="test", actor=ACTOR, now=at, on_row=rows.append
        )
        return [row.outcome.value if row.outcome is not RowOutcome.REFUSED else row.reason for row in rows]

    return take


def found(clinic, name):
    return find_patient_by_identifier(clinic_id=clinic.id, system=IPP, value=name)


def profile(clinic, patient_id, now):
    with record(Action.PATIENT_READ, by=ACTOR, now=now, clinic_id=clinic.id, about=patient_id, reason="test") as entry:
        return reveal_profiles([patient_id], entry=entry)[patient_id]


def points_of(patient_id, now):
    """The values that stand, with their state; how the clinic would see them."""
    rows = {row.id: row for row in ContactPoint.objects.filter(patient_id=patient_id, ended_at=None)}
    clinic_id = Patient.objects.get(id=patient_id).clinic_id
    with record(Action.PATIENT_READ, by=ACTOR, now=now, clinic_id=clinic_id, about=patient_id, reason="test") as entry:
        values = reveal_contact_values(rows, entry=entry)
    return {values[one]: rows[one] for one in rows}


# -------------------------------------------------------------------------------------------------- created, again


def test_a_patient_comes_in_once_and_the_same_line_again_changes_nothing(northgate, take, now):
    line = patient("1")

    assert take(line) == ["created"]
    before = list(Patient.objects.values_list())
    assert take(line, at=now + DAY) == ["unchanged"]
    assert list(Patient.objects.values_list()) == before
    assert Patient.objects.in_clinic(northgate.id).count() == 1
    assert set(points_of(found(northgate, "1"), now)) == {"+33639980001", "somebody@example.org"}


def test_what_changed_is_taken_over(northgate, take, now):
    take(patient("1"))
    one = found(northgate, "1")

    assert take(patient("1", family_name="Nouveau", language=Language.ENGLISH), at=now + DAY) == ["updated"]
    row = Patient.objects.get()
    assert (row.id, row.language, row.created_at, row.updated_at) == (one, "en", now, now + DAY)
    assert profile(northgate, one, now).family_name == "Nouveau"


def test_each_patient_gets_keys_of_their_own(northgate, take):
    take(patient("1"), patient("2"))

    keys = DataKey.objects.filter(clinic_id=northgate.id, subject_id__isnull=False)
    assert sorted(keys.values_list("subject_id", "scope")) == sorted(
        (found(northgate, name), scope) for name in ("1", "2") for scope in ("profile", "audit")
    )


def test_an_import_is_counted_and_recorded(northgate, take, now):
    problem = Problem(where=Where(file="f", line=9), field="name", reason=Why.PATIENT_REFUSED, kind="refused")
    outcomes = take(patient("1"), problem, patient("1", line=2, city="Autre"), appointment("nobody"))

    assert sorted(outcomes) == sorted(["created", "record_twice", "patient_refused", "patient_unknown"])
    run = ImportRun.objects.latest("started_at")
    assert (run.created, run.updated, run.unchanged, run.refused, run.finished_at) == (1, 0, 0, 3, now)
    recorded = actions_recorded(northgate.id)
    assert recorded[Action.IMPORT_STARTED] == recorded[Action.IMPORT_FINISHED] == 1
    assert recorded[Action.PATIENT_CREATED] == 1


def test_a_problem_of_the_source_is_a_line_of_the_report(northgate, now):
    rows: list[ImportRow] = []
    where = Where(file="Patient.ndjson", line=4)
    import_records(
        clinic_id=northgate.id,
        records=[Problem(where=where, field="telecom[0].value", reason=Why.PHONE_NOT_VALID, kind="unusable")],
        source="test",
        actor=ACTOR,
        now=now,
        on_row=rows.append,
    )

    assert rows == [
        ImportRow(where=where, outcome=RowOutcome.UNUSABLE, field="telecom[0].value", reason=Why.PHONE_NOT_VALID)
    ]


def test_nothing_at_all_is_an_import_too(northgate, take):
    assert take() == []
    assert ImportRun.objects.get().finished_at is not None


# ------------------------------------------------------------------------------------------------- who is who


def test_a_patient_twice_in_one_file_is_taken_over_once(northgate, take):
    assert take(patient("1"), patient("1", line=2)) == ["record_twice", "created"]
    assert Patient.objects.count() == 1


def test_any_of_several_identifiers_is_enough(northgate, take):
    take(patient("1", "2"))

    assert take(patient("2", "3", city="Autre")) == ["updated"]
    assert found(northgate, "1") == found(northgate, "3")


def test_the_identifiers_of_two_patients_on_one_line_are_refused(northgate, take):
    take(patient("1"), patient("2"))
    before = sorted(PatientIdentifier.objects.values_list("patient_id", "value_index"))

    assert take(patient("1", "2", "3")) == ["patient_ambiguous"]
    assert sorted(PatientIdentifier.objects.values_list("patient_id", "value_index")) == before


def test_without_identifiers_the_id_of_the_source_recognises_a_patient(northgate, take):
    assert take(patient(source_id="abc")) == ["created"]
    assert take(patient(source_id="abc", city="Autre")) == ["updated"]
    assert take(patient(source_id="abd")) == ["created"]


def test_the_same_identifier_in_another_clinic_is_somebody_else(northgate, southbank, take):
    take(patient("1"))

    assert take(patient("1"), clinic=southbank) == ["created"]
    assert found(northgate, "1") != found(southbank, "1")


# --------------------------------------------------------------------------------------------- death and erasure


def test_death_is_noted_once_and_for_all(northgate, take, now):
    take(patient("1", deceased=True, deceased_at=date(2026, 3, 1)))
    take(patient("1", city="Autre", deceased=False))

    row = Patient.objects.get()
    assert (row.is_deceased, row.deceased_at) == (True, datetime(2026, 3, 1, tzinfo=UTC))
    assert actions_recorded(northgate.id)[Action.PATIENT_DECEASED] == 1


def test_a_death_that_is_learnt_later_is_recorded_once(northgate, take):
    take(patient("1"))
    take(patient("1", deceased=True))
    take(patient("1", deceased=True, city="Autre"))

    assert Patient.objects.get().is_deceased
    assert actions_recorded(northgate.id)[Action.PATIENT_DECEASED] == 1


def erase(clinic, patient_id, now):
    destroy_subject_keys(subject_id=patient_id, clinic_id=clinic.id, reason="erasure", actor=ACTOR, now=now)
    with record(Action.KEY_DESTROYED, by=ACTOR, now=now, clinic_id=clinic.id, keys=[], reason="erasure"):
        Patient.objects.filter(id=patient_id).update(erased_at=now)


def test_who_was_erased_does_not_come_back(northgate, take, now):
    take(patient("1"), appointment("1", starts_at=now))
    erase(northgate, found(northgate, "1"), now)

    assert take(
        patient("1", city="Autre"),
        patient("2"),
        appointment("1", starts_at=now + HOUR),
        mother("1"),
        appointment("2", starts_at=now),
    ) == ["patient_refused", "created", "patient_unknown", "patient_unknown", "created"]
    assert Occasion.objects.get(patient_id=found(northgate, "1")).starts_at == now


def test_a_restriction_outlives_an_import(northgate, take, now):
    take(patient("1"))
    with record(
        Action.PATIENT_UPDATED, by=ACTOR, now=now, clinic_id=northgate.id, source="test", fields=["restricted"]
    ):
        Patient.objects.update(restricted_at=now)

    take(patient("1", city="Autre"))

    assert Patient.objects.get().restricted_at == now


# ------------------------------------------------------------------------------------------------ contact points


def attest(row, now):
    attest_contact_point(
        clinic_id=row.clinic_id,
        patient_id=row.patient_id,
        contact_point_id=row.id,
        how="seen_in_person",
        actor=ACTOR,
        now=now,
    )


def test_what_is_still_said_stays_verified_and_what_is_gone_ends(northgate, take, now):
    take(patient("1", telecoms=(phone("+33639980001"), phone("+33639980009"), email())))
    one = found(northgate, "1")
    for row in points_of(one, now).values():
        attest(row, now)

    take(patient("1", telecoms=(phone("+33639980001"), email("new@example.org"))), at=now + DAY)

    standing = {value: row.status for value, row in points_of(one, now).items()}
    assert standing == {"+33639980001": "attested", "new@example.org": "unverified"}
    assert set(ContactPoint.objects.exclude(ended_at=None).values_list("ended_at", flat=True)) == {now + DAY}


def test_a_number_that_can_not_be_used_is_kept_and_not_used(northgate, take, now):
    take(patient("1", telecoms=(phone("12", usable=False),)))

    row = points_of(found(northgate, "1"), now)["12"]
    assert (row.status, row.reason, row.takes_sms) == ("unusable", "phone_not_valid", False)


def test_a_number_that_was_put_right_is_to_be_verified(northgate, take, now):
    take(patient("1", telecoms=(phone("12", usable=False),)))
    take(patient("1", telecoms=(phone("+33639980003"),)))

    assert {value: row.status for value, row in points_of(found(northgate, "1"), now).items()} == {
        "+33639980003": "unverified"
    }


def test_the_rank_of_a_number_and_what_it_can_take_are_taken_over(northgate, take, now):
    take(patient("1", telecoms=(phone(mobile=False, rank=2), email())))
    before = points_of(found(northgate, "1"), now)["+33639980001"]
    take(patient("1", telecoms=(phone(mobile=True, rank=1), email())))

    row = points_of(found(northgate, "1"), now)["+33639980001"]
    assert (row.id, row.takes_sms, row.rank) == (before.id, True, 1)


def test_what_the_patient_added_stays_whatever_a_source_says(northgate, take, now):
    take(patient("1", telecoms=()))
    one = found(northgate, "1")
    add_contact_point(
        clinic_id=northgate.id,
        patient_id=one,
        kind=ContactKind.EMAIL,
        value="own@example.org",
        region="FR",
        actor=ACTOR,
        now=now,
    )

    take(patient("1", telecoms=(email("own@example.org"), phone())))
    take(patient("1", telecoms=()))

    assert set(points_of(one, now)) == {"own@example.org"}


def test_what_the_patient_removed_does_not_come_back_with_the_same_line(northgate, take, now):
    line = patient("1")
    take(line)
    one = found(northgate, "1")
    remove_contact_point(
        clinic_id=northgate.id,
        patient_id=one,
        contact_point_id=points_of(one, now)["+33639980001"].id,
        reason="not_mine",
        actor=ACTOR,
        now=now,
    )

    take(line)

    assert set(points_of(one, now)) == {"somebody@example.org"}


# ------------------------------------------------------------------------------- representatives and occasions


def test_a_mother_answers_for_her_child_by_her_own_number(northgate, take, now):
    take(patient("1", telecoms=(phone("+33639980001"),)), mother("1", telecoms=(phone("+33639980002"),)))

    points = points_of(found(northgate, "1"), now)
    assert points["+33639980001"].representative_id is None
    assert points["+33639980002"].representative_id == Representative.objects.get().id


def test_a_number_written_down_for_both_is_the_mothers(northgate, take, now):
    take(patient("1", telecoms=(phone(),)), mother("1", telecoms=(phone(),)))

    assert points_of(found(northgate, "1"), now)["+33639980001"].representative_id == Representative.objects.get().id


@pytest.mark.parametrize(
    "ends", [{"active": False}, {"ends_on": date(2026, 10, 13)}, {"starts_on": date(2026, 10, 15)}]
)
def test_who_does_not_represent_the_patient_is_not_written_to(northgate, take, now, ends):
    take(patient("1", telecoms=()), mother("1"))
    take(mother("1", **ends))

    assert not Representative.objects.get().is_active
    assert points_of(found(northgate, "1"), now) == {}


def test_the_same_line_ends_a_mandate_once_its_day_has_come(northgate, take, now):
    line = mother("1", ends_on=date(2026, 10, 14))
    take(patient("1", telecoms=()), line)

    assert take(line, at=now + HOUR) == ["unchanged"]
    assert take(line, at=now + DAY) == ["updated"]
    assert points_of(found(northgate, "1"), now) == {}


def test_a_moved_appointment_is_the_same_one(northgate, take, now):
    take(patient("1"), appointment("1", starts_at=now + DAY))
    before = Occasion.objects.get()

    assert take(appointment("1", starts_at=now + 2 * DAY)) == ["updated"]
    assert take(appointment("1", starts_at=now + 2 * DAY)) == ["unchanged"]
    after = Occasion.objects.get()
    assert (after.id, after.starts_at) == (before.id, now + 2 * DAY)
    recorded = actions_recorded(northgate.id)
    assert recorded[Action.OCCASION_RECORDED] == recorded[Action.OCCASION_CHANGED] == 1


def test_an_appointment_without_any_id_is_recognised_by_what_it_is(northgate, take, now):
    line = appointment("1", source_id=None, starts_at=now)
    take(patient("1"), line)

    assert take(line) == ["unchanged"]
    assert take(appointment("1", source_id=None, starts_at=now + HOUR)) == ["created"]


def test_an_appointment_of_nobody_is_refused(northgate, southbank, take, now):
    take(patient("1"), clinic=southbank)

    assert take(appointment("1", starts_at=now), mother("1")) == ["patient_unknown", "patient_unknown"]


def test_an_appointment_does_not_change_hands(northgate, take, now):
    line = appointment("1", starts_at=now)
    take(patient("1"), patient("2"), line)

    assert take(appointment("2", source_id=line.source_id, starts_at=now)) == ["patient_ambiguous"]
    assert Occasion.objects.get().patient_id == found(northgate, "1")


def test_a_reference_may_name_the_id_of_the_source(northgate, take, now):
    take(patient("1", source_id="abc"))

    assert take(appointment("x", patient=Reference(identifier=None, source_id="abc"), starts_at=now)) == ["created"]


def test_the_same_appointment_twice_in_one_file_is_one(northgate, take, now):
    take(patient("1"))

    assert take(appointment("1", starts_at=now), appointment("1", starts_at=now + HOUR)) == ["created", "updated"]
    assert Occasion.objects.get().starts_at == now + HOUR


# ------------------------------------------------------------------------------------------------- interrupted


class Broken(Exception):
    """The file ends in the middle."""


def test_interrupted_it_keeps_whole_batches_and_goes_on_when_run_again(northgate, now):
    lines = [patient(str(number), line=number) for number in range(BATCH + 10)]

    def until_it_breaks():
        yield from lines[: BATCH + 5]
        raise Broken

    these = {"clinic_id": northgate.id, "source": "test", "actor": ACTOR, "now": now}
    with pytest.raises(Broken):
        import_records(records=until_it_breaks(), **these)

    assert Patient.objects.count() == BATCH
    assert ContactPoint.objects.count() == 2 * BATCH
    assert DataKey.objects.filter(subject_id__isnull=False).count() == 2 * BATCH
    assert ImportRun.objects.get().finished_at is None
    again = import_records(records=lines, **these)
    assert (again.rows[RowOutcome.CREATED], again.rows[RowOutcome.UNCHANGED]) == (10, BATCH)


def test_a_report_tells_only_what_was_committed(northgate, now):
    """Whoever reads the report may stop the import; what was reported is there."""
    seen = []

    def stop_after_one(row):
        seen.append(row)
        raise Broken

    with pytest.raises(Broken):
        import_records(
            clinic_id=northgate.id,
            records=[patient("1"), patient("2")],
            source="test",
            actor=ACTOR,
            now=now,
            on_row=stop_after_one,
        )

    assert [row.outcome for row in seen] == ["created"]
    assert Patient.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_two_imports_of_the_same_patients_at_once_enter_each_once(northgate, now):
    lines = [patient(str(number), line=number) for number in range(20)]
    late = [appointment(str(number), starts_at=now + timedelta(days=1)) for number in range(20)]

    def run():
        return import_records(clinic_id=northgate.id, records=[*lines, *late], source="test", actor=ACTOR, now=now)

    told = all_at_once(*[run] * 3)

    assert not [one for one in told if isinstance(one, Exception)]
    assert Patient.objects.count() == Occasion.objects.count() == 20
    assert sum(one.kinds["patient", RowOutcome.CREATED] for one in told) == 20


def test_a_file_that_lost_the_birth_date_does_not_take_it_away(take, northgate, now):
    born = date(2015, 3, 1)
    take(patient("a", birth_date=born))

    assert take(patient("a", birth_date=None), at=now + DAY) == ["updated"]
    patient_id = found(northgate, "a")
    with record(
        Action.PATIENT_READ, by=ACTOR, now=now, clinic_id=northgate.id, about=patient_id, reason="test"
    ) as entry:
        assert reveal_profiles([patient_id], entry=entry)[patient_id].birth_date == born
