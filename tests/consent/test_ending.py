"""What ends a consent without the patient's word: its date, a material notice, a birthday, the clinic, an officer."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import IntegrityError

from backend.audit.actions import Action
from backend.audit.actors import system_actor
from backend.audit.recording import record
from backend.consent.models import ConsentEvent, ConsentState, Notice
from backend.consent.operations import (
    AgeUnknown,
    NoticeAlreadyApproved,
    NoticeAlreadyPublished,
    NoticeNotApproved,
    approve_notice,
    confirm_error,
    draft_notice,
    end_consents,
    give_consent,
    invalidate_consents,
    note_asked,
    publish_draft,
    rebuild_states,
    refuse_consent,
    report_error,
    revoke_consents,
)
from backend.consent.queries import purposes_of
from backend.errors import InvalidInput, NotFound, SecondPersonNeeded
from backend.messaging.gate import Candidate, decide_all
from backend.patients.models import ContactPoint
from backend.policy.vocabulary import Channel, EventKind, Materiality, Method
from tests.conftest import DAY, HOUR
from tests.consent.test_deciding import mother_of, say, status, withdraw
from tests.factories.log import actions_recorded
from tests.factories.patients import make_patient
from tests.factories.programmes import CHANNELS, REMINDER, whole_notice

SECOND = timedelta(seconds=1)
ON_PAPER = {"method": Method.PAPER_FORM, "evidence": {"form_reference": "F-1", "signed_on": "2026-10-14"}}


def end(now, **changes):
    return end_consents(**{"actor": system_actor("consent"), "now": now, **changes})


def answer(patient, now, channel=Channel.SMS, purpose=REMINDER, point=None):
    """What the gate says of one message now, with fresh facts."""
    (purpose_id,) = [one.id for one in purposes_of(patient.clinic_id).values() if one.slug == purpose]
    kind = {Channel.SMS: "phone", Channel.EMAIL: "email", Channel.PUSH: "push"}[channel]
    own = ContactPoint.objects.filter(patient_id=patient.id, kind=kind, ended_at=None, representative=None).first()
    candidate = Candidate(
        clinic_id=patient.clinic_id,
        patient_id=patient.id,
        purpose_id=purpose_id,
        channel=channel,
        contact_point_id=point or (own.id if own else None),
        occasion_id=None,
        occasion_starts_at=None,
        programme_running=True,
        template_exists=True,
        not_before=None,
        expires_at=None,
    )
    (verdict,) = decide_all([candidate], now=now)
    return verdict.decided.value, {reason.value for reason in verdict.reasons}


def assert_rebuilt_alike(patient, now):
    rebuilt = rebuild_states(clinic_id=patient.clinic_id, actor=system_actor("rebuild"), now=now)
    assert rebuilt.different == 0


# -------------------------------------------------------------------------------------------------------- its date


def test_a_consent_runs_out_at_its_date_and_an_event_says_so(silent, now):
    until = say(give_consent, silent, now).valid_until

    assert end(until - SECOND) == 0
    assert answer(silent, until) == ("deny", {"consent_expired"})
    assert status(silent) == "given"
    assert end(until) == 1
    assert status(silent) == "expired"
    assert ConsentEvent.objects.get(kind="expired").method == "system"
    assert actions_recorded(silent.clinic_id)[Action.CONSENT_EXPIRED] == 1
    assert_rebuilt_alike(silent, until)


def test_ending_again_ends_nothing(silent, now):
    until = say(give_consent, silent, now, channels=CHANNELS).valid_until

    assert [end(until, at_once=1), end(until), end(until + DAY)] == [3, 0, 0]


def test_a_withdrawal_does_not_expire(silent, now):
    until = say(give_consent, silent, now).valid_until
    withdraw(silent, now + HOUR)

    assert end(until + DAY) == 0
    assert status(silent) == "withdrawn"


def test_a_yes_after_it_ran_out_renews_it(silent, now):
    until = say(give_consent, silent, now).valid_until
    end(until)
    say(give_consent, silent, until + DAY)

    assert status(silent) == "given"
    assert [event.kind for event in ConsentEvent.objects.order_by("number")] == ["given", "expired", "renewed"]
    assert answer(silent, until + 2 * DAY)[0] == "allow"


# -------------------------------------------------------------------------------------------------------- a notice


def publish(clinic, manager, dpo, now, *, effective_from=None, materiality=Materiality.MATERIAL):
    these = {"clinic_id": clinic.id, "now": now}
    words = whole_notice(clinic.id, "Un nouveau destinataire.")
    draft_id = draft_notice(**these, **words, actor=manager)
    approve_notice(
        **these,
        draft_id=draft_id,
        materiality=materiality,
        reason="A new recipient.",
        effective_from=effective_from,
        actor=dpo,
    )
    return draft_id, publish_draft(**these, draft_id=draft_id, actor=manager)


def test_a_material_notice_stops_what_was_said_to_the_one_before_at_its_date(northgate, silent, manager, dpo, now):
    say(give_consent, silent, now)
    publish(northgate, manager, dpo, now, effective_from=now + DAY)

    assert answer(silent, now + DAY - SECOND)[0] == "allow"
    assert answer(silent, now + DAY) == ("deny", {"reconsent_required"})
    assert end(now + DAY - SECOND) == 0
    assert end(now + DAY) == 1
    assert status(silent) == "reconsent_required"
    assert_rebuilt_alike(silent, now + DAY)


def test_whoever_said_yes_to_the_new_notice_goes_on(northgate, silent, manager, dpo, now):
    publish(northgate, manager, dpo, now, effective_from=now + DAY)
    say(give_consent, silent, now + HOUR, notice_version=2)

    assert end(now + 2 * DAY) == 0
    assert answer(silent, now + 2 * DAY)[0] == "allow"


def test_a_rewording_stops_nothing(northgate, silent, manager, dpo, now):
    say(give_consent, silent, now)
    publish(northgate, manager, dpo, now, materiality=Materiality.EDITORIAL)

    assert end(now + 100 * DAY) == 0
    assert answer(silent, now + 100 * DAY)[0] == "allow"


def test_the_notice_of_one_clinic_stops_nothing_in_another(northgate, southbank, manager, dpo, now):
    other = make_patient(southbank.id, now=now)
    say(give_consent, other, now)
    publish(northgate, manager, dpo, now, effective_from=now)

    assert end(now + DAY) == 0
    assert status(other) == "given"


def test_what_was_published_says_who_approved_it_and_why(northgate, manager, dpo, now):
    _draft, version = publish(northgate, manager, dpo, now, effective_from=now)

    rows = Notice.objects.filter(clinic_id=northgate.id, version=version)
    assert {(row.materiality, row.materiality_reason, row.approved_by) for row in rows} == {
        ("material", "A new recipient.", dpo.header)
    }


def test_a_notice_goes_out_approved_and_once(northgate, manager, dpo, now):
    words = whole_notice(northgate.id)
    these = {"clinic_id": northgate.id, "now": now}
    draft_id = draft_notice(**these, **words, actor=manager)
    with pytest.raises(NoticeNotApproved):
        publish_draft(**these, draft_id=draft_id, actor=manager)
    said: dict[str, Any] = {
        "draft_id": draft_id,
        "materiality": Materiality.EDITORIAL,
        "reason": "Typing.",
        "effective_from": None,
    }
    approve_notice(**these, **said, actor=dpo)
    with pytest.raises(NoticeAlreadyApproved):
        approve_notice(**these, **said, actor=dpo)
    assert publish_draft(**these, draft_id=draft_id, actor=manager) == 2
    with pytest.raises(NoticeAlreadyPublished):
        publish_draft(**these, draft_id=draft_id, actor=manager)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"reason": " "}, "reason"),
        ({"effective_from": None}, "effective_from"),
        ({"materiality": Materiality.EDITORIAL}, "effective_from"),
        ({"effective_from": datetime(2020, 1, 1, tzinfo=UTC)}, "effective_from"),
    ],
)
def test_an_approval_says_why_and_a_material_one_from_when(northgate, manager, dpo, now, changes, field):
    words = whole_notice(northgate.id)
    draft_id = draft_notice(clinic_id=northgate.id, **words, actor=manager, now=now)
    said = {"materiality": Materiality.MATERIAL, "reason": "New.", "effective_from": now + DAY, **changes}

    with pytest.raises(InvalidInput) as refused:
        approve_notice(clinic_id=northgate.id, draft_id=draft_id, **said, actor=dpo, now=now)
    assert refused.value.field == field


# ------------------------------------------------------------------------------------------------------ a birthday


def test_at_eighteen_what_a_guardian_said_ends_at_midnight_in_the_clinic(northgate):
    """Born on 29 February 2008: of age on 1 March 2026, which begins in Paris at 23:00 UTC on the day before."""
    before = datetime(2026, 1, 15, 9, 0, tzinfo=UTC)
    birthday = datetime(2026, 2, 28, 23, 0, tzinfo=UTC)
    teenager = make_patient(northgate.id, now=before, birth_date=date(2008, 2, 29))
    mother = mother_of(teenager, before)
    say(give_consent, teenager, before, representatives=(mother,))

    assert answer(teenager, birthday - SECOND)[0] == "allow"
    assert answer(teenager, birthday) == ("deny", {"consent_ended"})
    assert end(birthday - SECOND) == 0
    assert end(birthday) == 1
    assert status(teenager) == "ended"
    assert_rebuilt_alike(teenager, birthday)


def test_what_a_minor_said_alone_goes_on_at_eighteen(northgate):
    before = datetime(2026, 1, 15, 9, 0, tzinfo=UTC)
    teenager = make_patient(northgate.id, now=before, birth_date=date(2008, 3, 1))
    say(give_consent, teenager, before)

    assert end(before + 90 * DAY) == 0
    assert answer(teenager, before + 90 * DAY)[0] == "allow"


def test_a_birthday_is_not_kept_where_the_consent_ends_before_it(northgate, now):
    child = make_patient(northgate.id, now=now, birth_date=date(2015, 1, 1))
    say(give_consent, child, now, representatives=(mother_of(child, now),))

    assert ConsentState.objects.get(patient_id=child.id).guardian_until is None


def test_a_new_notice_does_not_complete_what_waits_for_the_old_one(northgate, manager, dpo, now):
    child = make_patient(northgate.id, now=now, birth_date=date(2015, 1, 1))
    mother = mother_of(child, now)
    say(give_consent, child, now)
    publish(northgate, manager, dpo, now, materiality=Materiality.EDITORIAL)

    told = say(give_consent, child, now + HOUR, notice_version=2, representatives=(mother,), by_patient=False)
    assert told.status == "pending"


def test_the_parent_may_speak_first(northgate, now):
    child = make_patient(northgate.id, now=now, birth_date=date(2015, 1, 1))
    mother = mother_of(child, now)

    assert say(give_consent, child, now, representatives=(mother,), by_patient=False).status == "pending"
    assert answer(child, now)[0] == "deny"
    assert say(give_consent, child, now + HOUR).status == "given"


def test_without_a_birth_date_nobody_is_taken_for_an_adult(northgate, now):
    somebody = make_patient(northgate.id, now=now, birth_date=None)

    with pytest.raises(AgeUnknown):
        say(give_consent, somebody, now)
    with pytest.raises(InvalidInput):
        say(give_consent, somebody, now, evidence={"notice_version": 1, "initial_state": "off", "of_age": True})
    with pytest.raises(AgeUnknown):
        say(give_consent, somebody, now, **ON_PAPER)
    attested = {"form_reference": "F-1", "signed_on": "2026-10-14", "of_age": True}
    assert say(give_consent, somebody, now, method=Method.PAPER_FORM, evidence=attested).status == "given"
    assert say(refuse_consent, somebody, now + HOUR).status == "refused"


# ------------------------------------------------------------------------------- the clinic, an officer, two people


@pytest.mark.parametrize(("operation", "kind"), [(revoke_consents, "revoked"), (invalidate_consents, "invalidated")])
def test_the_clinic_or_the_officer_ends_a_yes_and_never_a_no(silent, dpo, now, operation, kind):
    these = {"clinic_id": silent.clinic_id, "patient_id": silent.id, "purpose": REMINDER, "channels": [Channel.SMS]}
    said = {**these, "reason": "form_unreadable", "actor": dpo, "now": now + HOUR}
    with pytest.raises(NotFound):
        operation(**said)
    say(give_consent, silent, now)

    assert operation(**said) == 1
    assert status(silent) == "ended"
    assert (ConsentEvent.objects.get(kind=kind).reason) == "form_unreadable"
    assert answer(silent, now + HOUR) == ("deny", {"consent_ended"})
    assert_rebuilt_alike(silent, now + HOUR)


def test_a_slip_takes_two_people_and_leaves_silence(silent, reception, manager, now):
    told = say(give_consent, silent, now, actor=reception, **ON_PAPER)
    these = {
        "clinic_id": silent.clinic_id,
        "patient_id": silent.id,
        "event_id": told.events[Channel.SMS],
        "now": now + HOUR,
    }
    with pytest.raises(NotFound):
        confirm_error(**these, actor=manager)
    report_error(**these, reason="wrong_patient", actor=reception)
    with pytest.raises(SecondPersonNeeded):
        confirm_error(**these, actor=reception)
    assert status(silent) == "given"

    confirm_error(**these, actor=manager)

    assert status(silent) == "none"
    assert answer(silent, now + HOUR)[0] == "deny"
    event = ConsentEvent.objects.get(kind="entered_in_error")
    assert (event.about_id, event.recorded_by, event.confirmed_by) == (
        these["event_id"],
        manager.header,
        reception.header,
    )
    with pytest.raises(NotFound):
        confirm_error(**these, actor=manager)
    assert_rebuilt_alike(silent, now + HOUR)


def test_a_withdrawal_entered_by_mistake_does_not_bring_the_yes_back(silent, reception, manager, now):
    say(give_consent, silent, now)
    told = withdraw(silent, now + HOUR, method=Method.STAFF_WITHDRAWAL, actor=reception)
    these = {"clinic_id": silent.clinic_id, "patient_id": silent.id, "event_id": told.events[Channel.SMS]}
    report_error(**these, reason="wrong_patient", actor=reception, now=now + HOUR)
    confirm_error(**these, actor=manager, now=now + HOUR)

    assert status(silent) == "none"


def test_what_a_patient_said_themselves_is_nobodys_slip(silent, reception, now):
    told = say(give_consent, silent, now)

    with pytest.raises(InvalidInput):
        report_error(
            clinic_id=silent.clinic_id,
            patient_id=silent.id,
            event_id=told.events[Channel.SMS],
            reason="wrong_patient",
            actor=reception,
            now=now,
        )


def test_the_database_refuses_an_error_that_one_person_confirmed_alone(silent, reception, now):
    told = say(give_consent, silent, now, actor=reception, **ON_PAPER)
    event = ConsentEvent.objects.get(id=told.events[Channel.SMS])
    entry = record(Action.STATES_REBUILT, by=reception, now=now, clinic_id=silent.clinic_id, count=0, different=0)

    with pytest.raises(IntegrityError), entry:
        ConsentEvent.objects.create(
            clinic_id=silent.clinic_id,
            patient_id=silent.id,
            purpose_id=event.purpose_id,
            channel="sms",
            number=2,
            kind="entered_in_error",
            method="system",
            legal_basis="consent",
            occurred_at=now,
            recorded_at=now,
            about_id=event.id,
            recorded_by=reception.header,
            confirmed_by=reception.header,
        )


@pytest.mark.parametrize("kind", [EventKind.REQUESTED, EventKind.DEFERRED, EventKind.UNKNOWN])
def test_a_question_changes_nothing_and_a_yes_is_still_shown_by_its_own_event(silent, now, kind):
    asked = {
        "clinic_id": silent.clinic_id,
        "patient_id": silent.id,
        "purpose": REMINDER,
        "channels": [Channel.SMS],
        "method": Method.APP,
        "actor": silent.actor,
    }
    note_asked(kind, **asked, now=now)
    assert status(silent) == "none"
    assert answer(silent, now)[0] == "deny"
    told = say(give_consent, silent, now)
    note_asked(kind, **asked, now=now + HOUR)

    state = ConsentState.objects.get(patient_id=silent.id)
    assert (state.status, state.standing_event_id) == ("given", told.events[Channel.SMS])
    assert answer(silent, now + HOUR)[0] == "allow"
    assert_rebuilt_alike(silent, now + HOUR)


def test_an_event_that_nobody_knows_is_nobodys_slip(silent, reception, now):
    with pytest.raises(NotFound):
        report_error(
            clinic_id=silent.clinic_id,
            patient_id=silent.id,
            event_id=UUID(int=1),
            reason="wrong_patient",
            actor=reception,
            now=now,
        )
