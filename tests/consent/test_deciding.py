"""A patient says yes, no, no longer: immutable events, counted, each with its notice and its evidence."""

import hashlib
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from dateutil.relativedelta import relativedelta
from django.db import IntegrityError, connection

from backend.audit.actions import Action
from backend.audit.actors import system_actor
from backend.audit.keys import destroy_subject_keys
from backend.audit.leaf import canonical_json
from backend.audit.recording import record
from backend.consent.models import ConsentEvent, ConsentState, Notice
from backend.consent.operations import (
    Expression,
    NoticeOutdated,
    SaidMeanwhile,
    define_purpose,
    give_consent,
    publish_notice,
    refuse_consent,
    withdraw_consent,
)
from backend.consent.operations.expressing import EvidenceMissing, PatientHasDied
from backend.consent.operations.publishing import PurposeExists
from backend.consent.queries import consent_facts_of, events_of, latest_notices, states_of
from backend.errors import InvalidInput, NotFound
from backend.patients.models import Patient, Representative
from backend.patients.operations import import_records
from backend.patients.sources.records import Identifier, Reference, RelatedPersonRecord, Where
from backend.policy.vocabulary import Channel, Language, Method, Nature
from tests.conftest import DAY, HOUR
from tests.factories.background import all_at_once
from tests.factories.log import actions_recorded
from tests.factories.patients import IPP, consent, make_patient
from tests.factories.programmes import CHANNELS, RECALL, REMINDER

APP = {"notice_version": 1, "initial_state": "off"}


def say(act, patient, now, **changes):
    """Give or refuse, as the app would; `method`, `evidence`, `occurred_at` and the speakers go into the expression."""
    of_expression = ("method", "evidence", "occurred_at", "by_patient", "representatives")
    expression = {"method": Method.APP, "evidence": APP, "occurred_at": now} | {
        name: changes.pop(name) for name in of_expression if name in changes
    }
    return act(
        **{
            "clinic_id": patient.clinic_id,
            "patient_id": patient.id,
            "purpose": REMINDER,
            "channels": [Channel.SMS],
            "notice_version": 1,
            "language": Language.FRENCH,
            "expression": Expression(**expression),
            "actor": patient.actor,
            "now": now,
            **changes,
        }
    )


def withdraw(patient, now, **changes):
    return withdraw_consent(
        **{
            "clinic_id": patient.clinic_id,
            "patient_id": patient.id,
            "purpose": REMINDER,
            "channels": [Channel.SMS],
            "method": Method.APP,
            "actor": patient.actor,
            "now": now,
            **changes,
        }
    )


def status(patient, channel=Channel.SMS, purpose=REMINDER):
    (state,) = [
        one
        for one in states_of(clinic_id=patient.clinic_id, patient_id=patient.id)
        if (one.purpose, one.channel) == (purpose, channel)
    ]
    return state.status


# -------------------------------------------------------------------------------------------------------- events


def test_before_anything_is_said_every_state_is_none(silent):
    assert {state.status for state in states_of(clinic_id=silent.clinic_id, patient_id=silent.id)} == {"none"}
    assert consent_facts_of([silent.id]) == {}


def test_each_word_is_an_event_of_its_own_and_they_are_counted(silent, now):
    say(give_consent, silent, now)
    say(refuse_consent, silent, now + HOUR)
    say(give_consent, silent, now + 2 * HOUR)
    withdraw(silent, now + 3 * HOUR)

    events = ConsentEvent.objects.filter(patient_id=silent.id).order_by("number")
    assert [(event.number, event.kind) for event in events] == [
        (1, "given"),
        (2, "refused"),
        (3, "given"),
        (4, "withdrawn"),
    ]
    assert status(silent) == "withdrawn"
    assert [event.decision for event in events_of(clinic_id=silent.clinic_id, patient_id=silent.id)] == [
        event.kind for event in events
    ]


