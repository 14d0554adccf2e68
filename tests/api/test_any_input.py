"""Whatever is sent, no address answers 500, and every answer is one that the description announces."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import schemathesis
from django.core.wsgi import get_wsgi_application
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.specs.openapi import checks

from backend.audit.actors import system_actor
from backend.config.management.commands import openapi
from backend.messaging.models import Message
from backend.patients.models import ContactPoint
from backend.programmes.operations import plan_programmes
from backend.programmes.queries import programmes_of
from tests.api.conftest import Client
from tests.factories.patients import make_appointment
from tests.factories.programmes import REMINDER

pytestmark = pytest.mark.django_db(transaction=True)

SENT = (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)
EXAMPLES = 12
CHECKS = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
]
few = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def known(northgate, consenting, now) -> dict[str, Any]:
    """Values that exist, so that some requests get as far as the operation."""
    make_appointment(consenting, starts_at=now + timedelta(days=1, hours=6), now=now)
    plan_programmes(now=now, actor=system_actor("planning"))
    return {
        "message_id": str(Message.objects.filter(patient_id=consenting.id).latest("id").id),
        "slug": "northgate",
        "patient_id": str(consenting.id),
        "patient": str(consenting.id),
        "contact_point_id": str(ContactPoint.objects.filter(patient_id=consenting.id, kind="email").get().id),
        "programme_id": str(programmes_of(northgate.id)[0].id),
        "purpose": REMINDER,
        "template": REMINDER,
        "channels": ["sms"],
        "channel": "sms",
        "notice_version": 1,
        "starts_at": "2026-12-09T14:30:00+01:00",
    }


@pytest.fixture
def _no_limit(settings) -> None:
    rates = {"token": "1000000/minute", "address": "1000000/minute"}
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "DEFAULT_THROTTLE_RATES": rates}


# Not config.wsgi: loading that asks the database whether this process may serve.
application = get_wsgi_application()


def as_a_server_does(environ: Any, start_response: Any) -> list[bytes]:
    """Take the whole answer, and close it: one that is a file holds it open until then."""
    answer = application(environ, start_response)
    try:
        return list(answer)
    finally:
        answer.close()


def try_everything(client: Client, known: dict[str, Any], is_mine: Callable[[str, str], bool]) -> int:
    described = json.loads(openapi.described())
    schema = schemathesis.openapi.from_dict(described)
    schema.app = as_a_server_does
    tried = 0
    for path, operations in described["paths"].items():
        for method in operations:
            if is_mine(path, method):
                for mode in SENT:
                    _try(schema[path][method.upper()], mode, client, known)
                tried += 1
    return tried


def _try(operation: Any, mode: Any, client: Client, known: dict[str, Any]) -> None:
    @few
    @given(case=operation.as_strategy(generation_mode=mode), is_deep=st.booleans())
    def run(case: Any, is_deep: bool) -> None:  # noqa: FBT001 - drawn by Hypothesis
        for name in case.path_parameters or {}:
            if name in known:
                case.path_parameters[name] = known[name]
        shown = {"Authorization": f"Bearer {client.token}", "Accept-Language": "en"}
        if is_deep:
            case.body = deepened(case.body, known)
            shown["If-Match"] = "*"
        case.call_and_validate(checks=CHECKS, headers=shown)

    run()


def deepened(body: Any, known: dict[str, Any]) -> Any:
    """The same body with values that exist, where it has a place for them."""
    if isinstance(body, dict):
        return {name: known.get(name, deepened(value, known)) for name, value in body.items()}
    if isinstance(body, list):
        return [deepened(value, known) for value in body]
    return body


@pytest.mark.usefixtures("_no_limit")
def test_whatever_an_app_sends(me: Client, known: dict[str, Any]) -> None:
    assert try_everything(me, known, lambda path, _method: path.startswith("/api/v1/me"))


@pytest.mark.usefixtures("_no_limit")
def test_whatever_staff_send(doctor: Client, known: dict[str, Any]) -> None:
    assert try_everything(doctor, known, lambda path, _method: path.startswith("/api/v1/clinics"))


@pytest.mark.usefixtures("_no_limit")
def test_whatever_the_officer_sends(officer: Client, known: dict[str, Any]) -> None:
    assert try_everything(officer, known, lambda path, method: "audit" in path or method == "patch")
