"""Ten messages and two hundred cost the same number of queries, wherever a batch is looked at as a whole."""

import re
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from backend.audit.actors import system_actor
from backend.consent.operations import Expression, object_to, withdraw_consent
from backend.messaging.delivery import claim, deliver_due_messages, gate
from backend.messaging.filling import fill
from backend.messaging.gate import candidate_of, decide_all
from backend.messaging.held import Delivered, Pace
from backend.messaging.models import Message
from backend.patients.queries import contact_points_of, patients_by_id
from backend.policy.vocabulary import Channel, MessageState, Method, ObjectionScope
from backend.programmes.operations import compute_reach, plan_programme
from backend.programmes.queries import get_programme_by_slug
from backend.vault.keyring import keyring
from tests.conftest import DAY
from tests.factories.carriers import carriers_in_test, given_to
from tests.factories.many import make_appointments, make_crowd, make_patients
from tests.factories.programmes import REMINDER

TOMORROW = timedelta(days=1, hours=4)
ACTOR = system_actor("delivery")
FEW, MANY = 10, 120


def counted(work):
    """How many queries it takes in a process that remembers no patient's key."""
    keyring().clear()
    with CaptureQueriesContext(
        connection,
    ) as seen:
        work()
    # bulk_create of many rows is cut into several statements where the database takes few parameters.
    return len([query for query in seen.captured_queries if not query["sql"].startswith("INSERT INTO")])


@pytest.fixture
def crowds(northgate, now):
    """Few patients, and many, each group with appointments on a day of its own."""
    groups = {}
    for days, size in enumerate((FEW, MANY)):
        patients = make_patients(northgate.id, how_many=size, now=now - DAY, purpose=REMINDER, channels=[Channel.SMS])
        make_appointments(patients, starts_at=now + TOMORROW + 10 * days * DAY, now=now)
        groups[size] = (patients, now + 10 * days * DAY)
    return groups


def test_planning_and_the_dry_run(northgate, reception, crowds):
    programme = get_programme_by_slug(clinic_id=northgate.id, slug=REMINDER)
    these = {"clinic_id": northgate.id, "programme_id": programme.id, "actor": reception}
    reach, planning = {}, {}
    for size, (_patients, now) in crowds.items():
        reach[size] = counted(lambda now=now: compute_reach(**these, now=now))
        planning[size] = counted(lambda now=now: plan_programme(**these, now=now))

    assert Message.objects.count() == FEW + MANY
    assert reach[FEW] == reach[MANY]
    assert planning[FEW] == planning[MANY]


def test_claim_gate_and_words(northgate, reception, crowds):
    programme = get_programme_by_slug(clinic_id=northgate.id, slug=REMINDER)
    taken: dict[str, dict[int, int]] = {"claim": {}, "decide": {}, "gate": {}, "fill": {}}
    for size, (_patients, now) in crowds.items():
        plan_programme(clinic_id=northgate.id, programme_id=programme.id, actor=reception, now=now)
        candidates = [
            candidate_of(message, programme_state="running") for message in Message.objects.filter(state="planned")
        ]
        assert len(candidates) == size
        taken["decide"][size] = counted(lambda c=candidates, now=now: decide_all(c, now=now))
        held: list[Any] = []
        done = Delivered()
        taken["claim"][size] = counted(
            lambda held=held, now=now: held.append(claim(now=now, limit=MANY, lease=timedelta(seconds=30), actor=ACTOR))
        )
        batch, entry = held[0]
        allowed: list[Any] = []
        taken["gate"][size] = counted(
            lambda b=batch, a=allowed, d=done, now=now: a.extend(gate(b, now=now, actor=ACTOR, done=d))
        )
        taken["fill"][size] = counted(
            lambda a=allowed, e=entry, d=done, now=now: fill(a, entry=e, now=now, actor=ACTOR, done=d)
        )
        assert len(allowed) == size

    assert {step: sizes[FEW] for step, sizes in taken.items()} == {step: sizes[MANY] for step, sizes in taken.items()}


def test_looking_patients_up(crowds):
    for work in (patients_by_id, contact_points_of):
        taken = {
            size: counted(lambda p=patients, work=work: work([one.id for one in p]))
            for size, (patients, _now) in crowds.items()
        }
        assert taken[FEW] == taken[MANY] <= 2


def test_the_facts_of_five_hundred_messages_take_as_many_queries_as_those_of_ten(northgate, reception, now):
    """The whole delivery, claim to carrier: since it was planned, every tenth withdrew, every tenth objected."""
    programme = get_programme_by_slug(clinic_id=northgate.id, slug=REMINDER)
    asked: dict[int, Counter[str]] = {}
    for days, size in enumerate((FEW, 500)):
        at = now + 10 * days * DAY
        patients = make_crowd(northgate.id, how_many=size, now=at - DAY, purpose=REMINDER, channel=Channel.SMS)
        make_appointments(patients, starts_at=at + TOMORROW, now=at)
        plan_programme(clinic_id=northgate.id, programme_id=programme.id, actor=reception, now=at)
        of_them = {"clinic_id": northgate.id, "actor": reception, "now": at}
        for gone, angry in zip(patients[::10], patients[1::10], strict=True):
            withdraw_consent(
                **of_them, patient_id=gone.id, purpose=REMINDER, channels=[Channel.SMS], method=Method.STAFF_WITHDRAWAL
            )
            object_to(
                **of_them,
                patient_id=angry.id,
                scope=ObjectionScope.PURPOSE,
                purpose=REMINDER,
                expression=Expression(method=Method.VERBAL, occurred_at=at),
            )
        carriers = carriers_in_test()
        keyring().clear()
        with CaptureQueriesContext(connection) as seen:
            done = deliver_due_messages(now=at, carriers=carriers, pace=Pace(batch=500, lease=60))
        assert len(given_to(carriers)) == done.counts[MessageState.SENT] == size * 8 // 10
        assert done.counts[MessageState.WITHHELD] == size * 2 // 10
        asked[size] = Counter(table for query in seen.captured_queries if (table := facts_of(query["sql"])))

    assert asked[FEW] == asked[500]
    assert {"consent_state", "consent_objection", "patients_patient", "patients_contact_point"} <= asked[500].keys()


def facts_of(statement: str) -> str | None:
    """Which table with facts a statement reads."""
    found = re.match(r'SELECT .*? FROM "?((?:clinics|consent|patients|preferences|programmes)_\w+)', statement)
    return found[1] if found else None
