"""Everything on the closed list of actions is something the product does: here each is provoked, through its edges."""

import ast
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.cache import cache
from django.core.management import call_command
from django.utils import timezone
from rest_framework.test import APIClient

from backend.accounts.models import AccessToken, Role
from backend.accounts.operations import (
    create_account,
    issue_account_token,
    issue_patient_token,
    revoke_token,
)
from backend.audit.actions import Action
from backend.audit.actors import Actor, system_actor
from backend.audit.anchors import Folder, send_checkpoints
from backend.audit.keys import destroy_subject_keys
from backend.audit.models import AuditLog
from backend.audit.restoring import note_backup, note_restore
from backend.audit.rotation import rotate_keys
from backend.audit.sequencing import sequence_all
from backend.audit.verifying import verify_log
from backend.clinics.queries import ClinicFacts
from backend.consent.models import ConsentEvent
from backend.consent.operations import (
    Expression,
    approve_notice,
    confirm_error,
    draft_notice,
    end_consents,
    give_consent,
    invalidate_consents,
    judge_ages_anew,
    note_asked,
    note_impact_assessment,
    note_notice_served,
    object_to,
    publish_draft,
    rebuild_states,
    refuse_consent,
    remind_of_renewal,
    replace_receipt_key,
    report_error,
    revoke_consents,
    take_back_objection,
    withdraw_consent,
)
from backend.consent.queries import get_purpose
from backend.messaging import operations as templates
from backend.messaging.calls import CallOutcome, end_call, take_call
from backend.messaging.carriers.base import FailureCode, InDoubt, PermanentFailure
from backend.messaging.delivery import deliver_due_messages
from backend.messaging.doubts import look_into_doubts, settle_doubt
from backend.messaging.letters import make_print_batch, print_batch_pdf
from backend.messaging.links import Way
from backend.messaging.models import Message
from backend.messaging.operations.leaving import make_links, take_inbound_sms
from backend.messaging.previewing import preview_preferences
from backend.messaging.reports import work_off_reports
from backend.patients.models import ContactPoint, Representative, SuppressedBy
from backend.patients.operations import (
    ask_for_erasure,
    erase_patient,
    hide_purposes,
    import_records,
    lift_restriction,
    remove_contact_point,
    restrict_processing,
    take_back_erasure,
    verify_contact_point,
)
from backend.patients.operations.contact_points import note_bounced, prepare_code
from backend.patients.suppression import Lifting, lift_suppression, suppress_contact_points_of
from backend.policy.vocabulary import (
    Channel,
    ErasureGround,
    EventKind,
    Language,
    LiftingReason,
    Materiality,
    Method,
    ObjectionScope,
    RestrictionGround,
    Tone,
)
from backend.preferences.operations import PreferenceChange, change_preferences
from backend.privacy.portability import Form, export_own_data
from backend.programmes.operations import compute_reach, pause_programme, plan_programmes
from backend.programmes.queries import get_programme_by_slug
from backend.vault.keyring import SYSTEM
from tests.conftest import HOUR
from tests.factories import records
from tests.factories.carriers import Forgetful, carriers_in_test, taken
from tests.factories.clinics import make_clinic, make_member
from tests.factories.keys import key_file_of_its_own
from tests.factories.log import actions_recorded
from tests.factories.patients import PatientInTest, consent, correct_birth_date, make_appointment, make_patient
from tests.factories.programmes import REMINDER, define_words, make_mistaken_purpose, run_programme, whole_notice
from tests.factories.tampering import forge
from tests.messaging.test_calls import VISIT, offer_by
from tests.messaging.test_letters import address