def test_an_event_is_never_changed_and_never_deleted(silent, now):
    say(give_consent, silent, now)
    rows = ConsentEvent.objects.filter(patient_id=silent.id)

    def delete():
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM consent_event")

    for change in (lambda: rows.update(kind="withdrawn"), lambda: rows.update(number=9), delete):
        entry = record(
            Action.STATES_REBUILT, by=system_actor(), now=now, clinic_id=silent.clinic_id, count=1, different=0
        )
        with pytest.raises(IntegrityError, match="append-only"), entry:
            change()
    assert status(silent) == "given"


def test_a_yes_keeps_who_when_how_and_to_which_words(silent, now):
    told = say(give_consent, silent, now, occurred_at=now - HOUR)

    event = ConsentEvent.objects.get(id=told.events[Channel.SMS])
    notice = Notice.objects.get(clinic_id=silent.clinic_id, version=1, language="fr")
    assert (event.notice_id, event.notice_sha256, event.language) == (notice.id, notice.sha256, "fr")
    assert (event.occurred_at, event.recorded_at) == (now - HOUR, now)
    assert (event.method, event.legal_basis, event.recorded_by) == ("app", "consent", "p")
    assert event.expressed_by == [{"role": "patient"}]
    with record(Action.CONSENTS_READ, by=silent.actor, now=now, clinic_id=silent.clinic_id, about=silent.id) as entry:
        assert event.evidence.reveal_data(entry) == APP


def test_each_channel_is_a_stream_of_its_own(silent, now):
    told = say(give_consent, silent, now, channels=CHANNELS)
    withdraw(silent, now + HOUR, channels=[Channel.EMAIL])

    assert set(told.events) == set(CHANNELS)
    assert [status(silent, channel) for channel in CHANNELS] == ["given", "given", "withdrawn"]
    assert status(silent, purpose=RECALL) == "none"


def test_the_log_has_an_entry_for_each_word_on_each_channel(silent, now):
    say(give_consent, silent, now, channels=CHANNELS)
    withdraw(silent, now, channels=CHANNELS)

    recorded = actions_recorded(silent.clinic_id)
    assert recorded[Action.CONSENT_GIVEN] == recorded[Action.CONSENT_WITHDRAWN] == 3


def test_a_yes_ends_with_its_validity(silent, now):
    told = say(give_consent, silent, now, occurred_at=now - DAY)

    assert told.valid_until == now - DAY + relativedelta(months=36)
    assert ConsentState.objects.get(patient_id=silent.id).valid_until == told.valid_until


def test_a_no_has_no_end(silent, now):
    assert say(refuse_consent, silent, now).valid_until is None


# ------------------------------------------------------------------------------------------------------- notices


def test_the_hash_of_a_notice_is_that_of_exactly_what_is_shown(northgate):
    for notice in Notice.objects.filter(clinic_id=northgate.id):
        shown = {
            "version": notice.version,
            "language": notice.language,
            "title": notice.title,
            "body": notice.body,
            "statements": notice.statements,
        }
        assert notice.sha256 == hashlib.sha256(canonical_json(shown)).hexdigest()
        assert set(notice.statements) == {REMINDER, RECALL}


def publish(clinic, actor, now):
    return publish_notice(
        clinic_id=clinic.id,
        texts={Language.FRENCH: ("Vos choix", "Nouveau."), Language.ENGLISH: ("Your choices", "New.")},
        actor=actor,
        now=now,
    )


def test_a_yes_to_a_notice_that_was_replaced_is_refused(northgate, silent, reception, now):
    assert publish(northgate, reception, now) == 2

    for act in (give_consent, refuse_consent):
        with pytest.raises(NoticeOutdated):
            say(act, silent, now)
    assert say(give_consent, silent, now, notice_version=2).status == "given"


def test_a_consent_outlives_a_new_wording(northgate, silent, reception, now):
    say(give_consent, silent, now)
    publish(northgate, reception, now)

    assert status(silent) == "given"


def test_a_notice_that_never_was_is_not_there(silent, now):
    with pytest.raises(NotFound):
        say(give_consent, silent, now, notice_version=7)


