"""The officer takes the consents away through the API; nobody else does."""

from typing import Any

import pytest

from backend.audit.actions import Action
from tests.api.conftest import Client
from tests.api.test_proofs import body
from tests.factories.exports import Export
from tests.factories.log import actions_recorded
from tests.factories.patients import PatientInTest
from tests.factories.programmes import RECALL

EXPORT = "/api/v1/clinics/northgate/consents/export"


@pytest.fixture(autouse=True)
def _committed(transactional_db: None) -> None:
    """A log is signed only once it was committed."""


def test_the_officer_gets_one_signed_file(officer: Client, consenting: PatientInTest) -> None:
    answer = officer.get(EXPORT)
    export = Export(body(answer))

    assert (answer.status_code, answer["Content-Type"]) == (200, "application/zip")
    assert answer["Content-Disposition"] == 'attachment; filename="northgate-consents-2026-10-14.zip"'
    assert answer["Cache-Control"] == "no-store"
    assert {"consents.csv", "events.csv", "consents.xlsx"} <= set(export.names)
    assert len(export.table("events")) == 6
    export.facts()


def test_the_officer_gets_what_they_ask_for(officer: Client, consenting: Any, withdrawn: Any) -> None:
    asked = {"format": "csv", "from": "2026-10-01", "to": "2026-10-14", "purpose": RECALL, "patient": withdrawn.id}

    export = Export(body(officer.get(EXPORT, asked)))

    assert {(row["patient"], row["purpose"]) for row in export.table("events")} == {(str(withdrawn.id), RECALL)}
    assert "consents.xlsx" not in export.names


@pytest.mark.parametrize(
    "wrong",
    [
        {"format": "pdf"},
        {"from": "14.10.2026"},
        {"to": "2026-13-01"},
        {"from": "2026-10-02", "to": "2026-10-01"},
        {"purpose": "Not A Slug"},
        {"patient": "somebody"},
        {"period": "2026"},
    ],
)
def test_what_can_not_be_meant_is_refused(officer: Client, wrong: dict[str, str]) -> None:
    assert officer.get(EXPORT, wrong).status_code == 400


def test_only_the_officer_of_this_clinic_may(
    desk: Client, stranger: Client, me: Client, nobody: Client, officer: Client, northgate: Any, outsider: Any
) -> None:
    answers = [who.get(EXPORT).status_code for who in (desk, stranger, me, nobody)]

    assert answers == [403, 403, 403, 401]
    for unknown in ({"purpose": "nothing"}, {"patient": "00000000-0000-4000-8000-000000000000"}):
        assert officer.get(EXPORT, unknown).status_code == 400
    assert actions_recorded(northgate.id)[Action.CONSENTS_EXPORTED] == 0
