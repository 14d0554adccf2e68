"""Kantara 1.1: its own schema accepts every receipt, and there is none where no yes stands."""

import json

import jsonschema_rs
import pytest

from backend.consent.standards.kantara import NoYes, kantara_receipt
from backend.policy.vocabulary import ConsentStatus, EventKind
from tests.consent.standards.cases import RECEIPT, every_case, record


def receipt_of(case):
    return kantara_receipt(case, receipt_id=RECEIPT)


def receipts():
    return {name: receipt_of(case) for name, case in every_case() if case.status is ConsentStatus.GIVEN}


@pytest.mark.needs_data
def test_the_official_schema_accepts_every_receipt(third_party_data):
    [path] = [one for one in (third_party_data / "oracles" / "kantara").glob("*") if "schema" in one.name.lower()]
    validator = jsonschema_rs.validator_for(json.loads(path.read_text("utf-8")))

    assert {name: [str(one) for one in validator.iter_errors(told)] for name, told in receipts().items()} == {
        name: [] for name in receipts()
    }
    one = next(iter(receipts().values()))
    assert not validator.is_valid(one | {"consentTimestamp": "2026-10-14"})
    assert not validator.is_valid({key: value for key, value in one.items() if key != "spiCat"})


@pytest.mark.parametrize(
    "kinds", [[EventKind.REFUSED], [EventKind.PENDING], [EventKind.GIVEN, EventKind.WITHDRAWN], [EventKind.OBJECTED]]
)
def test_where_no_yes_stands_there_is_no_receipt_of_one(kinds):
    with pytest.raises(NoYes):
        kantara_receipt(record(*kinds), receipt_id=RECEIPT)


def test_the_fields_that_must_say_something_do():
    for told in receipts().values():
        [service] = told["services"]
        [purpose] = service["purposes"]
        assert all([told["jurisdiction"], told["collectionMethod"], told["policyUrl"], service["service"]])
        assert purpose["termination"].startswith("Until withdrawn")
        assert bool(told["spiCat"]) is told["sensitive"]
    services = {told["services"][0]["service"] for told in receipts().values()}
    assert services >= {"Text messages (sms)", "E-mail (email)"}