def test_a_notice_is_never_changed(northgate, reception, now):
    entry = record(
        Action.NOTICE_PUBLISHED,
        by=reception,
        now=now,
        clinic_id=northgate.id,
        notice="contact",
        version=1,
        language="fr",
        sha256="0" * 64,
    )
    with pytest.raises(IntegrityError, match="append-only"), entry:
        Notice.objects.filter(clinic_id=northgate.id).update(body="Other words.")


def test_a_notice_comes_out_in_every_language_at_once(northgate, reception, now):
    with pytest.raises(InvalidInput):
        publish_notice(clinic_id=northgate.id, texts={Language.FRENCH: ("a", "b")}, actor=reception, now=now)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"slug": REMINDER}, PurposeExists),
        ({"slug": "Un Rappel"}, InvalidInput),
        ({"channels": ()}, InvalidInput),
    ],
)
def test_a_purpose_is_defined_once_and_has_a_short_name_and_channels(northgate, reception, now, changes, error):
    with pytest.raises(error):
        define_purpose(
            **{
                "clinic_id": northgate.id,
                "slug": "another",
                "nature": Nature.CARE,
                "channels": CHANNELS,
                "names": {},
                "statements": {},
                "actor": reception,
                "now": now,
                **changes,
            }
        )


# ------------------------------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"channels": []}, "channels"),
        ({"channels": [Channel.LETTER]}, "channels"),
        ({"purpose": "nothing_known"}, "purpose"),
        ({"evidence": {}}, "evidence.initial_state"),
        ({"evidence": {"notice_version": 1}}, "evidence.initial_state"),
        ({"evidence": {**APP, "initial_state": "on"}}, "evidence.initial_state"),
        ({"method": Method.PAPER_FORM, "evidence": {"form_reference": "F-1"}}, "evidence.signed_on"),
        ({"method": Method.VERBAL, "evidence": {"script_version": "2"}}, "evidence.spoken_at"),
        ({"occurred_at": datetime(2026, 10, 14, 8, 0, 1, tzinfo=UTC)}, "occurred_at"),
        ({"representatives": (UUID(int=1),)}, "representatives"),
        ({"by_patient": False}, "representatives"),
    ],
)
def test_a_consent_that_could_not_be_shown_is_refused_and_the_field_named(silent, now, changes, field):
    with pytest.raises((InvalidInput, NotFound)) as refused:
        say(give_consent, silent, now, **changes)

    assert refused.value.field == field
    assert ConsentEvent.objects.count() == 0


def test_evidence_that_is_missing_is_named(silent, now):
    with pytest.raises(EvidenceMissing) as refused:
        say(give_consent, silent, now, method=Method.PAPER_FORM, evidence={})

    assert refused.value.extra["missing"] == ["form_reference", "signed_on"]


def test_staff_take_down_a_signed_form(silent, reception, now):
    say(
        give_consent,
        silent,
        now,
        method=Method.PAPER_FORM,
        evidence={"form_reference": "F-2026-14", "signed_on": "2026-10-13"},
        occurred_at=now - DAY,
        actor=reception,
    )

    event = ConsentEvent.objects.get()
    assert (event.method, event.recorded_by) == ("paper_form", f"u:{reception.pseudonym}")
    assert event.expressed_by == [{"role": "patient"}]


@pytest.mark.parametrize("act", [give_consent, refuse_consent])
def test_nobody_consents_for_the_dead(northgate, now, act):
    patient = make_patient(northgate.id, now=now, deceased=True)

    with pytest.raises(PatientHasDied):
        say(act, patient, now)


def test_a_patient_of_another_clinic_is_not_there(southbank, silent, now):
    with pytest.raises(NotFound):
        say(give_consent, silent, now, clinic_id=southbank.id)
    with pytest.raises(NotFound):
        withdraw(silent, now, clinic_id=southbank.id)


