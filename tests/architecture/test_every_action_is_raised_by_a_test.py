"""Everything on the closed list of actions is something the product does: here each is provoked, through its edges."""

import ast
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
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
from backend.audit.keys import destroy_subject_keys
from backend.audit.models import AuditLog
from backend.clinics.queries import ClinicFacts
from backend.consent.operations import Expression, rebuild_states, refuse_consent, withdraw_consent
from backend.messaging.carriers.base import FailureCode, InDoubt, PermanentFailure
from backend.messaging.delivery import deliver_due_messages
from backend.patients.models import ContactPoint
from backend.patients.operations import import_records, remove_contact_point, verify_contact_point
from backend.patients.operations.contact_points import prepare_code
from backend.policy.vocabulary import Channel, Language, Method
from backend.preferences.operations import PreferenceChange, change_preferences
from backend.programmes.operations import compute_reach, pause_programme, plan_programmes
from backend.programmes.queries import get_programme_by_slug
from backend.vault.keyring import SYSTEM
from tests.conftest import HOUR
from tests.factories import records
from tests.factories.carriers import carriers_in_test, taken
from tests.factories.clinics import make_clinic, make_member
from tests.factories.log import actions_recorded
from tests.factories.patients import PatientInTest, consent, make_appointment, make_patient
from tests.factories.programmes import REMINDER, define_words, run_programme

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
        assert answer.status_code == 200, answer.content

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


def put_off(stage):
    make_appointment(stage.patient, starts_at=stage.now + TOMORROW, now=stage.now)
    plan_programmes(now=stage.now)
    stage.prefer(quiet_from=time(9), quiet_to=time(12))
    deliver_due_messages(now=stage.now, carriers=carriers_in_test())


def start_another(stage):
    other = make_clinic("eastside", now=stage.now)
    define_words(other.id, actor=stage.manager, now=stage.now)
    return other


def run_another(stage):
    """In a clinic of its own, where no programme has this name yet."""
    other = start_another(stage)
    doctor = make_member(other.id, "doctor@eastside", now=stage.now, is_health_professional=True)
    run_programme(other.id, REMINDER, manager=stage.manager, doctor=doctor, now=stage.now)


PROVOKED = {
    Action.KEYS_CREATED: lambda stage: stage.take(records.patient("new")),
    Action.KEY_DESTROYED: lambda stage: destroy_subject_keys(
        subject_id=stage.patient.id, reason="erasure", **stage.of_clinic
    ),
    Action.CLINIC_CREATED: start_another,
    Action.ACCOUNT_CREATED: lambda stage: create_account(handle="new@eastside", actor=stage.manager, now=stage.now),
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
    Action.OCCASION_RECORDED: lambda stage: stage.remind(),
    Action.OCCASION_CHANGED: lambda stage: stage.remind(status="cancelled"),
    Action.IMPORT_STARTED: lambda stage: stage.take(),
    Action.IMPORT_FINISHED: lambda stage: stage.take(),
    Action.PURPOSE_DEFINED: start_another,
    Action.NOTICE_PUBLISHED: start_another,
    Action.CONSENT_GIVEN: lambda stage: consent(stage.patient, purpose=REMINDER, channels=[Channel.SMS], now=stage.now),
    Action.CONSENT_REFUSED: refuse,
    Action.CONSENT_WITHDRAWN: withdraw,
    Action.CONSENTS_READ: lambda stage: stage.get(f"patients/{stage.patient.id}/consents"),
    Action.STATES_REBUILT: lambda stage: rebuild_states(**stage.of_clinic),
    Action.PREFERENCES_CHANGED: lambda stage: stage.prefer(digest=True),
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
    Action.MESSAGES_READ: lambda stage: (stage.remind(), stage.get("messages")),
    Action.TEMPLATE_PUBLISHED: start_another,
    Action.LOG_READ: lambda stage: stage.get("audit/entries", role=Role.DPO, actor=stage.dpo),
}


@pytest.fixture
def stage(northgate, consenting, manager, dpo, now, settings):
    settings.ACCORD_CLOCK_OFFSET = (now - timezone.now()).total_seconds()
    cache.clear()
    return Stage(clinic=northgate, patient=consenting, manager=manager, dpo=dpo, now=now)


def everywhere():
    counts: dict[Action, int] = {}
    for clinic_id in {SYSTEM, *AuditLog.objects.values_list("clinic_id", flat=True)}:
        for action, count in actions_recorded(clinic_id).items():
            counts[action] = counts.get(action, 0) + count
    return counts


@pytest.mark.parametrize("action", Action, ids=lambda action: action.spec.code)
def test_the_product_does_it_and_the_log_tells(stage, action):
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
