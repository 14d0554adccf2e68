"""Words are filled, never executed: no bomb, no unknown name, no markup from a patient's name."""

import pytest

from backend.messaging.mail import as_html
from backend.messaging.rendering import LONGEST_OUTPUT, TemplateRefused, Words, check_template, fill, render
from backend.messaging.values import invented_values
from backend.policy.vocabulary import Channel, Language
from backend.vault.identifiers import new_id

BOMBS = {
    "a loop over too much": "{% for i in (1..100000000) %}a{% endfor %}",
    "loops in loops": "{% for i in (1..150) %}{% for j in (1..150) %}x{% endfor %}{% endfor %}",
    "a table over too much": "{% tablerow i in (1..1000000) %}x{% endtablerow %}",
    "a name that doubles": "{% assign a = 'aaaaaaaaaa' %}" + "{% assign a = a | append: a %}" * 40,
    "a capture that doubles": "{% capture a %}xxxxxxxxxx{% endcapture %}"
    + "{% capture a %}{{ a }}{{ a }}{% endcapture %}" * 40,
    "a range made a text": "{% assign x = (1..100000000) | join: ',' %}{{ x | size }}",
    "replacing again and again": "{{ 'a' " + "| replace: 'a', 'aaaaaaaaaa' " * 12 + "}}",
    "a number without end": "{{ 9 " + "| times: 99999999999999999999 " * 3_000 + "}}",
    "conditions in conditions": "{% if true %}" * 500 + "x" + "{% endif %}" * 500,
    "too many words": "x" * (LONGEST_OUTPUT + 1),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_template_that_explodes_is_refused(bomb):
    with pytest.raises(TemplateRefused):
        fill(BOMBS[bomb], {})


@pytest.mark.parametrize(
    "source",
    [
        "{{ patient.nothing }}",
        "{{ nobody }}",
        "{% if patient.nothing == 'x' %}x{% endif %}",
        "{{ patient.first_name | no_such_filter }}",
        "{% include 'other' %}",
        "{% render 'other' %}",
        "{{ patient.first_name",
        "{% endfor %}",
        "{{ 'now' | date: '%H' }}",
    ],
)
def test_what_is_not_there_is_refused_and_never_left_blank(source):
    with pytest.raises(TemplateRefused):
        fill(source, invented_values(Language.FRENCH))


@pytest.mark.parametrize("source", ["{{ patient.__class__ }}", "{{ patient.first_name.__class__.__mro__ }}"])
def test_a_template_reaches_no_object(source):
    with pytest.raises(TemplateRefused):
        fill(source, invented_values(Language.FRENCH))


def test_a_refusal_does_not_tell_what_the_words_were_filled_with():
    with pytest.raises(TemplateRefused) as refused:
        fill("{{ patient.first_name.nope }}", {"patient": {"first_name": "Zwolfenstein"}})

    assert "Zwolfenstein" not in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__


def test_a_checked_template_names_only_what_is_offered():
    check_template("{{ patient.first_name }}", allowed=frozenset({"patient"}))
    with pytest.raises(TemplateRefused, match="clinic"):
        check_template("{{ patient.first_name }} {{ clinic.name }}", allowed=frozenset({"patient"}))


def words(channel, *, body="Bonjour {{ patient.first_name }}", subject="", discreet="", discreet_subject=""):
    return Words(
        id=new_id(),
        channel=channel,
        language=Language.FRENCH,
        subject=subject,
        body=body,
        discreet_subject=discreet_subject,
        discreet_body=discreet,
    )


def named(name):
    return {**invented_values(Language.FRENCH), "patient": {"first_name": name, "family_name": "Exemple"}}


def test_a_patient_called_b_is_written_and_not_marked_up():
    said = render(words(Channel.EMAIL, subject="Pour {{ patient.first_name }}"), named("<b>&"), discreet=False)

    assert said.text == "Bonjour <b>&"
    assert "Bonjour &lt;b&gt;&amp;" in said.html
    assert "<b>" not in said.html


def test_liquid_in_a_patients_name_stays_text():
    said = render(words(Channel.SMS), named("{{ clinic.telephone }}{% for %}"), discreet=False)

    assert said.text == "Bonjour {{ clinic.telephone }}{% for %}"


def test_a_line_break_in_a_name_can_not_add_a_header():
    subject = render(
        words(Channel.EMAIL, subject="Pour {{ patient.first_name }}"),
        named("Eve\r\nBcc: all@example.org\x0bX: y\x85Z: a\u2028B: c"),
        discreet=False,
    ).subject

    assert subject.splitlines() == [subject]


def test_paragraphs_and_line_breaks_of_the_text_are_those_of_the_page():
    page = as_html("Un.\nDeux.\n\nTrois.", language=Language.FRENCH)

    assert "Un.<br>Deux.</p>" in page
    assert page.count("<p ") == 2
    assert "<h1" not in page
    assert 'lang="fr"' in page
    assert "http" not in page


@pytest.mark.parametrize("channel", [Channel.PUSH, Channel.SMS])
def test_a_lock_screen_shows_the_discreet_form(channel):
    variant = words(
        channel, body="Votre vaccin", subject="Vaccin", discreet="Un message", discreet_subject="Votre clinique"
    )

    said = render(variant, named("Ada"), discreet=True)
    assert (said.subject, said.text, said.full_text) == ("Votre clinique", "Un message", "Votre vaccin")
    said = render(variant, named("Ada"), discreet=False)
    assert (said.subject, said.text) == ("Vaccin", "Votre vaccin")


def test_a_letter_in_an_envelope_needs_no_discreet_form():
    variant = words(Channel.EMAIL, body="Votre vaccin", subject="S", discreet="Un message", discreet_subject="X")

    assert render(variant, named("Ada"), discreet=True).text == "Votre vaccin"


def test_without_a_discreet_form_the_only_one_is_used():
    assert render(words(Channel.SMS), named("Ada"), discreet=True).text == "Bonjour Ada"
