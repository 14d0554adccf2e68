"""Double opt-in: what was asked by a link is pending, and only a press by whoever has the link says yes or no, once."""

from datetime import date, timedelta

import pytest

from backend.audit.actions import Action
from backend.audit.actors import system_actor
from backend.audit.keys import destroy_subject_keys
from backend.consent.links import digest_of, find_question, token_of
from backend.consent.models import ConsentEvent, ConsentRequest
from backend.consent.operations import (
    AddressSuppressed,
    AgeUnknown,
    AskedTooOften,
    Expression,
    LinkTooOld,
    NoticeOutdated,
    ObjectionStands,
    ProcessingRestricted,
    answer_by_link,
    ask_by_link,
    end_consents,
    object_to,
    publish_notice,
)
from backend.consent.queries import states_of
from backend.errors import InvalidInput
from backend.patients.models import ContactPoint, SuppressedBy
from backend.patients.operations.restricting import restrict_processing
from backend.patients.suppression import suppress_contact_points_of
from backend.policy.vocabulary import (
    Channel,
    ConsentStatus,
    ContactStatus,
    Decision,
    Language,
    Method,
    ObjectionScope,
    RequestSource,
    RestrictionGround,
)
from tests.conftest import DAY, HOUR
from tests.factories.log import actions_recorded
from tests.factories.patients import consent, make_patient
from tests.factories.programmes import RECALL, REMINDER


@pytest.fixture
def visitor(northgate, now):
    """Entered from a form: nobody has checked the address yet."""
    return make_patient(northgate.id, now=now - DAY, reachable=False)


def point_of(patient, kind="email"):
    return ContactPoint.objects.get(patient_id=patient.id, kind=kind, ended_at=None)


def ask(patient, actor, now, *, kind="email", purpose=REMINDER, version=1):
    return ask_by_link(
        clinic_id=patient.clinic_id,
        patient_id=patient.id,
        purpose=purpose,
        contact_point_id=point_of(patient, kind).id,
        notice_version=version,
        language=Language.FRENCH,
        source=RequestSource.WEB_FORM,
        actor=actor,
        now=now,
    )


def press(patient, asked, now, decision=Decision.GIVEN, version=1):
    return answer_by_link(
        token=token_of(asked.id, clinic_id=patient.clinic_id),
        decision=decision,
        notice_version=version,
        language=Language.FRENCH,
        now=now,
    )


def status(patient, channel=Channel.EMAIL, purpose=REMINDER):
    states = states_of(clinic_id=patient.clinic_id, patient_id=patient.id)
    return next(one.status for one in states if (one.purpose, one.channel) == (purpose, channel))


def events(patient):
    rows = ConsentEvent.objects.filter(patient_id=patient.id).order_by("number", "recorded_at")
    return [(row.kind, row.method, [one["role"] for one in row.expressed_by]) for row in rows]


@pytest.mark.parametrize(("kind", "channel"), [("email", Channel.EMAIL), ("phone", Channel.SMS)])
def test_a_yes_asked_by_a_form_counts_from_the_press_on_and_proves_the_address(visitor, reception, now, kind, channel):
    asked = ask(visitor, reception, now, kind=kind)
    before = status(visitor, channel)

    press(visitor, asked, now + HOUR)

    assert (before, status(visitor, channel)) == (ConsentStatus.PENDING, ConsentStatus.GIVEN)
    assert events(visitor) == [("pending", "double_opt_in", []), ("given", "double_opt_in", ["patient"])]
    pending, given = ConsentEvent.objects.filter(patient_id=visitor.id).order_by("number")
    assert (pending.occurred_at, given.occurred_at) == (now, now + HOUR)
    assert given.about_id == pending.id
    point = point_of(visitor, kind)
    assert (point.status, point.how) == (ContactStatus.VERIFIED, "confirmation_link")
    assert actions_recorded(visitor.clinic_id)[Action.CONSENT_GIVEN] == 1


def test_a_no_is_taken_as_easily_and_proves_nothing(visitor, reception, now):
    asked = ask(visitor, reception, now)

    press(visitor, asked, now + HOUR, Decision.REFUSED)

    assert status(visitor) is ConsentStatus.REFUSED
    assert point_of(visitor).status == ContactStatus.UNVERIFIED


def test_a_link_is_good_for_one_answer(visitor, reception, now):
    asked = ask(visitor, reception, now)
    press(visitor, asked, now + HOUR, Decision.REFUSED)

    again = press(visitor, asked, now + 2 * HOUR)

    assert again.status is None
    assert again.question.decision is Decision.REFUSED
    assert status(visitor) is ConsentStatus.REFUSED
    assert len(events(visitor)) == 2


def test_after_seven_days_the_link_says_nothing_and_silence_is_no(visitor, reception, now):
    asked = ask(visitor, reception, now)
    late = now + 7 * DAY

    with pytest.raises(LinkTooOld):
        press(visitor, asked, late)
    end_consents(actor=system_actor("consent"), now=late)

    assert status(visitor) is ConsentStatus.EXPIRED
    assert press(visitor, ask(visitor, reception, late), late + HOUR).status is ConsentStatus.GIVEN


def test_in_the_last_second_it_still_counts(visitor, reception, now):
    asked = ask(visitor, reception, now)

    assert press(visitor, asked, now + 7 * DAY - timedelta(seconds=1)).status is ConsentStatus.GIVEN


