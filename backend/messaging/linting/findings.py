"""What the linter can find: a closed list, each with its sentence and what would put it right."""

from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Final, NamedTuple

from backend.policy.vocabulary import Channel, Language, Tone

LONGEST_QUOTE: Final = 80


class Severity(StrEnum):
    """What is refused can not be published. A warning is for the writer to weigh."""

    REFUSE = "refuse"
    WARN = "warn"


class Said(NamedTuple):
    """How grave it is, what is found and what would put it right, in French and English. `{found}` is quoted text."""

    severity: Severity
    french: str
    english: str
    french_fix: str
    english_fix: str


REFUSE, WARN = Severity.REFUSE, Severity.WARN


class Code(Enum):
    """What is found. The name in lower case is the code, which never changes its meaning."""

    # ------------------------------------------------------------------------------------------- can it be filled
    SYNTAX = Said(
        REFUSE,
        "Le texte ne se lit pas : une accolade ou une balise manque, ou n’est pas permise ({found}).",
        "The text can not be read: a brace or a tag is missing or not allowed ({found}).",
        "Reprenez un exemple de la page « modèles » de la documentation.",
        "Start again from an example of the documentation of templates.",
    )
    UNKNOWN_NAME = Said(
        REFUSE,
        "Le nom {found} n’existe pas.",
        "The name {found} does not exist.",
        "Choisissez un nom de la liste.",
        "Choose a name of the list.",
    )
    UNFILLABLE = Said(
        REFUSE,
        "Le texte ne peut pas être rempli pour tout le monde : trop long, trop de boucles, ou sans mots.",
        "The text can not be filled for everybody: too long, too many loops, or without words.",
        "Écrivez-le plus simplement, et essayez-le dans l’aperçu.",
        "Write it more simply, and try it in the preview.",
    )
    SUBJECT_MISSING = Said(
        REFUSE,
        "Un e-mail ou une notification a besoin d’un objet.",
        "An e-mail or push message needs a subject.",
        "Ajoutez un objet neutre, par exemple le nom de la clinique.",
        "Add a neutral subject, such as the clinic’s name.",
    )
    CHANNEL_MISSING = Said(
        WARN,
        "Aucun texte pour ce canal, que le sujet propose : {found}.",
        "No words for this channel, which the purpose offers: {found}.",
        "Ajoutez une variante, ou acceptez que rien ne parte par ce canal.",
        "Add a variant, or accept that nothing goes by this channel.",
    )
    LANGUAGE_MISSING = Said(
        WARN,
        "Aucun texte dans cette langue pour ce canal : {found}. L’autre langue sera envoyée.",
        "No words in this language for this channel: {found}. The other language will be sent.",
        "Ajoutez une variante dans cette langue.",
        "Add a variant in this language.",
    )
    TONE_MISSING = Said(
        WARN,
        "Aucun texte dans ce ton pour ce canal et cette langue : {found}. Un autre ton sera envoyé.",
        "No words in this tone for this channel and language: {found}. Another tone will be sent.",
        "Ajoutez une variante dans ce ton.",
        "Add a variant in this tone.",
    )

    # -------------------------------------------------------------------------------------- what others may read
    HEALTH_WORD_ON_LOCK_SCREEN = Said(
        REFUSE,
        "« {found} » parle de santé là où un écran verrouillé le montre.",
        "“{found}” tells of health where a lock screen shows it.",
        "Écrivez seulement qu’un message attend, de qui, et où le lire.",
        "Say only that a message waits, from whom, and where to read it.",
    )
    HEALTH_WORD_IN_SUBJECT = Said(
        REFUSE,
        "« {found} » parle de santé dans l’objet d’un e-mail, que d’autres peuvent lire.",
        "“{found}” tells of health in the subject of an e-mail, which others may read.",
        "Prenez un objet neutre : « Un message de votre clinique ».",
        "Take a neutral subject: “A message from your clinic”.",
    )
    HEALTH_WORD_IN_PREVIEW = Said(
        REFUSE,
        "« {found} » parle de santé dans les premiers mots d’un e-mail, qu’un téléphone montre avant l’ouverture.",
        "“{found}” tells of health in the first words of an e-mail, which a telephone shows before it is opened.",
        "Commencez par dire qui écrit, et pourquoi la personne reçoit ce message.",
        "Begin with who writes, and why the person receives this message.",
    )
    HEALTH_WORD_IN_LINK = Said(
        REFUSE,
        "« {found} » parle de santé dans une adresse, que d’autres machines notent.",
        "“{found}” tells of health in an address, which other machines write down.",
        "Prenez une adresse qui ne dit rien.",
        "Take an address that tells nothing.",
    )
    HEALTH_WORD_IN_FULL_FORM = Said(
        WARN,
        "« {found} » se lira sur l’écran verrouillé de qui a choisi les messages complets.",
        "“{found}” will show on the lock screen of those who chose full messages.",
        "Gardez-le si c’est utile : les autres reçoivent la forme discrète.",
        "Keep it if it is useful: everybody else gets the discreet form.",
    )
    DISCREET_FORM_MISSING = Said(
        REFUSE,
        "Sans forme discrète, « {found} » se lirait sur tous les écrans verrouillés.",
        "Without a discreet form, “{found}” would show on every lock screen.",
        "Ajoutez une forme discrète, sans ces mots.",
        "Add a discreet form without these words.",
    )
    TELLING_VALUE = Said(
        REFUSE,
        "{found} peut dire une spécialité, un soignant ou un nom là où d’autres lisent.",
        "{found} may tell a speciality, a practitioner or a name where others read.",
        "Prenez clinic.discreet_name, le jour et l’heure ; le reste se lit une fois le message ouvert.",
        "Take clinic.discreet_name, the day and the time; the rest is read once the message is open.",
    )
    VALUE_IN_LINK = Said(
        REFUSE,
        "{found} écrirait quelque chose de personnel dans une adresse.",
        "{found} would write something personal into an address.",
        "Prenez le nom « link », dont l’adresse ne dit rien.",
        "Take the name “link”, whose address tells nothing.",
    )
    DISCREET_NAME_TELLS = Said(
        WARN,
        "Le nom discret de la clinique dit lui-même une spécialité : « {found} ».",
        "The discreet name of the clinic tells a speciality itself: “{found}”.",
        "Choisissez pour la clinique un nom discret sans spécialité.",
        "Choose a discreet name without a speciality for the clinic.",
    )

    # --------------------------------------------------------------------------------------- what the law asks of it
    PROMOTION_IN_CARE = Said(
        REFUSE,
        "« {found} » est de la promotion : ce sujet n’en est pas.",
        "“{found}” is promotion: this purpose is not for it.",
        "Retirez-le, ou envoyez-le sous un sujet de prospection, avec son propre accord.",
        "Take it out, or send it under a marketing purpose with a consent of its own.",
    )
    REVIEW_ASKED = Said(
        REFUSE,
        "« {found} » demande un avis public, qu’un soignant n’utilise pas.",
        "“{found}” asks for a public review, which a practitioner may not use.",
        "Posez la question dans un questionnaire de la clinique, qui reste en son sein.",
        "Ask in a survey of the clinic’s own, which stays inside.",
    )
    MEDICINE_BRAND = Said(
        REFUSE,
        "« {found} » est une marque de médicament, qu’un message au public ne nomme pas.",
        "“{found}” is a brand of medicine, which a message to the public does not name.",
        "Écrivez ce que c’est : « votre vaccin », « votre traitement ».",
        "Write what it is: “your vaccine”, “your treatment”.",
    )
    SENDER_MISSING = Said(
        REFUSE,
        "Le message ne dit pas qui écrit.",
        "The message does not say who writes.",
        "Nommez la clinique : {{ clinic.discreet_name }}.",
        "Name the clinic: {{ clinic.discreet_name }}.",
    )
    WAY_OUT_MISSING = Said(
        REFUSE,
        "Le message ne dit pas comment ne plus en recevoir.",
        "The message does not say how to stop messages like it.",
        "Ajoutez : « Pour ne plus recevoir ces messages : {{ clinic.telephone }} ».",
        "Add: “To stop these messages: {{ clinic.telephone }}”.",
    )
    STOP_WORD = Said(
        REFUSE,
        "Avec « {found} », les opérateurs tiennent ce SMS pour de la publicité et le retiennent la nuit.",
        "With “{found}”, carriers take this SMS for advertising and hold it back at night.",
        "Retirez-le : le lien pour ne plus recevoir ces messages est ajouté tout seul.",
        "Take it out: the link that stops these messages is added by itself.",
    )
    REPLY_ASKED = Said(
        WARN,
        "« {found} » demande une réponse, qu’un expéditeur en lettres ne reçoit pas.",
        "“{found}” asks for a reply, which a sender in letters does not receive.",
        "Donnez un numéro à appeler, ou un lien.",
        "Give a number to call, or a link.",
    )
    FOREIGN_LINK = Said(
        REFUSE,
        "{found} mène ailleurs que chez nous : cela ressemble à une fraude, et peut suivre la personne.",
        "{found} leads elsewhere than to us: that looks like fraud, and may follow the person.",
        "Prenez le nom « link », ou nommez un site public sans adresse complète.",
        "Take the name “link”, or name a public site without a full address.",
    )
    SURCHARGE_NUMBER = Said(
        REFUSE,
        "{found} est un numéro surtaxé.",
        "{found} is a number that costs extra.",
        "Donnez un numéro au prix d’un appel ordinaire.",
        "Give a number at the price of an ordinary call.",
    )

    # ------------------------------------------------------------------------------------------- length and price
    SMS_ALPHABET = Said(
        WARN,
        "« {found} » fait payer ce SMS plus cher : 70 caractères par partie au lieu de 160.",
        "“{found}” makes this SMS dearer: 70 characters a part instead of 160.",
        "Choisissez un autre mot ; aucun accent n’est retiré tout seul.",
        "Choose another word; no accent is taken away by itself.",
    )
    SMS_COSTLY_VALUE = Said(
        WARN,
        "{found} peut contenir une lettre qui fait payer ce SMS plus cher (« Loïc », « août »).",
        "{found} may hold a letter that makes this SMS dearer (“Loïc”, “août”).",
        "Prenez appointment.short_date, ou laissez le nom de côté.",
        "Take appointment.short_date, or leave the name out.",
    )
    SMS_LONG = Said(
        WARN,
        "Avec les valeurs les plus longues et le lien de sortie, ce SMS compte {found} parties.",
        "With the longest values and the way out, this SMS has {found} parts.",
        "Raccourcissez : trois parties au plus.",
        "Make it shorter: three parts at most.",
    )
    SMS_TOO_LONG = Said(
        REFUSE,
        "Avec les valeurs les plus longues, ce SMS compte {found} parties ; les opérateurs en refusent plus de dix.",
        "With the longest values this SMS has {found} parts; carriers refuse more than ten.",
        "Dites le reste par e-mail ou dans l’espace patient.",
        "Say the rest by e-mail or in the patient’s space.",
    )
    PUSH_LONG = Said(
        WARN,
        "Cette notification compte {found} caractères ; un téléphone en montre 240 au plus.",
        "This push message has {found} characters; a telephone shows 240 at most.",
        "Raccourcissez.",
        "Make it shorter.",
    )
    SUBJECT_LONG = Said(
        WARN,
        "Cet objet compte {found} caractères ; la plupart des programmes en montrent 78 au plus.",
        "This subject has {found} characters; most mail programs show 78 at most.",
        "Raccourcissez, et mettez l’important au début.",
        "Make it shorter, and begin with what matters.",
    )

    # ------------------------------------------------------------------------------------------------- how it speaks
    TU_AND_VOUS = Said(
        REFUSE,
        "Le texte mêle « tu » et « vous » : {found}.",
        "The text mixes “tu” and “vous”: {found}.",
        "Choisissez l’un des deux, partout.",
        "Choose one of the two, everywhere.",
    )
    ADDRESS_AGAINST_TONE = Said(
        REFUSE,
        "« {found} » ne va pas avec le ton choisi par la personne.",
        "“{found}” does not go with the tone that the person chose.",
        "« vous » dans le ton soutenu, « tu » dans le ton familier.",
        "“vous” in the formal tone, “tu” in the informal one.",
    )
    PRESSURE = Said(
        WARN,
        "« {found} » presse ou reproche.",
        "“{found}” presses or reproaches.",
        "Dites ce qui est recommandé, par qui, et laissez choisir.",
        "Say what is recommended and by whom, and let people choose.",
    )
    SHOUTING = Said(
        WARN,
        "« {found} » crie.",
        "“{found}” shouts.",
        "Écrivez en minuscules, avec un seul signe.",
        "Write in lower case, with a single sign.",
    )
    EMOJI = Said(
        WARN,
        "« {found} » : un émoji se lit mal à voix haute, et ne va pas avec un soin.",
        "“{found}”: an emoji reads badly aloud, and does not go with care.",
        "Dites-le avec un mot.",
        "Say it with a word.",
    )
    READS_BADLY = Said(
        WARN,
        "« {found} » se lit mal à voix haute.",
        "“{found}” reads badly aloud.",
        "Écrivez le mot en entier, ou une tournure neutre.",
        "Write the word out, or find a neutral turn.",
    )
    LONG_SENTENCE = Said(
        WARN,
        "Une phrase compte {found} mots.",
        "A sentence has {found} words.",
        "Une idée par phrase : 25 mots au plus, 12 en langage simple.",
        "One idea a sentence: 25 words at most, 12 in plain language.",
    )
    HARD_TO_READ = Said(
        WARN,
        "Le texte est difficile à lire : {found} sur 100.",
        "The text is hard to read: {found} of 100.",
        "Des mots de tous les jours et des phrases courtes : 60 est un texte simple.",
        "Everyday words and short sentences: 60 is plain language.",
    )

    @property
    def slug(self) -> str:
        """The code as it is stored and sent."""
        return self.name.lower()

    @property
    def severity(self) -> Severity:
        """Does it refuse, or warn?"""
        return self.value.severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing found. `start` and `end` count characters of the field as it was written, where a place is known."""

    code: Code
    channel: Channel | None = None
    language: Language | None = None
    tone: Tone | None = None
    field: str = ""
    start: int | None = None
    end: int | None = None
    found: str = ""

    @property
    def severity(self) -> Severity:
        """Does it refuse, or warn?"""
        return self.code.severity

    def sentence(self, language: Language) -> str:
        """What was found, for people."""
        said = self.code.value
        return self._filled(said.french if language is Language.FRENCH else said.english)

    def fix(self, language: Language) -> str:
        """What would put it right."""
        said = self.code.value
        return said.french_fix if language is Language.FRENCH else said.english_fix

    def _filled(self, words: str) -> str:
        short = self.found if len(self.found) <= LONGEST_QUOTE else f"{self.found[:LONGEST_QUOTE]}…"
        return words.replace("{found}", short)
