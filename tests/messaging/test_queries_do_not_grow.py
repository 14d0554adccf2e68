"""Ten messages and two hundred cost the same number of queries, wherever a batch is looked at as a whole."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from backend.audit.actors import system_actor
from backend.messaging.delivery import claim, gate
from backend.messaging.filling import fill
from backend.messaging.gate import candidate_of, decide_all
from backend.messaging.held import Delivered
from backend.messaging.models import Message
from backend.patients.queries import contact_points_of, patients_by_id
from backend.policy.vocabulary import Channel
from backend.programmes.operations import compute_reach, plan_programme
from backend.programmes.queries import get_programme_by_slug
from backend.vault.keyring import keyring
from tests.conftest import DAY
from tests.factories.many import make_appointments, make_patients
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
