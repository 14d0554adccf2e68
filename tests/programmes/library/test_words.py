"""What patients read: complete, fillable, discreet, short enough, and written as one writes."""

import re
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from backend.messaging.operations.templates import OFFERED
from backend.messaging.rendering import Rendered, Words, check_template, render
from backend.messaging.segments import Encoding, characters_outside, count
from backend.messaging.values import invented_values
from backend.messaging.variants import VariantText
from backend.policy.vocabulary import Channel, Language, Tone
from backend.programmes.library.catalogue import SPOKEN_CHANNELS, load_templates

TEMPLATES = load_templates()
NO_BREAK = "\N{NO-BREAK SPACE}"
BARE = {language: invented_values(language)["appointment"] | {"place": "", "practitioner": ""} for language in Language}
TELEPHONE = "01 99 00 00 00"
WAY_OUT = {Language.FRENCH: "ne plus recevoir ces rappels", Language.ENGLISH: "stop these reminders"}
OWN_SPACE = {Language.FRENCH: r"espace patient|cet espace", Language.ENGLISH: r"patient portal|use the portal"}
# What the list of messages on a telephone shows of an e-mail before it is opened.
PREVIEW = 100

TELLING = re.compile(
    r"""vaccin|gripp|\bflu\b|influen|immunis|\bdoses?\b|piq[uû]|\bjabs?\b|\bshots?\b|inject|pr[ée]vent|d[ée]pist|screening
    |malad|disease|sant[ée]|health|sympt|traitement|treatment|r[ée]sultat|result|examen|\btests?\b|scanner|\birm\b|\bmri\b
    |grossesse|pregnan|cancer|onco|cardio|gyn|psy|dermato|radio|ophtal|ophthal|dent|urolog|neuro|p[ée]diat|paediat|chirurg
    |surg|diab|asthm|infirm|nurse|m[ée]decin|docteur|doctor|\bdr\b|consult|soins|\bcare\b""",
    re.IGNORECASE | re.VERBOSE,
)
TU = re.compile(r"\b(tu|te|ton|ta|tes|toi|tien|tiens|peux|appelle|préviens|ignore)\b|\bt['’]", re.IGNORECASE)
VOUS = re.compile(r"\b(vous|votre|vos|vôtre)\b|\b(?!chez\b|rendez\b)\w+ez\b", re.IGNORECASE)
PUSHING = re.compile(
    r"offre|promo|gratuit|réduction|remise|cliqu|profite|\bstop\b(?! these reminders)|https?:|bit\.ly|vous devez"
    r"|tu dois|obligatoire|\bmust\b|have to|should|\bfree\b|discount|click|deal|hurry|vite|urgent|last chance|!",
    re.IGNORECASE,
)
BRANDS = re.compile(r"vaxigrip|influvac|efluelda|fluarix|flucelvax|fluenz|fluad|tetra", re.IGNORECASE)


def as_stored(variant):
    """A variant as the rendering reads it."""
    return Words(
        id=UUID(int=1),
        channel=variant.channel,
        language=variant.language,
        subject=variant.subject,
        body=variant.body,
        discreet_subject=variant.discreet_subject,
        discreet_body=variant.discreet_body,
    )


@dataclass(frozen=True)
class Case:
    """One way of reading one variant."""

    template: str
    variant: VariantText
    for_child: bool
    discreet: bool

    def __str__(self) -> str:
        one = self.variant
        reader = "parent" if self.for_child else "patient"
        form = "discreet" if self.discreet else "full"
        return f"{self.template} {one.channel} {one.language} {one.tone} {reader} {form}"

    def values(self, **changed: Any) -> dict[str, Any]:
        """The invented patient, for whom everything is known; `clinic__telephone=""` changes one value."""
        values = invented_values(self.variant.language) | {"for_child": self.for_child}
        values["appointment"] = values["appointment"] | {"place": "Salle B", "practitioner": "Claude Martin"}
        for path, value in changed.items():
            group, _, name = path.partition("__")
            values[group] = values[group] | {name: value} if name else value
        return values

    def read(self, **changed: Any) -> Rendered:
        return render(as_stored(self.variant), self.values(**changed), discreet=self.discreet)


VARIANTS = {
    f"{slug} {variant.channel} {variant.language} {variant.tone}": variant
    for slug, template in TEMPLATES.items()
    for variant in template.variants
}
CASES = [
    Case(slug, variant, for_child, discreet)
    for slug, template in TEMPLATES.items()
    for variant in template.variants
    for for_child in (False, True)
    for discreet in ((False,) if variant.channel is Channel.EMAIL else (False, True))
]


