"""The library loads as it ships; a file that can not be used is refused by name and key."""

import json
import shutil
from datetime import date

import pytest

from backend.policy.vocabulary import Channel, Language, Nature, Tone
from backend.programmes.library.catalogue import (
    LIBRARY,
    LibraryRefused,
    load_notice,
    load_programmes,
    load_purposes,
    load_templates,
)

WRITTEN = date(2026, 11, 21)


@pytest.fixture
def library(tmp_path):
    """A copy of the library that a test may spoil."""
    return shutil.copytree(LIBRARY, tmp_path / "library", ignore=shutil.ignore_patterns("*.py", "__pycache__"))


def spoil(library, name, before, after):
    path = library / name
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after, 1), encoding="utf-8")


# ------------------------------------------------------------------------------------------------------ as it ships


def test_purposes_come_in_their_order():
    purposes = load_purposes()

    assert [(purpose.slug, purpose.nature) for purpose in purposes] == [
        ("appointment_reminder", Nature.CARE),
        ("vaccination_recall", Nature.PREVENTION),
        ("contact_point_check", Nature.CLOSED_LIST),
        ("consent_confirmation", Nature.CLOSED_LIST),
    ]


def test_what_tells_of_care_rests_on_explicit_consent():
    conditions = {purpose.nature: purpose.health_data_condition for purpose in load_purposes()}

    assert conditions == {Nature.CARE: "A9-2-a", Nature.PREVENTION: "A9-2-a", Nature.CLOSED_LIST: ""}


def test_the_appointment_reminder_comes_three_days_and_one_day_before():
    programme = load_programmes()["appointment_reminder"]

    assert programme.definition == {
        "occasion": {"kind": "appointment", "topic": ""},
        "steps": [
            {
                "key": "d3",
                "offset": {"days": -3},
                "at": "09:00",
                "worth_for_hours": 30,
                "template": "appointment_reminder",
            },
            {
                "key": "d1",
                "offset": {"days": -1},
                "at": "09:00",
                "worth_for_hours": 22,
                "template": "appointment_reminder",
            },
        ],
    }


def test_the_recall_comes_eleven_months_after_an_influenza_vaccination():
    programme = load_programmes()["vaccination_recall"]

    assert programme.definition == {
        "occasion": {"kind": "immunisation", "topic": "influenza"},
        "steps": [
            {
                "key": "recall",
                "offset": {"months": 11},
                "at": "09:00",
                "worth_for_hours": 60 * 24,
                "template": "vaccination_recall",
            }
        ],
    }


@pytest.mark.parametrize("slug", ["appointment_reminder", "vaccination_recall"])
def test_a_definition_is_stored_as_json_as_it_is(slug):
    definition = load_programmes()[slug].definition

    assert json.loads(json.dumps(definition)) == definition


@pytest.mark.parametrize("slug", ["appointment_reminder", "vaccination_recall"])
def test_a_programme_waits_for_a_health_professional(slug):
    clinical = load_programmes()[slug].clinical
    head = (LIBRARY / "programmes" / f"{slug}.yaml").read_text(encoding="utf-8").splitlines()[0]

    assert "TO BE VALIDATED BY A HEALTH PROFESSIONAL" in head
    assert clinical.validated_by == ""
    assert all(source.title and source.address.startswith("https://") for source in clinical.sources)
    assert WRITTEN < clinical.review_by <= WRITTEN.replace(year=WRITTEN.year + 1)


def test_programmes_purposes_and_templates_belong_together():
    programmes, templates = load_programmes(), load_templates()

    assert set(programmes) == set(templates) == {"appointment_reminder", "vaccination_recall"}
    assert {slug: one.purpose for slug, one in programmes.items()} == {slug: slug for slug in programmes}
    assert {slug: one.purpose for slug, one in templates.items()} == {slug: slug for slug in templates}


def test_every_loading_gives_data_of_its_own():
    load_programmes()["appointment_reminder"].definition["steps"].clear()

    assert len(load_programmes()["appointment_reminder"].definition["steps"]) == 2