def test_an_erased_patient_is_not_there_either(silent, now):
    destroy_subject_keys(
        subject_id=silent.id, clinic_id=silent.clinic_id, reason="erasure", actor=system_actor(), now=now
    )
    with record(Action.KEY_DESTROYED, by=system_actor(), now=now, clinic_id=silent.clinic_id, keys=[], reason="x"):
        Patient.objects.filter(id=silent.id).update(erased_at=now)

    with pytest.raises(NotFound):
        say(give_consent, silent, now)
    with pytest.raises(NotFound):
        withdraw(silent, now)


# --------------------------------------------------------------------------------------------- late and too late


def test_a_form_signed_before_a_withdrawal_does_not_undo_it(silent, now):
    """Recorded later, expressed earlier: what the patient said last stands."""
    say(give_consent, silent, now - 5 * DAY)
    withdraw(silent, now - DAY)

    with pytest.raises(SaidMeanwhile):
        say(
            give_consent,
            silent,
            now,
            method=Method.PAPER_FORM,
            evidence={"form_reference": "F-1", "signed_on": "2026-10-11"},
            occurred_at=now - 3 * DAY,
        )
    assert status(silent) == "withdrawn"


def test_a_withdrawal_is_never_too_early(silent, now):
    """The clocks of two machines may differ; nobody is told that they can not withdraw."""
    say(give_consent, silent, now)

    assert withdraw(silent, now - timedelta(seconds=1)).confirmed
    assert status(silent) == "withdrawn"


# ---------------------------------------------------------------------------------------------------- withdrawal


def test_a_withdrawal_needs_no_consent_before_it(silent, now):
    assert withdraw(silent, now).confirmed
    assert status(silent) == "withdrawn"


def test_withdrawing_again_is_an_event_and_changes_nothing(silent, now):
    say(give_consent, silent, now - DAY)
    first = withdraw(silent, now)
    second = withdraw(silent, now + HOUR)

    state = ConsentState.objects.get(patient_id=silent.id)
    assert first.confirmed
    assert second.confirmed
    assert (state.status, state.since) == ("withdrawn", now)
    assert state.last_event_id == second.events[Channel.SMS]


def test_staff_take_down_a_withdrawal_without_any_proof(silent, reception, now):
    say(give_consent, silent, now - DAY)

    assert withdraw(silent, now, method=Method.STAFF_WITHDRAWAL, actor=reception).confirmed
    assert status(silent) == "withdrawn"


def test_the_dead_are_withdrawn_too(northgate, reception, now):
    patient = make_patient(northgate.id, now=now, deceased=True)

    assert withdraw(patient, now, method=Method.STAFF_WITHDRAWAL, actor=reception).confirmed


# ------------------------------------------------------------------------------------------------------ children


def mother_of(child, now, *, active=True):
    given = RelatedPersonRecord(
        where=Where(file="test", line=1),
        source_id=f"mother-{child.ipp}",
        identifiers=(),
        patient=Reference(identifier=Identifier(system=IPP, value=child.ipp), source_id=None),
        relationship="mother",
        family_name="Exemple",
        given_names=("Ada",),
        telecoms=(),
        active=active,
        starts_on=None,
        ends_on=None,
    )
    import_records(clinic_id=child.clinic_id, records=[given], source="test", actor=system_actor(), now=now)
    return Representative.objects.get(patient_id=child.id).id


@pytest.mark.parametrize(
    ("born", "needs_guardian"),
    [
        # 14 October 2026 in Paris: fourteen years and 364 days, fifteen today, fifteen yesterday.
        (date(2011, 10, 15), True),
        (date(2011, 10, 14), False),
        (date(2011, 10, 13), False),
    ],
)
def test_under_fifteen_a_guardian_says_yes_too(northgate, now, born, needs_guardian):
    child = make_patient(northgate.id, now=now, birth_date=born)
    mother = mother_of(child, now)

    alone = say(give_consent, child, now)
    if needs_guardian:
        assert alone.status == "pending"
        assert say(give_consent, child, now, representatives=(mother,), by_patient=False).status == "given"
        assert [one["role"] for one in ConsentEvent.objects.get(kind="given").expressed_by] == [
            "patient",
            "representative",
        ]
    else:
        with pytest.raises(InvalidInput):
            say(give_consent, child, now, representatives=(mother,), by_patient=False)
    assert status(child) == "given"


