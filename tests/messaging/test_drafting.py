"""The next version of a template is a draft until it is published: linted, approved where it must be, never mixed."""

from datetime import timedelta

import pytest
from django.db import IntegrityError

from backend.audit.actions import Action
from backend.audit.recording import record
from backend.consent.operations import define_purpose
from backend.errors import InvalidInput, NotFound
from backend.messaging.delivery import deliver_due_messages
from backend.messaging.linting import Code
from backend.messaging.models import Message, TemplateDraft, TemplateVersion
from backend.messaging.operations import (
    VariantText,
    approve_draft,
    discard_draft,
    get_draft,
    publish_draft,
    publish_words,
    save_draft,
)
from backend.messaging.operations.drafting import OwnWords, ProfessionalOnly, WordsRefused
from backend.messaging.operations.templates import DraftChanged, NeedsApproval
from backend.messaging.queries import latest_templates, template_history
from backend.policy.vocabulary import Channel, Language, Nature, Tone
from backend.programmes.operations import plan_programmes
from tests.conftest import DAY, HOUR
from tests.factories.carriers import carriers_in_test, given_to
from tests.factories.clinics import make_member
from tests.factories.patients import consent, make_appointment, make_patient
from tests.factories.programmes import REMINDER

TOMORROW = DAY + 4 * HOUR
NEWS = "clinic_news"


def sms(body="bonjour.", **changes):
    return VariantText(
        **{
            "channel": Channel.SMS,
            "language": Language.FRENCH,
            "tone": Tone.FORMAL,
            "body": f"{{{{ clinic.discreet_name }}}} : {body}",
            **changes,
        }
    )


@pytest.fixture
def at(northgate, reception, now):
    return {"clinic_id": northgate.id, "actor": reception, "now": now}


@pytest.fixture
def save(at):
    def save(*variants, slug=REMINDER, purpose=REMINDER, **changes):
        return save_draft(slug=slug, purpose=purpose, variants=variants or [sms()], **at | changes)

    return save


@pytest.fixture
def news(northgate, reception, now):
    """A marketing purpose: what is sent for it needs four eyes."""
    define_purpose(
        clinic_id=northgate.id,
        slug=NEWS,
        nature=Nature.MARKETING,
        channels=(Channel.SMS,),
        names=dict.fromkeys(Language, NEWS),
        statements=dict.fromkeys(Language, NEWS),
        actor=reception,
        now=now,
    )
    return NEWS


# ------------------------------------------------------------------------------------------------------------- drafts


def test_a_draft_keeps_whatever_is_written_and_says_what_is_wrong(save, at, northgate):
    row = save(sms("profitez de nos soldes !"))

    assert row.revision == 1
    assert {one.code for one in row.findings} >= {Code.PROMOTION_IN_CARE}
    assert get_draft(clinic_id=northgate.id, slug=REMINDER) == row
    with pytest.raises(WordsRefused):
        publish_draft(slug=REMINDER, revision=1, reword_planned=False, **at)


def test_what_is_published_is_what_was_read(save, at):
    save()
    save(sms("bonsoir."))

    with pytest.raises(DraftChanged):
        publish_draft(slug=REMINDER, revision=1, reword_planned=False, **at)
    with pytest.raises(DraftChanged):
        save(sms("salut."), expected_revision=1)
    assert save(sms("merci."), expected_revision=2).revision == 3


def test_a_published_draft_is_a_version_and_no_longer_a_draft(save, at, northgate, reception):
    save(sms("bonjour."))
    before = latest_templates(northgate.id)[REMINDER].number

    published = publish_draft(slug=REMINDER, revision=1, reword_planned=False, **at)

    newest = latest_templates(northgate.id)[REMINDER]
    assert (newest.version_id, newest.number) == (published.version_id, before + 1)
    assert {words.body for words in newest.variants.values()} == {sms().body}
    assert template_history(clinic_id=northgate.id, slug=REMINDER)[0].written_by == reception.id
    with pytest.raises(NotFound):
        get_draft(clinic_id=northgate.id, slug=REMINDER)


def test_a_draft_is_thrown_away_and_what_is_published_stays(save, at, northgate):
    before = latest_templates(northgate.id)[REMINDER]
    save()

    discard_draft(slug=REMINDER, **at)

    assert latest_templates(northgate.id)[REMINDER] == before
    with pytest.raises(NotFound):
        discard_draft(slug=REMINDER, **at)


def test_a_template_stays_with_its_purpose(save, news, at):
    with pytest.raises(InvalidInput) as refused:
        save(purpose=NEWS)
    assert refused.value.field == "purpose"
    with pytest.raises(InvalidInput):
        publish_words(slug=REMINDER, purpose=NEWS, variants=[sms()], **at)


def test_another_clinic_sees_no_draft(save, southbank, outsider, now):
    save()

    with pytest.raises(NotFound):
        get_draft(clinic_id=southbank.id, slug=REMINDER)
    with pytest.raises(NotFound):
        discard_draft(clinic_id=southbank.id, slug=REMINDER, actor=outsider, now=now)


def test_no_variant_stands_twice(save):
    with pytest.raises(InvalidInput):
        save(sms(), sms("bonsoir."))


