"""The linter finds what it is meant to find, points at it, says it in two languages, and leaves the rest alone."""

import pytest

from backend.clinics.queries import get_clinic
from backend.messaging.linting import Code, Finding, Severity, lint
from backend.messaging.linting.findings import Said
from backend.messaging.linting.reading import ease, longest_sentence
from backend.messaging.names import NAMES, example_values, longest_values
from backend.messaging.values import template_values
from backend.patients.queries import OccasionWords, PatientNames
from backend.policy.vocabulary import Channel, Language, Nature, Tone
from backend.programmes.library.catalogue import load_purposes, load_service_templates, load_templates
from tests.messaging.linting.texts import BAD, EN, FR, HARMLESS, INFORMAL, around, email, push, sms

PURPOSES = {one.slug: one for one in load_purposes()}
TEMPLATES = {**load_templates(), **load_service_templates()}


def codes(found):
    return {one.code for one in found}


@pytest.mark.parametrize(("name", "variant", "nature", "code"), BAD, ids=[f"{one[3].slug}: {one[0]}" for one in BAD])
def test_a_bad_text_is_found_by_the_rule_that_is_meant_and_by_no_other(name, variant, nature, code):
    assert codes(lint([variant], around(nature))) == {code}, name


def test_every_rule_has_a_bad_text_or_a_test_of_its_own():
    elsewhere = {Code.CHANNEL_MISSING, Code.LANGUAGE_MISSING, Code.TONE_MISSING, Code.DISCREET_NAME_TELLS}

    assert {one[3] for one in BAD} == set(Code) - elsewhere


@pytest.mark.parametrize("variant", HARMLESS, ids=[one.body[-60:] for one in HARMLESS])
def test_a_harmless_text_is_not_refused(variant):
    found = lint([variant], around())

    assert [one.code.slug for one in found if one.severity is Severity.REFUSE] == []


def test_harmless_texts_are_hardly_warned_about():
    warned = [variant for variant in HARMLESS if lint([variant], around())]

    assert len(warned) <= len(HARMLESS) // 20, [(one.body, codes(lint([one], around()))) for one in warned]


@pytest.mark.parametrize("slug", TEMPLATES)
def test_a_ready_made_template_passes(slug):
    template = TEMPLATES[slug]
    purpose = PURPOSES[template.purpose]

    found = lint(template.variants, around(purpose.nature, channels=purpose.channels))

    # The recall names the vaccine to those who chose full messages, and the question of a yes is not asked by push.
    known = {
        "vaccination_recall": {Code.HEALTH_WORD_IN_FULL_FORM},
        "consent_request": {Code.CHANNEL_MISSING},
    }
    assert [one for one in found if one.severity is Severity.REFUSE] == []
    assert codes(found) <= known.get(slug, set())


# ------------------------------------------------------------------------------------------------- where, and how said


def test_a_finding_points_at_the_words_that_were_written():
    variant = email("Voyez {{ clinic.telephone }}, puis profitez du parc.")

    (found,) = lint([variant], around())

    assert variant.body[found.start : found.end] == "profitez"
    assert (found.channel, found.language, found.tone, found.field) == (Channel.EMAIL, FR, Tone.FORMAL, "body")


def test_a_value_is_pointed_at_with_its_braces():
    variant = push("Un message.", discreet_body="Avec {{ appointment.practitioner | upcase }}.")

    (found,) = lint([variant], around())

    assert variant.discreet_body[found.start : found.end] == "{{ appointment.practitioner | upcase }}"


def test_the_words_of_values_are_nobodys_fault():
    """A clinic's name, or a patient's, is no word of the template."""
    variant = sms("{{ clinic.name }}", discreet_body="{{ clinic.discreet_name }}")

    assert lint([variant], around(clinic_names=("Les Lilas", "Centre d’oncologie des Lilas"))) == []