def test_a_yes_that_stands_goes_on_standing_while_it_is_asked_again(consenting, reception, now):
    asked = ask(consenting, reception, now)
    before = status(consenting)

    end_consents(actor=system_actor("consent"), now=now + 8 * DAY)

    assert asked.status is before is status(consenting) is ConsentStatus.GIVEN
    assert events(consenting)[-1][0] == "requested"


def test_the_token_is_known_by_a_keyed_hash_only(visitor, reception, now):
    asked = ask(visitor, reception, now)
    row = ConsentRequest.objects.get()
    token = token_of(asked.id, clinic_id=visitor.clinic_id)

    assert len(token) == 22
    assert bytes(row.token_digest) == digest_of(token)
    assert token not in str(row.__dict__)
    assert {field.name for field in ConsentRequest._meta.fields} == {  # noqa: SLF001 - Django's API
        "id",
        "clinic",
        "patient",
        "event",
        "contact_point",
        "source",
        "token_digest",
        "asked_at",
        "expires_at",
    }


def test_a_token_that_is_not_one_and_that_of_an_erased_patient_lead_nowhere(visitor, reception, now):
    asked = ask(visitor, reception, now)
    token = token_of(asked.id, clinic_id=visitor.clinic_id)
    destroy_subject_keys(
        subject_id=visitor.id, clinic_id=visitor.clinic_id, reason="erasure", actor=system_actor(), now=now
    )

    assert [find_question(one) for one in (token, token[:-1], "", "é" * 22, "A" * 22)] == [None] * 5
    assert press(visitor, asked, now) is None


def test_nobody_is_asked_who_could_not_answer_or_must_not_be_asked(visitor, northgate, reception, now):
    ageless = make_patient(northgate.id, now=now, birth_date=None)
    objecting = make_patient(northgate.id, now=now)
    object_to(
        clinic_id=northgate.id,
        patient_id=objecting.id,
        scope=ObjectionScope.PURPOSE,
        purpose=REMINDER,
        expression=Expression(method=Method.APP, occurred_at=now),
        actor=objecting.actor,
        now=now,
    )
    silenced = make_patient(northgate.id, now=now)
    suppress_contact_points_of(
        clinic_id=northgate.id, patient_id=silenced.id, source=SuppressedBy.COMPLAINT, actor=reception, now=now
    )

    for patient, error in ((ageless, AgeUnknown), (objecting, ObjectionStands), (silenced, AddressSuppressed)):
        with pytest.raises(error):
            ask(patient, reception, now)
    with pytest.raises(InvalidInput):
        ask_by_link(
            clinic_id=northgate.id,
            patient_id=visitor.id,
            purpose=REMINDER,
            contact_point_id=point_of(silenced).id,
            notice_version=1,
            language=Language.FRENCH,
            source=RequestSource.STAFF,
            actor=reception,
            now=now,
        )
    assert not ConsentRequest.objects.exists()


def test_staff_ask_nothing_of_a_patient_whose_processing_is_restricted(visitor, reception, now):
    restrict_processing(
        clinic_id=visitor.clinic_id,
        patient_id=visitor.id,
        ground=RestrictionGround.ACCURACY_CONTESTED,
        actor=visitor.actor,
        now=now,
    )
    with pytest.raises(ProcessingRestricted):
        ask_by_link(
            clinic_id=visitor.clinic_id,
            patient_id=visitor.id,
            purpose=REMINDER,
            contact_point_id=point_of(visitor).id,
            notice_version=1,
            language=Language.FRENCH,
            source=RequestSource.STAFF,
            actor=reception,
            now=now,
        )
    assert not ConsentRequest.objects.exists()


def test_nobody_is_flooded_by_a_form(visitor, reception, now):
    for hours in range(3):
        ask(visitor, reception, now + hours * HOUR, purpose=RECALL if hours else REMINDER)

    with pytest.raises(AskedTooOften):
        ask(visitor, reception, now + 3 * HOUR)
    ask(visitor, reception, now + DAY + HOUR)


def test_a_yes_is_said_to_the_notice_that_stands_at_the_press(visitor, reception, now):
    asked = ask(visitor, reception, now)
    texts = {Language.FRENCH: ("Vos choix", "Nouveau."), Language.ENGLISH: ("Your choices", "New.")}
    publish_notice(clinic_id=visitor.clinic_id, texts=texts, actor=reception, now=now + HOUR)

    with pytest.raises(NoticeOutdated):
        press(visitor, asked, now + 2 * HOUR)

    assert status(visitor) is ConsentStatus.PENDING
    assert press(visitor, asked, now + 2 * HOUR, version=2).status is ConsentStatus.GIVEN


def test_a_question_is_not_the_childs_word(northgate, reception, now):
    """What was only asked says nothing: a parent's yes does not complete it."""
    child = make_patient(northgate.id, now=now, birth_date=date(2014, 1, 1))
    asked = ask(child, reception, now)

    said = press(child, asked, now + HOUR)

    assert said.status is ConsentStatus.PENDING
    assert events(child) == [("pending", "double_opt_in", []), ("pending", "double_opt_in", ["patient"])]


def test_a_later_no_in_the_app_stands_until_the_link_is_pressed(visitor, reception, now):
    asked = ask(visitor, reception, now)
    consent(visitor, purpose=REMINDER, channels=[Channel.SMS], now=now)

    assert status(visitor) is ConsentStatus.PENDING
    assert press(visitor, asked, now + HOUR).status is ConsentStatus.GIVEN
