"""Promise 10, where messages are planned and sent: log lines, error texts and stored outcomes name nobody."""

import logging
from datetime import date, timedelta
from typing import Any

import pytest

from backend.audit.actors import system_actor
from backend.errors import DomainError
from backend.messaging.carriers.base import FailureCode, InDoubt, PermanentFailure, Receipt, TemporaryFailure
from backend.messaging.delivery import deliver_due_messages
from backend.messaging.held import Pace
from backend.messaging.models import Message
from backend.messaging.outcomes import reconcile_attempts
from backend.patients.models import ContactKind
from backend.patients.operations import (
    ImportRow,
    add_contact_point,
    import_records,
    register_device,
    verify_contact_point,
)
from backend.policy.vocabulary import Channel
from backend.programmes.operations import plan_programmes
from backend.vault.identifiers import new_id
from sandbox import Fault
from tests.conftest import DAY
from tests.factories import records
from tests.factories.carriers import carriers_in_test, given_to
from tests.factories.patients import consent, make_appointment, make_patient
from tests.factories.programmes import REMINDER

PERSONAL = {
    "family name": "Quarkenbusch",
    "given name": "Philomenus",
    "telephone": "639981234",
    "e-mail": "philomenus.q@example.org",
    "birth date": "1951-11-03",
    "place": "Salle Mirabelle",
}
TOMORROW = timedelta(days=1, hours=4)


@pytest.fixture
def known(northgate, now):
    """Somebody with a name and a number that stand nowhere else, who said yes to everything."""
    patient = make_patient(
        northgate.id,
        now=now - DAY,
        family_name=PERSONAL["family name"],
        given_names=(PERSONAL["given name"],),
        birth_date=date(1951, 11, 3),
        phone=f"+33{PERSONAL['telephone']}",
        email=PERSONAL["e-mail"],
        device=False,
    )
    consent(patient, purpose=REMINDER, channels=[Channel.SMS, Channel.EMAIL], now=now - DAY)
    return patient


def personal_in(text):
    return [name for name, value in PERSONAL.items() if value.lower() in text.lower()]


def lines_of(caplog):
    """Every line as any formatter could write it, tracebacks included."""
    formatter = logging.Formatter("%(name)s %(message)s %(args)s")
    return "\n".join(formatter.format(line) for line in caplog.records)


FAULTS = ["http_500", "rate_limited", "garbage", "reset", "refuse_address", "unregistered", "auth", "hang"]


@pytest.mark.parametrize("kind", FAULTS)
def test_no_log_line_of_a_whole_run_names_anybody_whatever_the_carrier_does(
    known, sandbox, carriers, now, caplog, kind
):
    caplog.set_level(logging.DEBUG)
    sandbox.faults.push(Fault(channel="sms", kind=kind, times=20))
    make_appointment(known, starts_at=now + TOMORROW, now=now)

    plan_programmes(now=now)
    deliver_due_messages(now=now, carriers=carriers, pace=Pace(call=1, lease=10))
    reconcile_attempts(now=now)

    message = Message.objects.get()
    assert message.state != "handing_over"
    # The sandbox, a stranger, may log what it likes; only the product is looked at.
    ours = [line for line in caplog.records if not line.name.startswith(("sandbox", "mail", "aiosmtpd"))]
    caplog.records[:] = ours
    assert personal_in(lines_of(caplog)) == []
    assert personal_in(f"{message.failure} {message.carrier} {message.carrier_reference} {message.verdict}") == []


class Chatty(Exception):
    """What a careless library might raise."""


@pytest.mark.parametrize(
    "behaviour",
    [
        lambda message: Receipt(message.message_id.hex),
        lambda _message: InDoubt(),
        lambda _message: TemporaryFailure(FailureCode.RATE_LIMITED),
        lambda _message: PermanentFailure(FailureCode.ADDRESS_GONE),
        lambda message: (_ for _ in ()).throw(Chatty(message.to, message.text)),
    ],
    ids=["taken", "in doubt", "later", "never", "broken off"],
)
def test_no_log_line_names_anybody_whatever_comes_back(known, now, caplog, behaviour):
    caplog.set_level(logging.DEBUG)
    make_appointment(known, starts_at=now + TOMORROW, now=now)

    plan_programmes(now=now)
    deliver_due_messages(now=now, carriers=carriers_in_test(behaviour))

    assert personal_in(lines_of(caplog)) == []


def test_no_error_repeats_what_it_was_given(known, now):
    these = {"clinic_id": known.clinic_id, "patient_id": known.id, "actor": known.actor, "now": now}
    refused = [
        lambda: add_contact_point(**these, kind=ContactKind.PHONE, value=f"12 {PERSONAL['telephone']}", region="FR"),
        lambda: add_contact_point(**these, kind=ContactKind.EMAIL, value=f"{PERSONAL['e-mail']}@", region="FR"),
        lambda: register_device(**these, token=PERSONAL["e-mail"] * 400),
        lambda: verify_contact_point(**these, contact_point_id=new_id(), code=PERSONAL["telephone"]),
    ]

    for act in refused:
        with pytest.raises(DomainError) as error:
            act()
        assert personal_in(f"{error.value} {error.value!r} {error.value.field} {error.value.extra}") == []


def test_no_line_of_an_import_report_repeats_what_the_source_says(northgate, now, caplog):
    caplog.set_level(logging.DEBUG)
    rows: list[ImportRow] = []
    who: dict[str, Any] = {"family_name": PERSONAL["family name"], "given_names": (PERSONAL["given name"],)}
    import_records(
        clinic_id=northgate.id,
        records=[
            records.patient("1", **who),
            records.patient("1", line=2, **who),
            records.appointment("nobody", starts_at=now, place=PERSONAL["place"]),
        ],
        source="test",
        actor=system_actor("import"),
        now=now,
        on_row=rows.append,
    )

    assert personal_in(f"{rows} {lines_of(caplog)}") == []
    assert len(rows) == 3


def test_a_message_on_its_way_shows_nobody_when_it_is_printed(known, now):
    carriers = carriers_in_test()
    make_appointment(known, starts_at=now + TOMORROW, now=now)
    plan_programmes(now=now)
    deliver_due_messages(now=now, carriers=carriers)

    (given,) = given_to(carriers)
    assert PERSONAL["telephone"] in given.to
    assert personal_in(f"{given} {given!r} {Message.objects.get().__dict__}") == []