def every(*channels, language=None, tone=None, template=None, discreet=None):
    """The cases of some channels, one of which a test reads."""
    chosen = [
        case
        for case in CASES
        if (not channels or case.variant.channel in channels)
        and language in {None, case.variant.language}
        and tone in {None, case.variant.tone}
        and template in {None, case.template}
        and discreet in {None, case.discreet}
    ]
    assert chosen
    return pytest.mark.parametrize("case", chosen, ids=str)


def every_variant(*channels, language=None):
    """The variants of some channels, one of which a test looks at as it was written."""
    chosen = {
        name: one
        for name, one in VARIANTS.items()
        if (not channels or one.channel in channels) and language in {None, one.language}
    }
    assert chosen
    return pytest.mark.parametrize("variant", chosen.values(), ids=chosen)


def own_words(variant):
    """What we wrote ourselves, every branch of it; a dash stands for what is filled in."""
    source = f"{variant.subject}\n{variant.body}\n{variant.discreet_subject}\n{variant.discreet_body}"
    return re.sub(r"\{%.*?%\}", "", re.sub(r"\{\{.*?\}\}", "-", source))


def sentences(text):
    parts = re.split(rf"[.?!\n]|{NO_BREAK}?:", text.replace("vaccination-info-service.fr", "site"))
    return [words for part in parts if (words := re.findall(r"[\w’'-]+", part))]


# -------------------------------------------------------------------------------------------------- complete, fillable


@pytest.mark.parametrize("slug", ["appointment_reminder", "vaccination_recall"])
def test_a_template_speaks_every_channel_language_and_tone(slug):
    spoken = [(variant.channel, variant.language, variant.tone) for variant in TEMPLATES[slug].variants]

    assert spoken == [
        (channel, language, tone) for channel in SPOKEN_CHANNELS for language in Language for tone in Tone
    ]


@every_variant()
def test_a_variant_names_only_what_is_offered(variant):
    for source in (variant.subject, variant.body, variant.discreet_subject, variant.discreet_body):
        check_template(source, allowed=OFFERED)


@every()
def test_a_text_is_filled_without_gaps(case):
    texts = [case.read(), case.read(clinic__telephone=""), case.read(appointment=BARE[case.variant.language])]

    for one in texts:
        assert one.text
        for text in (one.subject, one.text):
            assert "  " not in text
            assert "\n\n\n" not in text
            assert not re.search(r"[{}%]| [.,]|\.\.|,,|\bau \.|\ble \.", text)


@every()
def test_the_invented_values_of_previews_fill_a_text(case):
    values = invented_values(case.variant.language) | {"for_child": case.for_child}

    assert render(as_stored(case.variant), values, discreet=case.discreet).text


@every(Channel.EMAIL)
def test_somebody_without_a_first_name_is_greeted_all_the_same(case):
    greeting = case.read(patient__first_name="").text.splitlines()[0]

    assert greeting in {"Bonjour,", "Hello,", "Hi,"}


@every(template="appointment_reminder")
def test_a_reminder_says_the_day_and_the_time(case):
    text = case.read().text

    assert case.values()["appointment"]["time"] in text
    assert any(case.values()["appointment"][day] in text for day in ("date", "short_date"))


# ------------------------------------------------------------------------------------------------------------ discreet


@every(Channel.PUSH, Channel.SMS, discreet=True)
def test_a_lock_screen_tells_nothing_about_health(case):
    read = case.read()

    assert not TELLING.search(f"{read.subject}\n{read.text}")


@every()
def test_a_subject_tells_nothing_about_health(case):
    assert not TELLING.search(case.read().subject)


@every(Channel.EMAIL)
def test_the_preview_of_an_email_tells_nothing_about_health(case):
    text = case.read().text

    assert len(text) > PREVIEW
    assert not TELLING.search(text[:PREVIEW])


@every()
def test_what_the_source_says_of_place_and_people_stays_off_lock_screens(case):
    told = {
        "clinic__name": "Centre d’oncologie du Parc",
        "appointment__place": "Service de cardiologie",
        "appointment__practitioner": "Dr Martin, psychiatre",
        "patient__family_name": "Durand-Petit",
    }

    read = case.read(**told)

    shown = read.subject
    if case.discreet:
        shown += read.text
    if case.variant.channel is Channel.EMAIL:
        told.pop("patient__family_name")
        shown += read.text[:PREVIEW]
    assert [value for value in told.values() if value in shown] == []


@pytest.mark.parametrize("case", [case for case in CASES if case.for_child], ids=str)
def test_a_message_to_a_parent_names_no_child(case):
    text = case.read().text

    assert "Camille" not in text
    assert "Exemple" not in text
    assert re.search("enfant|child", text)


