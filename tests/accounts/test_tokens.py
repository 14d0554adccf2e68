"""A token is shown once, kept as a hash, belongs to one clinic and one bearer, and ends."""

from datetime import timedelta

import pytest
from django.db import IntegrityError

from backend.accounts.models import AccessToken, Account, Role, digest_of
from backend.accounts.operations import (
    DEFAULT_LIFE,
    TOKEN_PREFIX,
    create_account,
    issue_account_token,
    issue_patient_token,
    revoke_token,
)
from backend.accounts.queries import find_bearer, get_staff_actor
from backend.audit.actions import Action
from backend.audit.actors import ActorKind, system_actor
from backend.audit.recording import record
from backend.errors import NotFound
from backend.vault.identifiers import new_id
from tests.conftest import HOUR


@pytest.fixture
def token(silent, now):
    """A patient's token."""
    return issue_patient_token(clinic_id=silent.clinic_id, patient_id=silent.id, actor=system_actor(), now=now)


def test_a_token_names_its_patient_and_its_clinic(token, silent, now):
    bearer = find_bearer(token, now=now)

    assert (bearer.role, bearer.clinic_id, bearer.patient_id) == (Role.PATIENT, silent.clinic_id, silent.id)
    assert (bearer.actor.kind, bearer.actor.id, bearer.account_id) == (ActorKind.PATIENT, silent.id, None)


def test_only_the_hash_of_a_token_is_kept(token):
    row = AccessToken.objects.get()

    assert bytes(row.digest) == digest_of(token)
    assert token.startswith(TOKEN_PREFIX)
    assert token not in str(row.__dict__)


@pytest.mark.parametrize("shown", ["", "accord_", "accord_guess", "\x00", "x" * 10_000])
def test_what_is_no_token_finds_nobody(token, now, shown):
    assert find_bearer(shown, now=now) is None


def test_a_token_ends_by_itself(token, now):
    assert find_bearer(token, now=now + DEFAULT_LIFE - timedelta(seconds=1)) is not None
    assert find_bearer(token, now=now + DEFAULT_LIFE) is None


def test_a_token_that_was_revoked_finds_nobody_at_once(token, silent, now):
    revoke_token(
        token_id=find_bearer(token, now=now).token_id, clinic_id=silent.clinic_id, actor=system_actor(), now=now
    )

    assert find_bearer(token, now=now) is None


def test_another_clinic_revokes_nothing(token, southbank, now):
    revoke_token(token_id=find_bearer(token, now=now).token_id, clinic_id=southbank.id, actor=system_actor(), now=now)

    assert find_bearer(token, now=now) is not None


@pytest.mark.parametrize(("role", "kind"), [(Role.STAFF, ActorKind.STAFF), (Role.DPO, ActorKind.DPO)])
def test_an_account_acts_under_its_pseudonym(northgate, reception, now, role, kind):
    token = issue_account_token(
        clinic_id=northgate.id, account_id=reception.id, role=role, actor=system_actor(), now=now
    )

    actor = find_bearer(token, now=now).actor
    assert (actor.kind, actor.pseudonym) == (kind, reception.pseudonym)
    assert "reception" not in actor.header


def test_an_account_that_was_closed_bears_no_token_any_more(northgate, reception, now):
    token = issue_account_token(
        clinic_id=northgate.id, account_id=reception.id, role=Role.STAFF, actor=system_actor(), now=now
    )
    with record(Action.ACCOUNT_CREATED, by=system_actor(), now=now, clinic_id=northgate.id, account=reception.id):
        Account.objects.filter(id=reception.id).update(is_active=False)

    assert find_bearer(token, now=now + HOUR) is None


def test_a_token_of_nobody_and_of_two_can_not_be(northgate, silent, reception, now):
    base = {"clinic_id": northgate.id, "created_at": now, "expires_at": now + HOUR}
    for wrong in (
        {"role": "patient"},
        {"role": "staff"},
        {"role": "patient", "patient_id": silent.id, "account_id": reception.id},
        {"role": "staff", "patient_id": silent.id},
    ):
        entry = record(
            Action.TOKEN_ISSUED, by=system_actor(), now=now, clinic_id=northgate.id, token=new_id(), role="staff"
        )
        with pytest.raises(IntegrityError, match="token_is_of_somebody"), entry:
            AccessToken.objects.create(digest=digest_of(str(wrong)), **base, **wrong)


def test_a_new_account_can_do_nothing_yet(db, now):
    account_id = create_account(handle="new@northgate", actor=system_actor(), now=now)

    assert get_staff_actor(account_id).pseudonym
    assert not Account.objects.get(id=account_id).has_usable_password()
    with pytest.raises(NotFound):
        get_staff_actor(new_id())
