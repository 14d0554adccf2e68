"""What may be recorded: codes, ids, counts and hashes; never free text."""

import pytest

from backend.audit.actions import Action, DetailRefused
from backend.audit.actors import Actor, ActorKind, system_actor
from backend.policy.vocabulary import Channel, Language
from backend.vault.identifiers import new_id

ID = new_id()
RIGHT: dict[Action, dict[str, object]] = {
    Action.PATIENT_READ: {"reason": "care"},
    Action.MESSAGE_WITHHELD: {
        "message": ID,
        "purpose": "appointment_reminder",
        "channel": Channel.SMS,
        "reasons": ["no_consent", "paused"],
        "rules": "1",
        "consent_event": "none",
    },
    Action.PATIENTS_LISTED: {"reason": "care", "count": 0},
    Action.NOTICE_PUBLISHED: {"notice": "general", "version": 2, "language": "fr", "sha256": "0" * 64},
    Action.KEY_DESTROYED: {"keys": [ID], "reason": "erasure_request"},
}


@pytest.mark.parametrize("action", RIGHT, ids=lambda action: action.spec.code)
def test_what_fits_is_taken_over_as_plain_values(action):
    checked = action.checked(RIGHT[action])

    assert checked.keys() == RIGHT[action].keys()
    assert {type(value) for value in checked.values()} <= {str, int, list}


def test_a_detail_that_is_unknown_or_missing_is_refused():
    with pytest.raises(DetailRefused, match=r"patient\.read: details that do not fit: name"):
        Action.PATIENT_READ.checked({"reason": "care", "name": "Quibbler"})
    with pytest.raises(DetailRefused, match="reason"):
        Action.PATIENT_READ.checked({})


WRONG = {
    "free text": (Action.PATIENT_READ, "reason", "She asked for it."),
    "a name": (Action.PATIENT_READ, "reason", "Quibbler"),
    "an address": (Action.PATIENT_READ, "reason", "ottokar@example.org"),
    "an empty code": (Action.PATIENT_READ, "reason", ""),
    "a line ending": (Action.PATIENT_READ, "reason", "care\n"),
    "a long code": (Action.PATIENT_READ, "reason", "a" * 81),
    "a number for a code": (Action.PATIENT_READ, "reason", 1),
    "nothing": (Action.PATIENT_READ, "reason", None),
    "a code for a number": (Action.PATIENTS_LISTED, "count", "1"),
    "a fraction": (Action.PATIENTS_LISTED, "count", 1.0),
    "a yes for a number": (Action.PATIENTS_LISTED, "count", True),
    "a number below zero": (Action.PATIENTS_LISTED, "count", -1),
    "a number too large": (Action.PATIENTS_LISTED, "count", 2**53),
    "text for an id": (Action.MESSAGE_WITHHELD, "message", str(ID)),
    "a code for codes": (Action.MESSAGE_WITHHELD, "reasons", "no_consent"),
    "free text among codes": (Action.MESSAGE_WITHHELD, "reasons", ["no_consent", "No consent."]),
    "text among ids": (Action.KEY_DESTROYED, "keys", [ID, "somebody"]),
    "a hash with a line ending": (Action.NOTICE_PUBLISHED, "sha256", "0" * 64 + "\n"),
    "a hash in capitals": (Action.NOTICE_PUBLISHED, "sha256", "A" * 64),
}


@pytest.mark.parametrize(("action", "name", "value"), WRONG.values(), ids=WRONG.keys())
def test_a_detail_of_another_kind_is_refused_and_not_repeated(action, name, value):
    with pytest.raises(DetailRefused) as refused:
        action.checked({**RIGHT[action], name: value})

    if isinstance(value, str) and value.strip():
        assert value.strip() not in str(refused.value)


def test_sets_of_codes_are_written_in_one_order():
    reasons = {"paused", "no_consent", "quiet_hours"}

    assert Action.MESSAGE_WITHHELD.checked({**RIGHT[Action.MESSAGE_WITHHELD], "reasons": reasons})["reasons"] == sorted(
        reasons
    )


def test_a_sentence_holds_the_details_in_both_languages():
    details = {"reason": "care", "count": 12}

    assert Action.PATIENTS_LISTED.sentence(Language.ENGLISH, details) == "A list of 12 patients was looked at (care)."
    assert (
        Action.PATIENTS_LISTED.sentence(Language.FRENCH, details) == "Une liste de 12 patients a été consultée (care)."
    )


def test_a_sentence_hides_what_was_not_opened():
    assert Action.PATIENT_READ.sentence(Language.ENGLISH, {}) == "The patient’s data was looked at (•••)."


def test_lists_are_joined_in_a_sentence():
    details = {"purpose": "recall", "channel": "sms", "reasons": ["paused", "no_consent"]}

    assert Action.MESSAGE_WITHHELD.sentence(Language.ENGLISH, details).endswith("(recall, sms): paused, no_consent.")


def test_a_detail_opens_nothing_in_a_sentence():
    """Braces in a detail are shown as they are; a template is never made of them."""
    assert "{0.__class__}" in Action.PATIENT_READ.sentence(Language.ENGLISH, {"reason": "{0.__class__}"})


@pytest.mark.parametrize(
    ("actor", "shown"),
    [
        (Actor(kind=ActorKind.STAFF, id=ID, pseudonym="5f0c"), "u:5f0c"),
        (Actor(kind=ActorKind.DPO, id=ID, pseudonym="5f0c"), "u:5f0c"),
        (Actor(kind=ActorKind.PATIENT, id=ID), "p"),
        (Actor(kind=ActorKind.REPRESENTATIVE, id=ID), "r"),
        (system_actor(), "sys"),
        (system_actor("planner"), "svc:planner"),
    ],
)
def test_an_actor_is_named_by_a_pseudonym(actor, shown):
    assert actor.header == shown
    assert str(ID) not in actor.header


@pytest.mark.parametrize(
    ("first_day", "last_day", "purposes", "english", "french"),
    [
        ("any", "any", [], ", for all purposes", ", pour toutes les finalités"),
        (
            "2026-01-01",
            "2026-03-31",
            ["recall", "offers"],
            ", from 2026-01-01, until 2026-03-31, for recall, offers",
            ", à partir du 2026-01-01, jusqu’au 2026-03-31, pour recall, offers",
        ),
        (
            "any",
            "2026-03-31",
            [],
            ", until 2026-03-31, for all purposes",
            ", jusqu’au 2026-03-31, pour toutes les finalités",
        ),
    ],
)
def test_an_export_without_limits_is_told_as_a_person_would(first_day, last_day, purposes, english, french):
    details = {"forms": ["csv", "fhir"], "first_day": first_day, "last_day": last_day, "purposes": purposes}
    told = {language: Action.CONSENTS_EXPORTED.sentence(language, details) for language in Language}

    assert told == {
        Language.ENGLISH: f"Consents and their events were exported (csv, fhir{english}).",
        Language.FRENCH: f"Des consentements et leurs événements ont été exportés (csv, fhir{french}).",
    }
    assert "•••" in Action.CONSENTS_EXPORTED.sentence(Language.ENGLISH, {})