@pytest.mark.parametrize("case", [case for case in CASES if not case.for_child], ids=str)
def test_a_message_to_a_patient_speaks_of_no_child(case):
    read = case.read()

    assert not re.search("enfant|child", read.subject + read.text)


# ------------------------------------------------------------------------------------------------- sender and way out


@every()
def test_the_sender_is_named(case):
    read = case.read(clinic__name="Maison des Lilas", clinic__discreet_name="Les Lilas")

    assert re.search("Maison des Lilas|Les Lilas", f"{read.subject}\n{read.text}")


@every(Channel.SMS, Channel.EMAIL)
def test_a_way_out_is_there(case):
    language = case.variant.language
    called, silent = case.read().text, case.read(clinic__telephone="").text

    assert WAY_OUT[language] in called.lower()
    assert TELEPHONE in called
    assert WAY_OUT[language] in silent.lower()
    assert re.search(OWN_SPACE[language], silent)


# ------------------------------------------------------------------------------------------------------- SMS as billed


LONG = {
    "clinic__discreet_name": "Cabinet des Quatre-Chemin",
    "clinic__name": "Centre de soins de la rue des Tilleuls 14",
    "clinic__telephone": TELEPHONE,
    "appointment__place": "Accueil du 2e étage, porte de gauche",
}
LATEST = {Language.FRENCH: "30/09", Language.ENGLISH: "30 Sept"}


@every_variant(Channel.SMS)
def test_an_sms_is_written_in_the_small_alphabet(variant):
    assert characters_outside(own_words(variant)) == set()


@every(Channel.SMS)
def test_an_sms_fits(case):
    text = case.read(**LONG, appointment__short_date=LATEST[case.variant.language]).text

    segments = count(text)

    assert len(LONG["clinic__discreet_name"]) == 25
    assert segments.encoding is Encoding.GSM7
    assert segments.parts <= (1 if case.discreet else 2), f"{segments.units}: {text}"


@every(Channel.SMS)
def test_no_month_of_the_year_makes_an_sms_dearer(case):
    months = {"date": "samedi 29 août", "month": "août 2026"}
    values = {f"appointment__{name}": value for name, value in months.items()}

    text = case.read(**values, vaccination={"month": "août 2026"}).text

    assert count(text).encoding is Encoding.GSM7


@every(Channel.PUSH)
def test_a_push_message_is_short(case):
    assert len(case.read(**LONG).text) <= 240


# ---------------------------------------------------------------------------------------------------- written properly


@every_variant(Channel.PUSH, Channel.EMAIL)
def test_push_and_email_are_typeset(variant):
    words = own_words(variant)

    assert not re.search(r"['\"·]|\.\.\.", words)
    if variant.language is Language.FRENCH:
        assert not re.search(rf"(?<!{NO_BREAK})[:;!?»]|«(?!{NO_BREAK})", words)
    else:
        assert not re.search(r"\s[:;!?]", words)
    assert not re.search(r"\N{NARROW NO-BREAK SPACE}", words), "the fonts of mail programs may lack it"


@every_variant(language=Language.FRENCH)
def test_tu_and_vous_are_never_mixed(variant):
    words = re.sub("rendez-vous", "", own_words(variant), flags=re.IGNORECASE)

    assert not (VOUS if variant.tone is Tone.INFORMAL else TU).search(words)


@every_variant(language=Language.FRENCH)
def test_abbreviations_and_half_genders_are_avoided(variant):
    assert not re.search(r"\bRDV\b|\(e\)|\w·\w", own_words(variant), re.IGNORECASE)


@every(tone=Tone.PLAIN)
def test_plain_sentences_are_very_short(case):
    long = [" ".join(words) for words in sentences(case.read().text) if len(words) > 12]

    assert long == []


@every()
def test_no_sentence_is_long(case):
    long = [" ".join(words) for words in sentences(case.read().text) if len(words) > 25]

    assert long == []


@every_variant()
def test_nothing_is_sold_and_nobody_is_pushed(variant):
    words = own_words(variant)

    assert not PUSHING.search(words)
    assert not BRANDS.search(words)
    assert all(ord(character) < 0x2600 for character in words), "no emoji"


@every(template="vaccination_recall", discreet=False)
def test_a_recall_says_who_recommends_and_to_some_people_only(case):
    text = case.read().text

    if case.variant.language is Language.FRENCH:
        assert re.search("[Ll]es autorités de santé l[ae] recommandent|[Ll]es autorités de santé recommandent", text)
        assert "certaines personnes" in text
    else:
        assert "The health authorities recommend" in text
        assert "some people" in text


@every(Channel.EMAIL, template="vaccination_recall")
def test_a_recall_by_email_names_its_public_source(case):
    assert "vaccination-info-service.fr" in case.read().text
