"""A receipt is signed, names nobody, is found in the log by its hash, and outlives the key that signed it."""

import hashlib
import json
from base64 import urlsafe_b64decode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.core.management import call_command

from backend.audit.actions import Action
from backend.audit.actors import system_actor
from backend.audit.models import DataKey
from backend.audit.queries import entries_of, open_entries
from backend.audit.recording import record
from backend.consent.models import ConsentEvent, ReceiptKey
from backend.consent.operations import Form, issue_receipt, replace_receipt_key
from backend.consent.queries import receipt_keys
from backend.consent.standards.jws import ReceiptSigner, public_key, thumbprint
from backend.consent.standards.kantara import NoYes
from backend.errors import NotFound
from backend.vault.keyring import SYSTEM, Scope, keyring
from tests.conftest import HOUR
from tests.consent.test_deciding import withdraw
from tests.factories.log import actions_recorded

# RFC 8037, appendix A.1 to A.3.
SEED = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"
PUBLIC = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
THUMBPRINT = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def decoded(text):
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def last_event(patient):
    return ConsentEvent.objects.filter(patient_id=patient.id).latest("id")


def issue(patient, now, form=Form.JWS, **changes):
    return issue_receipt(
        **{
            "clinic_id": patient.clinic_id,
            "patient_id": patient.id,
            "event_id": changes.get("event_id") or last_event(patient).id,
            "form": form,
            "actor": patient.actor,
            "now": now,
            **changes,
        }
    )


def parts_of(receipt):
    header, payload, signature = receipt.signed.split(".")
    return json.loads(decoded(header)), json.loads(decoded(payload)), decoded(signature)


def verify(receipt, keys):
    header, _payload, signature = parts_of(receipt)
    [key] = [one for one in keys if thumbprint(one.public) == header["kid"]]
    Ed25519PublicKey.from_public_bytes(key.public).verify(signature, receipt.signed.rpartition(".")[0].encode())


def test_keys_are_named_as_the_standard_names_them():
    signer = ReceiptSigner(decoded(SEED))

    assert signer.thumbprint == THUMBPRINT
    assert public_key(signer.public)["x"] == PUBLIC


def test_a_receipt_is_signed_and_says_what_was_said(consenting, now):
    receipt = issue(consenting, now)

    header, payload, _signature = parts_of(receipt)
    verify(receipt, receipt_keys())
    assert header == {
        "alg": "Ed25519",
        "cty": "application/ld+json",
        "kid": thumbprint(receipt_keys()[0].public),
        "typ": "consent-receipt+jws",
    }
    assert payload["dct:identifier"] == str(receipt.id)
    [told] = payload["dpv:hasRecordOfActivity"]
    event = last_event(consenting)
    assert told["dpv:hasConsentStatus"][0]["@id"] == f"urn:uuid:{event.id}"
    assert told["dpv:hasNotice"]["accord:sha256"] == event.notice_sha256


def test_a_receipt_names_and_reaches_nobody(consenting, now):
    text = decoded(issue(consenting, now).signed.split(".")[1]).decode()

    assert str(consenting.id) in text
    for secret in ("Oui", "Camille", "Lilas", "+33", "@example.org", consenting.ipp):
        assert secret not in text


def test_the_log_tells_a_receipt_by_its_hash(consenting, now):
    receipt = issue(consenting, now, Form.DPV)

    with record(Action.LOG_READ, by=system_actor(), now=now, clinic_id=consenting.clinic_id, count=1) as entry:
        stored = entries_of(clinic_id=consenting.clinic_id, before=None, limit=5)
        [issued] = [one for one in open_entries(stored, entry=entry) if one.code == "receipt.issued"]
    [part] = issued.parts
    assert part.subject_id == consenting.id
    assert part.details["receipt"] == str(receipt.id)
    assert part.details["form"] == "dpv"
    assert part.details["sha256"] == hashlib.sha256(receipt.signed.encode()).hexdigest()


def test_a_withdrawal_has_its_receipt_too(consenting, now):
    withdraw(consenting, now)

    [told] = parts_of(issue(consenting, now + HOUR))[1]["dpv:hasRecordOfActivity"]

    assert told["accord:state"] == "withdrawn"
    assert [one["accord:kind"] for one in told["dpv:hasConsentStatus"]] == ["given", "withdrawn"]


def test_there_is_none_for_another_patients_event(consenting, silent, now):
    with pytest.raises(NotFound):
        issue(silent, now, event_id=last_event(consenting).id)
    assert Action.RECEIPT_ISSUED not in actions_recorded(consenting.clinic_id)


def test_where_no_yes_stands_kantara_has_no_word_for_it_and_nothing_is_recorded(consenting, now):
    withdraw(consenting, now)

    with pytest.raises(NoYes):
        issue(consenting, now + HOUR, Form.KANTARA)
    assert Action.RECEIPT_ISSUED not in actions_recorded(consenting.clinic_id)


# ------------------------------------------------------------------------------------------------------- the key


def test_what_a_replaced_key_signed_is_still_checked(consenting, now):
    before = issue(consenting, now)

    new = replace_receipt_key(actor=system_actor(), now=now + HOUR)

    after = issue(consenting, now + HOUR)
    keys = receipt_keys()
    verify(before, keys)
    verify(after, keys)
    assert parts_of(after)[0]["kid"] == new != parts_of(before)[0]["kid"]
    assert [one.retired_at for one in keys] == [None, now + HOUR]


def test_nobody_can_sign_with_a_replaced_key(consenting, now):
    issue(consenting, now)
    old = DataKey.objects.get(clinic_id=SYSTEM, scope=Scope.RECEIPTS)

    replace_receipt_key(actor=system_actor(), now=now + HOUR)

    old.refresh_from_db()
    assert old.wrapped is None
    assert old.destroyed_at == now + HOUR
    assert DataKey.objects.filter(clinic_id=SYSTEM, scope=Scope.RECEIPTS, destroyed_at=None).count() == 1


def test_a_process_that_remembers_the_old_key_does_not_sign_with_it(consenting, now):
    issue(consenting, now)
    remembered = keyring().current(clinic_id=SYSTEM, scope=Scope.RECEIPTS)
    new = replace_receipt_key(actor=system_actor(), now=now + HOUR)
    # As in another process, which has not heard of it.
    keyring()._own.keep((SYSTEM, Scope.RECEIPTS), remembered)  # noqa: SLF001 - see above

    assert parts_of(issue(consenting, now + HOUR))[0]["kid"] == new


def test_the_public_half_is_published_once_and_in_the_log_of_the_installation(consenting, now):
    issue(consenting, now)
    issue(consenting, now)

    assert ReceiptKey.objects.count() == 1
    assert actions_recorded(SYSTEM)[Action.RECEIPT_KEY_PUBLISHED] == 1


def test_the_command_names_the_new_key(db, capsys):
    call_command("replace_receipt_key")

    assert ReceiptKey.objects.get().thumbprint in capsys.readouterr().out