ROOT = Path(__file__).resolve().parent.parent.parent
TOMORROW = timedelta(days=1, hours=4)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Where it is played, and by whom."""

    clinic: ClinicFacts
    patient: PatientInTest
    manager: Actor
    dpo: Actor
    now: datetime

    @property
    def of_clinic(self):
        return {"clinic_id": self.clinic.id, "actor": self.manager, "now": self.now}

    @property
    def of_patient(self):
        return {**self.of_clinic, "patient_id": self.patient.id, "actor": self.patient.actor}

    def professional(self):
        return make_member(self.clinic.id, "approver@northgate", now=self.now, is_health_professional=True)

    def take(self, *lines):
        import_records(**self.of_clinic, records=lines, source="test")

    def programme(self):
        return get_programme_by_slug(clinic_id=self.clinic.id, slug=REMINDER).id

    def remind(self, behaviour=taken, *, later=timedelta(0), status="booked"):
        source_id = make_appointment(self.patient, starts_at=self.now + TOMORROW, now=self.now)
        plan_programmes(now=self.now)
        if status != "booked":
            make_appointment(
                self.patient, starts_at=self.now + TOMORROW, now=self.now, source_id=source_id, status=status
            )
            plan_programmes(now=self.now)
        deliver_due_messages(now=self.now + later, carriers=carriers_in_test(behaviour))

    def get(self, path, *, role=Role.STAFF, actor: Any = None):
        account = (actor or self.manager).id
        assert account is not None
        token = issue_account_token(
            clinic_id=self.clinic.id,
            account_id=account,
            role=role,
            actor=system_actor(),
            now=self.now,
        )
        path = f"/api/v1/clinics/{self.clinic.slug}/{path}"
        answer = APIClient().get(path, HTTP_AUTHORIZATION=f"Bearer {token}")
        assert answer.status_code == 200
        if answer.streaming:
            answer.close()

    def point(self, kind="email"):
        return ContactPoint.objects.get(patient_id=self.patient.id, kind=kind, ended_at=None).id

    def prefer(self, **said):
        change_preferences(**self.of_patient, change=PreferenceChange(**said))


def revoke(stage):
    issue_patient_token(**stage.of_patient)
    revoke_token(token_id=AccessToken.objects.get().id, **stage.of_clinic)


def verify(stage):
    these = {**stage.of_patient, "contact_point_id": stage.point()}
    verify_contact_point(**these, code=prepare_code(**these))


def let_in(stage):
    forge()
    sequence_all(now=stage.now)


def guess(stage):
    with pytest.raises(Exception, match="wrong or too old"):
        verify_contact_point(**stage.of_patient, contact_point_id=stage.point(), code="nothing")


def refuse(stage):
    refuse_consent(
        **stage.of_patient,
        purpose=REMINDER,
        channels=[Channel.SMS],
        notice_version=1,
        language=Language.FRENCH,
        expression=Expression(
            method=Method.APP, occurred_at=stage.now, evidence={"notice_version": 1, "initial_state": "off"}
        ),
    )


def withdraw(stage):
    withdraw_consent(**stage.of_patient, purpose=REMINDER, channels=[Channel.SMS], method=Method.APP)


def suppress_number(stage):
    suppress_contact_points_of(**{**stage.of_patient, "actor": stage.manager}, source=SuppressedBy.ERASURE)


def lift(stage):
    suppress_number(stage)
    lift_suppression(
        **{**stage.of_patient, "actor": stage.dpo},
        contact_point_id=stage.point(),
        channel=Channel.EMAIL,
        reason=Lifting.OWNER_ASKED,
    )


APP = {"notice_version": 1, "initial_state": "off"}


def in_the_app(stage):
    return Expression(method=Method.APP, occurred_at=stage.now, evidence=APP)


def on_paper(stage):
    evidence = {"form_reference": "F-1", "signed_on": "2026-10-14"}
    return Expression(method=Method.PAPER_FORM, occurred_at=stage.now, evidence=evidence)


def say_yes(stage, patient, expression, *, purpose=REMINDER, actor=None, **more):
    return give_consent(
        **{
            **stage.of_clinic,
            "patient_id": patient.id,
            "purpose": purpose,
            "channels": [Channel.SMS],
            "notice_version": 1,
            "language": Language.FRENCH,
            "expression": expression,
            "actor": actor or patient.actor,
            **more,
        }
    )


def child_of(stage, born=date(2015, 1, 1)):
    return make_patient(stage.clinic.id, now=stage.now, birth_date=born)


def asked(stage, kind):
    note_asked(kind, **stage.of_patient, purpose=REMINDER, channels=[Channel.SMS], method=Method.APP)


def object_now(stage):
    return object_to(**stage.of_patient, scope=ObjectionScope.PURPOSE, purpose=REMINDER, expression=in_the_app(stage))


def take_back(stage):
    objected = object_now(stage)
    take_back_objection(**stage.of_patient, objection_id=objected.id, expression=in_the_app(stage))


def run_out(stage):
    end_consents(actor=system_actor("consent"), now=stage.now + timedelta(days=4 * 366))


def draft(stage):
    return draft_notice(**stage.of_clinic, **whole_notice(stage.clinic.id))


def approve(stage, **more):
    draft_id = draft(stage)
    said = {"materiality": Materiality.MATERIAL, "reason": "A new recipient.", "effective_from": stage.now}
    approve_notice(**{**stage.of_clinic, "actor": stage.dpo}, draft_id=draft_id, **said)
    return draft_id


def change_the_notice(stage):
    publish_draft(**stage.of_clinic, draft_id=approve(stage))
    end_consents(actor=system_actor("consent"), now=stage.now)


def come_of_age(stage):
    child = child_of(stage, born=date(2009, 1, 1))
    stage.take(records.mother(child.ipp))
    mother = Representative.objects.get(patient_id=child.id).id
    say_yes(stage, child, replace(in_the_app(stage), representatives=(mother,)))
    end_consents(actor=system_actor("consent"), now=stage.now + timedelta(days=200))


def turn_out_older(stage):
    child = child_of(stage, born=date(2015, 1, 1))
    stage.take(records.mother(child.ipp))
    mother = Representative.objects.get(patient_id=child.id).id
    say_yes(stage, child, replace(in_the_app(stage), representatives=(mother,)))
    correct_birth_date(child, date(2010, 1, 1), now=stage.now)
    judge_ages_anew(actor=system_actor("consent"), now=stage.now)


def slip(stage):
    told = say_yes(stage, stage.patient, on_paper(stage), actor=stage.manager)
    these = {**stage.of_clinic, "patient_id": stage.patient.id, "event_id": told.events[Channel.SMS]}
    report_error(**these, reason="wrong_patient")
    confirm_error(**{**these, "actor": stage.dpo})


def change_ones_mind_about_erasing(stage):
    who = {**stage.of_clinic, "patient_id": stage.patient.id}
    ask_for_erasure(**who, ground=ErasureGround.UNLAWFUL)
    take_back_erasure(**who)


def restrict(stage):
    restrict_processing(**stage.of_patient, ground=RestrictionGround.ACCURACY_CONTESTED)


def let_go_on(stage):
    restrict(stage)
    lift_restriction(**stage.of_patient, because=LiftingReason.PATIENT_ASKED, informed_on=None)


def represent(stage):
    child = child_of(stage)
    stage.take(records.mother(child.ipp))
    mother = Representative.objects.get(patient_id=child.id).id
    hide_purposes(
        **{**stage.of_clinic, "actor": child.actor}, patient_id=child.id, representative_id=mother, purposes=[REMINDER]
    )


def end_by(stage, operation, reason):
    operation(**{**stage.of_patient, "actor": stage.dpo}, purpose=REMINDER, channels=[Channel.SMS], reason=reason)


def make_link(stage):
    purpose = get_purpose(clinic_id=stage.clinic.id, slug=REMINDER)
    way = Way(clinic_id=stage.clinic.id, patient_id=stage.patient.id, purpose_id=purpose.id, channel=Channel.EMAIL)
    make_links([way], actor=stage.manager, now=stage.now)


def hear_stop(stage):
    make_patient(stage.clinic.id, now=stage.now, phone="+33639981112")
    take_inbound_sms(clinic_id=stage.clinic.id, sender="+33639981112", text="STOP", now=stage.now)


def put_off(stage):
    make_appointment(stage.patient, starts_at=stage.now + TOMORROW, now=stage.now)
    plan_programmes(now=stage.now)
    stage.prefer(quiet_from=time(9), quiet_to=time(12))
    deliver_due_messages(now=stage.now, carriers=carriers_in_test())


def leave_in_doubt(stage):
    stage.remind(lambda _message: InDoubt())
    return Message.objects.get(state="in_doubt")


def look_for(stage):
    leave_in_doubt(stage)
    look_into_doubts(now=stage.now + HOUR, carriers=dict.fromkeys(Channel, Forgetful()))


def settle_a_doubt(stage):
    doubt = leave_in_doubt(stage)
    settle_doubt(clinic_id=stage.clinic.id, message_id=doubt.id, left=True, actor=stage.manager, now=stage.now)


def call(stage):
    offer_by((Channel.CALL,), stage.clinic, doctor=stage.manager, now=stage.now)
    consent(stage.patient, purpose=VISIT, channels=[Channel.CALL], now=stage.now)
    make_appointment(stage.patient, starts_at=stage.now + TOMORROW, now=stage.now)
    plan_programmes(now=stage.now)
    message = Message.objects.get(channel=Channel.CALL)
    take_call(**stage.of_clinic, message_id=message.id)
    end_call(**stage.of_clinic, message_id=message.id, outcome=CallOutcome.REACHED)


def print_letters(stage):
    offer_by((Channel.LETTER,), stage.clinic, doctor=stage.manager, now=stage.now)
    consent(stage.patient, purpose=VISIT, channels=[Channel.LETTER], now=stage.now)
    address(stage.patient, stage.now)
    make_appointment(stage.patient, starts_at=stage.now + TOMORROW, now=stage.now)
    plan_programmes(now=stage.now)
    batch = make_print_batch(**stage.of_clinic)
    print_batch_pdf(**stage.of_clinic, batch_id=batch.id)


def opt_out(stage):
    stage.remind(lambda _: PermanentFailure(FailureCode.RECIPIENT_OPTED_OUT))
    work_off_reports(now=stage.now)


def start_another(stage):
    other = make_clinic("eastside", now=stage.now)
    define_words(other.id, actor=stage.manager, now=stage.now)
    return other


def run_another(stage):
    """In a clinic of its own, where no programme has this name yet."""
    other = start_another(stage)
    doctor = make_member(other.id, "doctor@eastside", now=stage.now, is_health_professional=True)
    run_programme(other.id, REMINDER, manager=stage.manager, doctor=doctor, now=stage.now)


def draft_words(stage):
    """New words for the reminder, by SMS to whoever is written to formally in French, and by push in both forms."""
    words = [
        templates.VariantText(
            channel=channel,
            language=Language.FRENCH,
            tone=Tone.FORMAL,
            subject="" if channel is Channel.SMS else "{{ clinic.discreet_name }}",
            body="{{ clinic.discreet_name }} : le {{ appointment.short_date }}.",
        )
        for channel in (Channel.SMS, Channel.PUSH, Channel.EMAIL)
    ]
    return templates.save_draft(slug=REMINDER, purpose=REMINDER, variants=words, **stage.of_clinic)


def discard_words(stage):
    draft_words(stage)
    templates.discard_draft(slug=REMINDER, **stage.of_clinic)


def reword(stage):
    make_appointment(stage.patient, starts_at=stage.now + timedelta(days=3) + TOMORROW, now=stage.now)
    plan_programmes(now=stage.now)
    templates.publish_draft(slug=REMINDER, revision=draft_words(stage).revision, reword_planned=True, **stage.of_clinic)


def rotate(stage):
    rotate_keys(actor=system_actor("rotation"), now=stage.now)


PROVOKED = {
    Action.KEYS_CREATED: lambda stage: stage.take(records.patient("new")),
    Action.KEY_DESTROYED: lambda stage: destroy_subject_keys(
        subject_id=stage.patient.id, reason="erasure", **stage.of_clinic
    ),
    Action.CLINIC_KEY_BEGUN: rotate,
    Action.KEYS_REWRAPPED: rotate,
    Action.CLINIC_KEY_DESTROYED: rotate,
    Action.PROVIDER_EPOCH_BEGUN: rotate,
    Action.PROVIDER_EPOCH_DESTROYED: rotate,
    Action.BACKUP_TAKEN: lambda stage: note_backup("data", actor=stage.manager, now=stage.now),
    Action.LOG_RESTORED: lambda stage: note_restore(actor=stage.manager, now=stage.now),
    Action.CLINIC_CREATED: start_another,
    Action.ACCOUNT_CREATED: lambda stage: create_account(handle="new@eastside", actor=stage.manager, now=stage.now),
    Action.MEMBER_ADDED: lambda stage: make_member(stage.clinic.id, "new@northgate", now=stage.now),
    Action.TOKEN_ISSUED: lambda stage: issue_patient_token(**stage.of_patient),
    Action.TOKEN_REVOKED: revoke,
    Action.ACCESS_REFUSED: guess,
    Action.PATIENT_CREATED: lambda stage: stage.take(records.patient("new")),
    Action.PATIENT_UPDATED: lambda stage: stage.take(records.patient(stage.patient.ipp)),
    Action.PATIENT_DECEASED: lambda stage: stage.take(records.patient("new", deceased=True)),
    Action.PATIENT_READ: lambda stage: stage.get(f"patients/{stage.patient.id}"),
    Action.PATIENTS_LISTED: lambda stage: stage.get("patients"),
    Action.REPRESENTATIVE_RECORDED: lambda stage: stage.take(records.mother(stage.patient.ipp)),
    Action.CONTACT_POINT_ADDED: lambda stage: make_patient(stage.clinic.id, now=stage.now),
    Action.CONTACT_POINT_ATTESTED: lambda stage: make_patient(stage.clinic.id, now=stage.now),
    Action.CONTACT_POINT_CODE_SENT: lambda stage: prepare_code(**stage.of_patient, contact_point_id=stage.point()),
    Action.CONTACT_POINT_VERIFIED: verify,
    Action.CONTACT_POINT_REMOVED: lambda stage: remove_contact_point(
        **stage.of_patient, contact_point_id=stage.point(), reason="not_mine"
    ),
    Action.CONTACT_POINT_BOUNCED: lambda stage: note_bounced(
        **stage.of_patient, contact_point_id=stage.point(), reason="bounced"
    ),
    Action.CONTACT_SUPPRESSED: suppress_number,
    Action.SUPPRESSION_LIFTED: lift,
    Action.LINKS_MADE: make_link,
    Action.STOP_RECEIVED: hear_stop,
    Action.STOPS_READ: lambda stage: stage.get("stops"),
    Action.OCCASION_RECORDED: lambda stage: stage.remind(),
    Action.OCCASION_CHANGED: lambda stage: stage.remind(status="cancelled"),
    Action.IMPORT_STARTED: lambda stage: stage.take(),
    Action.IMPORT_FINISHED: lambda stage: stage.take(),
    Action.PURPOSE_DEFINED: start_another,
    Action.PURPOSE_BASIS_CORRECTED: lambda stage: (
        make_mistaken_purpose(stage.clinic.id, actor=stage.manager, now=stage.now),
        call_command("prepare", verbosity=0),
    ),
    Action.NOTICE_PUBLISHED: start_another,
    Action.CONSENT_GIVEN: lambda stage: consent(
        make_patient(stage.clinic.id, now=stage.now), purpose=REMINDER, channels=[Channel.SMS], now=stage.now
    ),
    Action.CONSENT_REFUSED: refuse,
    Action.CONSENT_WITHDRAWN: withdraw,
    Action.CONSENT_RENEWED: lambda stage: say_yes(stage, stage.patient, in_the_app(stage)),
    Action.CONSENT_PENDING: lambda stage: say_yes(stage, child_of(stage), in_the_app(stage)),
    Action.CONSENT_REQUESTED: lambda stage: asked(stage, EventKind.REQUESTED),
    Action.CONSENT_DEFERRED: lambda stage: asked(stage, EventKind.DEFERRED),
    Action.CONSENT_UNKNOWN: lambda stage: asked(stage, EventKind.UNKNOWN),
    Action.CONSENT_OBJECTED: object_now,
    Action.CONSENT_OBJECTION_LIFTED: take_back,
    Action.OBJECTION_MADE: object_now,
    Action.OBJECTION_TAKEN_BACK: take_back,
    Action.CONSENT_EXPIRED: run_out,
    Action.CONSENT_RECONSENT_REQUIRED: change_the_notice,
    Action.CONSENT_ENDED: come_of_age,
    Action.CONSENT_AGE_CORRECTED: turn_out_older,
    Action.AGES_JUDGED: turn_out_older,
    Action.CONSENT_REVOKED: lambda stage: end_by(stage, revoke_consents, "purpose_given_up"),
    Action.CONSENT_INVALIDATED: lambda stage: end_by(stage, invalidate_consents, "form_unreadable"),
    Action.CONSENT_ERROR_REPORTED: slip,
    Action.CONSENT_ENTERED_IN_ERROR: slip,
    Action.PATIENT_ERASED: lambda stage: erase_patient(**stage.of_clinic, patient_id=stage.patient.id),
    Action.PATIENT_ERASURE_ASKED: lambda stage: ask_for_erasure(
        **stage.of_clinic, patient_id=stage.patient.id, ground=ErasureGround.UNLAWFUL
    ),
    Action.PATIENT_ERASURE_TAKEN_BACK: change_ones_mind_about_erasing,
    Action.PATIENT_RESTRICTED: restrict,
    Action.PATIENT_RESTRICTION_LIFTED: let_go_on,
    Action.NOTICE_DRAFTED: draft,
    Action.NOTICE_APPROVED: approve,
    Action.PURPOSE_REMINDS: lambda stage: remind_of_renewal(**stage.of_clinic, purpose=REMINDER, reminds=True),
    Action.PURPOSE_ASSESSED: lambda stage: note_impact_assessment(
        **stage.of_clinic, purpose=REMINDER, reference="DPIA 2026-1"
    ),
    Action.NOTICE_SERVED: lambda stage: note_notice_served(
        **stage.of_patient, version=1, language=Language.FRENCH, surface={"screen": "choices"}
    ),
    Action.REPRESENTATION_CHANGED: represent,
    Action.RECEIPT_ISSUED: lambda stage: stage.get(
        f"patients/{stage.patient.id}/consents/{ConsentEvent.objects.filter(patient_id=stage.patient.id).first().id}"
        "/receipt"
    ),
    Action.KEY_REPLACED: lambda stage: replace_receipt_key(actor=stage.manager, now=stage.now),
    Action.RECEIPT_KEY_PUBLISHED: lambda stage: replace_receipt_key(actor=stage.manager, now=stage.now),
    Action.CONSENTS_READ: lambda stage: stage.get(f"patients/{stage.patient.id}/consents"),
    Action.STATES_REBUILT: lambda stage: rebuild_states(**stage.of_clinic),
    Action.PREFERENCES_CHANGED: lambda stage: stage.prefer(digest=True),
    Action.PREFERENCES_PREVIEWED: lambda stage: preview_preferences(
        **stage.of_patient, change=PreferenceChange(digest=True), days=30
    ),
    Action.PROGRAMME_CREATED: run_another,
    Action.PROGRAMME_APPROVED: run_another,
    Action.PROGRAMME_STARTED: run_another,
    Action.PROGRAMME_PAUSED: lambda stage: pause_programme(**stage.of_clinic, programme_id=stage.programme()),
    Action.PATIENT_ENROLLED: lambda stage: stage.remind(),
    Action.REACH_COMPUTED: lambda stage: compute_reach(**stage.of_clinic, programme_id=stage.programme()),
    Action.PLANNING_STARTED: lambda stage: stage.remind(),
    Action.MESSAGE_PLANNED: lambda stage: stage.remind(),
    Action.MESSAGE_WITHHELD: lambda stage: (stage.prefer(purposes={REMINDER: False}), stage.remind()),
    Action.MESSAGE_DEFERRED: put_off,
    Action.MESSAGE_CANCELLED: lambda stage: stage.remind(status="cancelled"),
    Action.MESSAGE_EXPIRED: lambda stage: stage.remind(later=23 * HOUR),
    Action.MESSAGE_CLAIMED: lambda stage: stage.remind(),
    Action.MESSAGE_HANDED_OVER: lambda stage: stage.remind(),
    Action.MESSAGE_FAILED: lambda stage: stage.remind(lambda _: PermanentFailure(FailureCode.ADDRESS_GONE)),
    Action.MESSAGE_IN_DOUBT: lambda stage: stage.remind(lambda _: InDoubt()),
    Action.LETTERS_PRINTED: print_letters,
    Action.CALL_TAKEN: call,
    Action.CALL_ENDED: call,
    Action.MESSAGE_SOUGHT: look_for,
    Action.MESSAGE_DOUBT_SETTLED: settle_a_doubt,
    Action.MESSAGE_REPORT_KEPT: opt_out,
    Action.MESSAGE_REPORTED: opt_out,
    Action.MESSAGES_READ: lambda stage: (stage.remind(), stage.get("messages")),
    Action.TEMPLATE_PUBLISHED: start_another,
    Action.TEMPLATE_DRAFTED: draft_words,
    Action.TEMPLATE_DISCARDED: discard_words,
    Action.TEMPLATE_APPROVED: lambda stage: templates.approve_draft(
        slug=REMINDER, revision=draft_words(stage).revision, **stage.of_clinic | {"actor": stage.professional()}
    ),
    Action.MESSAGE_REWORDED: reword,
    Action.LOG_READ: lambda stage: stage.get("audit/entries", role=Role.DPO, actor=stage.dpo),
    Action.CONSENTS_EXPORTED: lambda stage: stage.get("consents/export", role=Role.DPO, actor=stage.dpo),
    Action.OWN_DATA_EXPORTED: lambda stage: export_own_data(**stage.of_patient, form=Form.JSON),
    Action.LOG_EXPORTED: lambda stage: stage.get("audit/export", role=Role.DPO, actor=stage.dpo),
    Action.LOG_VERIFIED: lambda stage: (sequence_all(now=stage.now), verify_log(**stage.of_clinic, kept=None)),
    Action.ENTRIES_REFUSED: let_in,
    Action.CHECKPOINTS_SENT: lambda stage: (
        sequence_all(now=stage.now),
        send_checkpoints(now=stage.now, places=[Folder(Path(settings.ACCORD_DATA_DIR) / "officer")]),
    ),
}
# A log is signed only once it was committed.
ONCE_COMMITTED: set[Action] = {
    Action.CONSENTS_EXPORTED,
    Action.LOG_EXPORTED,
    Action.LOG_VERIFIED,
    Action.ENTRIES_REFUSED,
    Action.CHECKPOINTS_SENT,
}


@pytest.fixture
def stage(northgate, consenting, manager, dpo, now, settings):
    settings.ACCORD_CLOCK_OFFSET = (now - timezone.now()).total_seconds()
    cache.clear()
    with key_file_of_its_own():
        yield Stage(clinic=northgate, patient=consenting, manager=manager, dpo=dpo, now=now)


def everywhere():
    counts: dict[Action, int] = {}
    for clinic_id in {SYSTEM, *AuditLog.objects.values_list("clinic_id", flat=True)}:
        for action, count in actions_recorded(clinic_id).items():
            counts[action] = counts.get(action, 0) + count
    return counts


@pytest.mark.parametrize(
    "action", [action for action in Action if action not in ONCE_COMMITTED], ids=lambda action: action.spec.code
)
def test_the_product_does_it_and_the_log_tells(stage, action):
    _provoke(stage, action)


@pytest.mark.parametrize(
    "action", [action for action in Action if action in ONCE_COMMITTED], ids=lambda action: action.spec.code
)
def test_the_product_does_it_once_everything_is_committed(transactional_db, stage, action):
    _provoke(stage, action)


def _provoke(stage, action):
    before = everywhere().get(action, 0)

    PROVOKED[action](stage)

    assert everywhere().get(action, 0) > before


def test_nothing_is_on_the_list_that_the_product_never_does():
    named = {
        node.attr
        for path in (ROOT / "backend").rglob("*.py")
        if path.name != "actions.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Action"
    }

    assert {action.name for action in Action} <= named
    assert set(PROVOKED) == set(Action)