def test_words_that_a_program_publishes_at_once_are_read_too(at):
    with pytest.raises(WordsRefused) as refused:
        publish_words(slug="short", purpose=REMINDER, variants=[sms("cliquez.")], **at)

    assert refused.value.extra == {"findings": ["promotion_in_care"]}
    assert TemplateVersion.objects.filter(slug="short").count() == 0


# ---------------------------------------------------------------------------------------------------------- four eyes


def test_marketing_waits_for_a_health_professional_who_did_not_write_it(save, news, at, manager, northgate, now):
    save(slug="news", purpose=NEWS)
    with pytest.raises(NeedsApproval):
        publish_draft(slug="news", revision=1, reword_planned=False, **at)
    with pytest.raises(ProfessionalOnly):
        approve_draft(slug="news", revision=1, **at)

    approve_draft(slug="news", revision=1, **at | {"actor": manager})
    publish_draft(slug="news", revision=1, reword_planned=False, **at)

    newest = template_history(clinic_id=northgate.id, slug="news")[0]
    assert (newest.written_by, newest.approved_by, newest.approved_at) == (at["actor"].id, manager.id, now)


def test_nobody_approves_their_own_words(save, news, at, manager):
    save(slug="news", purpose=NEWS, actor=manager)

    with pytest.raises(OwnWords):
        approve_draft(slug="news", revision=1, **at | {"actor": manager})


def test_the_database_does_not_take_it_either(save, news, at, manager):
    save(slug="news", purpose=NEWS, actor=manager)
    entry = record(
        Action.TEMPLATE_APPROVED, by=manager, now=at["now"], clinic_id=at["clinic_id"], template="news", revision=1
    )

    with pytest.raises(IntegrityError, match="nobody_approves_their_own_words"), entry:
        TemplateDraft.objects.filter(slug="news").update(approved_by=manager.id)


def test_a_change_takes_the_approval_away(save, news, at, manager):
    save(slug="news", purpose=NEWS)
    approve_draft(slug="news", revision=1, **at | {"actor": manager})

    save(sms("autre chose."), slug="news", purpose=NEWS)

    with pytest.raises(NeedsApproval):
        publish_draft(slug="news", revision=2, reword_planned=False, **at)
    with pytest.raises(DraftChanged):
        approve_draft(slug="news", revision=1, **at | {"actor": manager})


def test_words_that_are_refused_are_not_approved(save, news, at, manager):
    save(sms("voyez bit.ly/x."), slug="news", purpose=NEWS)

    with pytest.raises(WordsRefused):
        approve_draft(slug="news", revision=1, **at | {"actor": manager})


def test_marketing_has_no_way_round_the_draft(news, at):
    with pytest.raises(NeedsApproval):
        publish_words(slug="news", purpose=NEWS, variants=[sms()], **at)


def test_a_professional_of_another_clinic_is_none_here(save, news, at, southbank, now):
    save(slug="news", purpose=NEWS)
    stranger = make_member(southbank.id, "doctor@southbank", now=now, is_health_professional=True)

    with pytest.raises(ProfessionalOnly):
        approve_draft(slug="news", revision=1, **at | {"actor": stranger})


# -------------------------------------------------------------------------------------------- messages that are planned


def planned(northgate, now, channel=Channel.SMS):
    patient = make_patient(northgate.id, now=now - 2 * DAY, device=False)
    consent(patient, purpose=REMINDER, channels=[channel], now=now - DAY)
    make_appointment(patient, starts_at=now + 3 * DAY + TOMORROW, now=now)
    plan_programmes(now=now)
    return Message.objects.filter(patient_id=patient.id).order_by("due_at").first()


def test_a_planned_message_keeps_the_words_it_was_planned_with(save, at, northgate, now):
    message = planned(northgate, now)
    before = message.template_version_id
    save(sms("nouveau."))

    published = publish_draft(slug=REMINDER, revision=1, reword_planned=False, **at)

    message.refresh_from_db()
    assert (message.template_version_id, published.reworded) == (before, 0)
    carriers = carriers_in_test()
    deliver_due_messages(now=message.due_at, carriers=carriers)
    assert "nouveau" not in given_to(carriers)[0].text


def test_it_takes_the_new_ones_where_that_is_said(save, at, northgate, now):
    message = planned(northgate, now)
    save(sms("nouveau."))

    published = publish_draft(slug=REMINDER, revision=1, reword_planned=True, **at)

    assert published.reworded == Message.objects.filter(template_version_id=published.version_id).count() > 0
    carriers = carriers_in_test()
    deliver_due_messages(now=message.due_at, carriers=carriers)
    assert "nouveau" in given_to(carriers)[0].text


def test_a_message_whose_variant_is_not_in_the_new_version_keeps_the_old_one(save, at, northgate, now):
    message = planned(northgate, now)
    before = message.template_version_id
    save(sms("new.", language=Language.ENGLISH))

    assert publish_draft(slug=REMINDER, revision=1, reword_planned=True, **at).reworded == 0
    message.refresh_from_db()
    assert message.template_version_id == before


def test_what_has_left_is_not_reworded(save, at, northgate, now):
    message = planned(northgate, now)
    deliver_due_messages(now=message.due_at, carriers=carriers_in_test())
    before = Message.objects.get(id=message.id).template_version_id
    save(sms("nouveau."), now=message.due_at + timedelta(minutes=1))

    publish_draft(slug=REMINDER, revision=1, reword_planned=True, **at)

    assert Message.objects.get(id=message.id).template_version_id == before