@pytest.mark.parametrize(("day", "stands"), [(28, "pending"), (1, "given")])
def test_born_on_29_february_fifteen_comes_on_1_march(northgate, day, stands):
    now = datetime(2027, 2 if day == 28 else 3, day, 9, 0, tzinfo=UTC)
    child = make_patient(northgate.id, now=now, birth_date=date(2012, 2, 29))

    assert say(give_consent, child, now).status == stands


def test_a_birthday_begins_at_midnight_in_the_clinic(northgate):
    """23:30 in UTC on the eve is half past one in Paris, on the day."""
    child = make_patient(northgate.id, now=datetime(2026, 7, 1, tzinfo=UTC), birth_date=date(2011, 7, 2))

    assert say(give_consent, child, datetime(2026, 7, 1, 21, 30, tzinfo=UTC)).status == "pending"
    assert say(give_consent, child, datetime(2026, 7, 1, 22, 30, tzinfo=UTC)).status == "given"


def test_a_child_says_no_and_withdraws_alone(northgate, now):
    child = make_patient(northgate.id, now=now, birth_date=date(2015, 1, 1))

    say(refuse_consent, child, now)
    assert withdraw(child, now).confirmed


def test_who_no_longer_represents_a_child_says_yes_for_nobody(northgate, now):
    child = make_patient(northgate.id, now=now, birth_date=date(2015, 1, 1))
    mother = mother_of(child, now)
    mother_of(child, now, active=False)

    with pytest.raises(InvalidInput):
        say(give_consent, child, now, representatives=(mother,))


def test_the_mother_of_one_child_says_nothing_for_another(northgate, now):
    child, other = (make_patient(northgate.id, now=now, birth_date=date(2015, 1, 1)) for _ in range(2))

    with pytest.raises(InvalidInput):
        say(give_consent, child, now, representatives=(mother_of(other, now),))


def test_a_child_who_is_not_yet_born_needs_a_guardian(northgate, now):
    """A mistake of the source; nobody concludes that such a patient is an adult."""
    child = make_patient(northgate.id, now=now, birth_date=date(2099, 1, 1))

    assert say(give_consent, child, now).status == "pending"


# --------------------------------------------------------------------------------------------------- all at once


@pytest.mark.django_db(transaction=True)
def test_words_said_at_the_same_moment_come_in_an_order_and_none_is_lost(silent, now):
    works = [lambda: say(give_consent, silent, now), lambda: withdraw(silent, now)] * 3

    told = all_at_once(*works)

    assert not [one for one in told if isinstance(one, Exception)]
    events = list(ConsentEvent.objects.filter(patient_id=silent.id).order_by("number"))
    assert [event.number for event in events] == [1, 2, 3, 4, 5, 6]
    state = ConsentState.objects.get(patient_id=silent.id)
    expected = "withdrawn" if events[-1].kind == "withdrawn" else "given"
    assert (state.last_event_id, state.status) == (events[-1].id, expected)


@pytest.mark.django_db(transaction=True)
def test_two_patients_decide_at_once_without_waiting_in_a_circle(silent, consenting, now):
    works = [
        lambda: say(give_consent, silent, now, channels=CHANNELS),
        lambda: withdraw(silent, now, channels=CHANNELS[::-1]),
        lambda: withdraw(consenting, now, channels=CHANNELS),
        lambda: consent(consenting, purpose=RECALL, channels=CHANNELS[::-1], now=now),
    ]

    assert not [one for one in all_at_once(*works) if isinstance(one, Exception)]
    assert latest_notices(silent.clinic_id)[Language.FRENCH].version == 1
