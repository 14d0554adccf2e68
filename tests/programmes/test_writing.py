"""A programme is written by staff, approved by a health professional, and only then started."""

import pytest
from django.db import IntegrityError

from backend.audit.actions import Action
from backend.audit.actors import Actor, ActorKind, system_actor
from backend.audit.recording import record
from backend.errors import InvalidInput, NotFound
from backend.policy.vocabulary import Language
from backend.programmes.models import Approval, Programme, ProgrammeVersion
from backend.programmes.operations import (
    NotAHealthProfessional,
    NotApproved,
    approve_programme,
    pause_programme,
    start_programme,
    write_programme,
)
from backend.programmes.operations.writing import ProgrammeExists, VersionChanged
from backend.programmes.queries import get_programme, get_programme_by_slug, programmes_of
from tests.factories.clinics import make_member
from tests.factories.log import actions_recorded
from tests.factories.programmes import RECALL, REMINDER
from tests.programmes.test_steps import REMINDER as DEFINITION
from tests.programmes.test_steps import changed


@pytest.fixture
def write(northgate, reception, now):
    def write(slug="another", definition=None, **changes):
        definition = definition or changed(steps__0__template=REMINDER)
        return write_programme(
            **{
                "clinic_id": northgate.id,
                "slug": slug,
                "names": {Language.FRENCH: "Rappel"},
                "purpose": REMINDER,
                "definition": definition,
                "actor": reception,
                "now": now,
                **changes,
            }
        )

    return write


def test_a_programme_begins_as_a_draft(write, northgate):
    programme = get_programme(clinic_id=northgate.id, programme_id=write())

    assert (programme.state, programme.version, programme.approved_at) == ("draft", 1, None)
    assert programme.name(Language.ENGLISH) == "another"


def test_what_was_not_approved_can_not_start(write, northgate, manager, now):
    programme_id = write()

    with pytest.raises(NotApproved):
        start_programme(clinic_id=northgate.id, programme_id=programme_id, actor=manager, now=now)
    assert get_programme(clinic_id=northgate.id, programme_id=programme_id).state == "draft"


def test_only_a_health_professional_of_this_clinic_approves(write, northgate, southbank, reception, dpo, now):
    programme_id = write()
    foreign = make_member(southbank.id, "doctor@southbank", now=now, is_health_professional=True)
    nobodies = [reception, dpo, foreign, system_actor(), Actor(kind=ActorKind.STAFF, pseudonym="0" * 16)]

    for nobody in nobodies:
        with pytest.raises(NotAHealthProfessional):
            approve_programme(clinic_id=northgate.id, programme_id=programme_id, actor=nobody, now=now)
    assert Approval.objects.filter(version__programme_id=programme_id).count() == 0


def test_approved_by_a_health_professional_it_starts_pauses_and_starts_again(write, northgate, manager, now):
    programme_id = write()
    these = {"clinic_id": northgate.id, "programme_id": programme_id, "actor": manager, "now": now}
    states = []
    for act in (approve_programme, start_programme, pause_programme, start_programme):
        act(**these)
        states.append(get_programme(clinic_id=northgate.id, programme_id=programme_id).state)

    assert states == ["approved", "running", "paused", "running"]
    assert get_programme(clinic_id=northgate.id, programme_id=programme_id).started_at == now
    recorded = actions_recorded(northgate.id)
    assert (recorded[Action.PROGRAMME_STARTED], recorded[Action.PROGRAMME_PAUSED]) == (2 + 2, 1)


def test_approving_twice_is_approving_once(write, northgate, manager, now):
    programme_id = write()
    for _again in range(2):
        approve_programme(clinic_id=northgate.id, programme_id=programme_id, actor=manager, now=now)

    assert Approval.objects.filter(version__programme_id=programme_id).count() == 1


def test_who_read_another_version_approves_nothing(write, northgate, manager, now):
    programme_id = write()

    with pytest.raises(VersionChanged):
        approve_programme(clinic_id=northgate.id, programme_id=programme_id, expected_version=2, actor=manager, now=now)


def test_a_version_is_never_changed_and_an_approval_never_taken_back_quietly(write, northgate, manager, now):
    programme_id = write()
    approve_programme(clinic_id=northgate.id, programme_id=programme_id, actor=manager, now=now)

    version = ProgrammeVersion.objects.filter(programme_id=programme_id)
    approval = Approval.objects.filter(version__programme_id=programme_id)
    for change in (lambda: version.update(number=2), lambda: approval.update(approved_at=now), approval.delete):
        entry = record(Action.PROGRAMME_PAUSED, by=manager, now=now, clinic_id=northgate.id, programme="another")
        with pytest.raises(IntegrityError, match="append-only"), entry:
            change()


def test_a_short_name_stands_for_one_programme(write):
    write()
    with pytest.raises(ProgrammeExists):
        write()


def test_a_step_names_a_template_that_is_there(write):
    with pytest.raises(InvalidInput) as refused:
        write(definition=DEFINITION)

    assert refused.value.extra["templates"] == ["words"]


@pytest.mark.parametrize("slug", ["", "Rappel", "deux mots", "é"])
def test_a_short_name_that_the_log_can_not_hold_is_refused(write, slug):
    with pytest.raises(InvalidInput):
        write(slug=slug)
    assert Programme.objects.filter(slug=slug).count() == 0


def test_a_programme_of_another_clinic_is_not_there(northgate, southbank, outsider, now):
    theirs = get_programme_by_slug(clinic_id=northgate.id, slug=RECALL).id

    assert programmes_of(southbank.id) == []
    for act in (approve_programme, start_programme, pause_programme):
        with pytest.raises(NotFound):
            act(clinic_id=southbank.id, programme_id=theirs, actor=outsider, now=now)
    with pytest.raises(NotFound):
        get_programme(clinic_id=southbank.id, programme_id=theirs)