def test_a_neutral_name_that_tells_is_warned_about():
    found = lint([], around(clinic_names=("Cabinet de cardiologie", "Cabinet")))

    assert [(one.code, one.found) for one in found] == [(Code.DISCREET_NAME_TELLS, "cardiologie")]


def test_what_nobody_wrote_is_named():
    found = lint([sms("bonjour."), sms("hi.", EN, INFORMAL)], around(channels=(Channel.SMS, Channel.PUSH)))

    assert {(one.code, one.found) for one in found} == {
        (Code.CHANNEL_MISSING, "push"),
        (Code.TONE_MISSING, "sms, fr, informal"),
        (Code.TONE_MISSING, "sms, fr, plain"),
        (Code.TONE_MISSING, "sms, en, formal"),
        (Code.TONE_MISSING, "sms, en, plain"),
    }
    found = lint([sms("bonjour.")], around(channels=(Channel.SMS,)))
    assert (Code.LANGUAGE_MISSING, "sms, en") in {(one.code, one.found) for one in found}


def test_promotion_is_allowed_where_it_was_consented_to():
    assert lint([email("Une offre spéciale : 20 €.")], around(Nature.MARKETING)) == []


def test_the_number_behind_a_stop_is_judged_with_it():
    found = lint([sms("une réunion. STOP au 36111")], around(Nature.MARKETING))

    assert found == []


def test_the_cost_of_an_sms_counts_the_way_out_that_is_added():
    variant = sms("nous vous attendons. " * 20)

    assert codes(lint([variant], around(way_out={}))) == set()
    assert codes(lint([variant], around())) == {Code.SMS_LONG}


def test_what_refuses_comes_first():
    found = lint([email("Vous devez voir nos soldes.")], around())

    assert [one.severity for one in found] == [Severity.REFUSE, Severity.WARN]


@pytest.mark.parametrize("code", Code, ids=lambda one: one.slug)
def test_every_finding_is_said_in_both_languages(code):
    finding = Finding(code=code, found="{% x %}")
    said = Said(*code.value)

    for language in Language:
        assert finding.sentence(language)[0] == finding.sentence(language)[0].upper()
        assert finding.sentence(language).endswith(".")
        assert finding.fix(language)
    assert ("{found}" in said.french) is ("{found}" in said.english)


def test_two_rules_never_say_the_same():
    assert len({code.value.english for code in Code}) == len(Code)


# ----------------------------------------------------------------------------------------------------------- reading


def test_the_formulas_are_those_of_their_authors():
    """Flesch 1948 and Kandel and Moles 1958, worked out by hand on texts whose syllables are plain to count."""
    text = "Le chat dort. " * 15
    assert ease(text, FR) == pytest.approx(207 - 1.015 * 3 - 73.6)
    text = "The cat is in. " * 10
    assert ease(text, EN) == pytest.approx(206.835 - 1.015 * 4 - 84.6)


def test_a_short_text_is_not_measured():
    assert ease("Contextualisation organisationnelle.", FR) is None


def test_a_sentence_ends_where_a_reader_stops():
    assert longest_sentence("Un deux trois. Quatre : cinq six sept huit\nneuf ?") == 4
    assert longest_sentence("Voyez https://a.example.org/b.c?d et vaccination-info-service.fr là") == 5


# ------------------------------------------------------------------------------------------------------------- names


@pytest.mark.parametrize("language", list(Language))
def test_the_list_of_names_is_what_is_filled_in(language, northgate, now):
    values = template_values(
        patient=PatientNames(given_names=("Ada",), family_name="B"),
        clinic=get_clinic(northgate.id),
        occasion=OccasionWords(starts_at=now, place="", practitioner=""),
        language=language,
        time_zone="Europe/Paris",
        for_child=False,
        ends_at=now,
    )

    def paths(nested, before=""):
        return {
            path
            for name, value in nested.items()
            for path in (paths(value, f"{before}{name}.") if isinstance(value, dict) else {before + name})
        }

    assert paths(values) == paths(example_values(language)) == paths(longest_values(language))
    assert paths(values) == {one.path for one in NAMES}