# ------------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("name", "before", "after", "sentence"),
    [
        ("purposes.yaml", "nature: care", "nature: charity", r"purposes.yaml, appointment_reminder.nature: is none of"),
        ("purposes.yaml", "rank: 10", "rank: ten", r"appointment_reminder.rank: is not a whole number"),
        ("purposes.yaml", "rank: 10", "rank: true", r"appointment_reminder.rank: is not a whole number"),
        ("purposes.yaml", "rank: 10", "rank: -1", r"appointment_reminder.rank: is less than 0"),
        ("purposes.yaml", "rank: 10", "range: 10", r"appointment_reminder: lacks rank"),
        ("purposes.yaml", "rank: 10", "rank: 10\n  hue: 1", r"appointment_reminder: does not know hue"),
        ("purposes.yaml", "rank: 10", "rank: 10\n  rank: 20", r"purposes.yaml, line \d+: rank stands twice"),
        ("purposes.yaml", "validity_months: 36", "validity_months: 0", r"validity_months: is less than 1"),
        ("purposes.yaml", "[push, sms, email]", "[push, push]", r"channels: names each channel once"),
        ("purposes.yaml", "[push, sms, email]", "[]", r"channels: names each channel once, and at least one"),
        ("purposes.yaml", "[push, sms, email]", "[push, pigeon]", r"channels\[1\]: is none of"),
        ("purposes.yaml", "[push, sms, email]", "push", r"channels: is not a list"),
        (
            "purposes.yaml",
            'health_data_condition: ""',
            "health_data_condition: A9-2-a",
            r"contact_point_check.*consent",
        ),
        ("purposes.yaml", "    en: Appointment reminders\n", "", r"appointment_reminder.names: lacks en"),
        ("purposes.yaml", "fr: Rappels de rendez-vous", 'fr: " "', r"names.fr: is empty"),
        ("purposes.yaml", "appointment_reminder:", "[", r"purposes.yaml, line \d+: "),
        ("notice.yaml", "téléphone {telephone}", "{email}", r"notice.yaml, fr.body: .*\{email\}"),
        ("notice.yaml", "téléphone {telephone}", "{telephone!r}", r"fr.body: leaves room for what nobody fills in"),
        ("notice.yaml", "téléphone {telephone}", "{clinic.id}", r"fr.body: leaves room for what nobody fills in"),
        ("notice.yaml", "téléphone {telephone}", "{telephone", r"fr.body: "),
        ("notice.yaml", "  title: Your messages, your choice\n", "", r"notice.yaml, en: lacks title"),
        (
            "programmes/vaccination_recall.yaml",
            "slug: vaccination",
            "slug: other",
            r"slug: is none of: vaccination_rec",
        ),
        ("programmes/vaccination_recall.yaml", "purpose: vaccination_recall", "purpose: x", r"purpose: is none of"),
        ("programmes/vaccination_recall.yaml", "kind: immunisation", "kind: eclipse", r"occasion.kind: is none of"),
        ("programmes/vaccination_recall.yaml", "months: 11", "moons: 11", r"steps\[0\].offset: has one of: days, mon"),
        (
            "programmes/vaccination_recall.yaml",
            "months: 11",
            "months: soon",
            r"steps\[0\].offset.months: is not a whole",
        ),
        ("programmes/vaccination_recall.yaml", '"09:00"', "10:00", r"steps\[0\].at: is not text"),
        ("programmes/vaccination_recall.yaml", '"09:00"', '"9h"', r"steps\[0\].at: is not a time of day"),
        ("programmes/vaccination_recall.yaml", '"09:00"', '"09:00:30"', r"steps\[0\].at: is not a time of day"),
        (
            "programmes/vaccination_recall.yaml",
            "{days: 60}",
            "{days: 0}",
            r"steps\[0\].worth_for: is at least one hour",
        ),
        (
            "programmes/vaccination_recall.yaml",
            "template: vaccination_recall",
            "template: x",
            r"\[0\].template: is none",
        ),
        (
            "programmes/vaccination_recall.yaml",
            "template: vaccination_recall",
            "template: appointment_reminder",
            r"steps\[0\].template: belongs to another purpose",
        ),
        (
            "programmes/appointment_reminder.yaml",
            "key: d1",
            "key: d3",
            r"steps: has at least one step, and no key twice",
        ),
        ("programmes/appointment_reminder.yaml", "key: d1", f"key: {'d' * 61}", r"steps\[1\].key: is longer than 60"),
        ("programmes/appointment_reminder.yaml", "2027-11-21", "soon", r"clinical.review_by: is not a date"),
        ("programmes/appointment_reminder.yaml", "slug:", "state: running\nslug:", r"does not know state"),
        ("templates/vaccination_recall.yaml", "  email:", "  pigeon:", r"variants: lacks email"),
        ("templates/vaccination_recall.yaml", "      plain:", "      shouted:", r"variants.push.fr: lacks plain"),
        (
            "templates/vaccination_recall.yaml",
            "        discreet_body:",
            "        x:",
            r"push.fr.formal: lacks discreet_body",
        ),
        ("templates/vaccination_recall.yaml", "purpose: vaccination_recall", "purpose: x", r"purpose: is none of"),
    ],
)
def test_a_spoilt_file_is_refused_by_name_and_key(library, name, before, after, sentence):
    spoil(library, name, before, after)

    load = load_notice if name == "notice.yaml" else load_programmes
    with pytest.raises(LibraryRefused, match=sentence) as refused:
        load(library)

    assert str(refused.value).startswith(name)


def test_a_file_that_is_missing_is_refused_by_name(library):
    (library / "notice.yaml").unlink()

    with pytest.raises(LibraryRefused, match=r"notice.yaml: can not be read"):
        load_notice(library)


def test_bytes_that_are_no_text_are_refused(library):
    (library / "notice.yaml").write_bytes(b"fr: \xff\xfe")

    with pytest.raises(LibraryRefused, match=r"notice.yaml"):
        load_notice(library)


def test_yaml_builds_no_objects(library):
    (library / "notice.yaml").write_text("!!python/object/apply:os.getcwd []", encoding="utf-8")

    with pytest.raises(LibraryRefused, match=r"notice.yaml, line 1"):
        load_notice(library)


def test_channels_languages_and_tones_are_of_the_shared_vocabulary():
    variant = load_templates()["appointment_reminder"].variants[0]

    assert (variant.channel, variant.language, variant.tone) == (Channel.PUSH, Language.FRENCH, Tone.FORMAL)
