"""Invented texts: each bad one with the one rule that has to find it, and harmless ones that no rule may refuse."""

from backend.messaging.linting import Around, Code
from backend.messaging.variants import VariantText
from backend.policy.vocabulary import Channel, Language, Nature, Tone

FR, EN = Language.FRENCH, Language.ENGLISH
SMS, PUSH, EMAIL, LETTER = Channel.SMS, Channel.PUSH, Channel.EMAIL, Channel.LETTER
FORMAL, INFORMAL, PLAIN = Tone.FORMAL, Tone.INFORMAL, Tone.PLAIN
WHO = "{{ clinic.discreet_name }}"
OURS = "accord.example.org"
WAY_OUT = {
    FR: f"\nNe plus recevoir : https://{OURS}/u/{'x' * 22}",
    EN: f"\nTo stop: https://{OURS}/u/{'x' * 22}",
}


def around(nature=Nature.CARE, **changes):
    return Around(**{"nature": nature, "hosts": frozenset({OURS}), "way_out": WAY_OUT, **changes})


def sms(body, language=FR, tone=FORMAL, **changes):
    return VariantText(channel=SMS, language=language, tone=tone, body=f"{WHO} : {body}", **changes)


def email(body, language=FR, tone=FORMAL, subject="Un message de votre clinique", **changes):
    greeting = (
        f"Bonjour,\n\n{WHO} vous écrit. Vous avez accepté de recevoir nos messages par e-mail, et vous pouvez changer"
        " d’avis quand vous voulez.\n\n"
        if language is FR
        else f"Hello,\n\n{WHO} is writing to you. You agreed to receive our messages by email, and you can change your"
        " mind whenever you like.\n\n"
    )
    return VariantText(
        channel=EMAIL, language=language, tone=tone, subject=subject, body=greeting + body if body else "", **changes
    )


def push(body, language=FR, tone=FORMAL, subject=WHO, **changes):
    return VariantText(channel=PUSH, language=language, tone=tone, body=body, subject=subject, **changes)


CARE, MARKETING, PREVENTION = Nature.CARE, Nature.MARKETING, Nature.PREVENTION
# (what it is, the words, what they are sent for, the one rule that finds it)
BAD = [
    # ------------------------------------------------------------------------------------------------- promotion
    ("a price in euros", email("Le rendez-vous coûte 45 €."), CARE, Code.PROMOTION_IN_CARE),
    ("a price in words", email("Seulement 30 euros la séance."), CARE, Code.PROMOTION_IN_CARE),
    ("a special offer", email("Notre offre spéciale vous attend."), CARE, Code.PROMOTION_IN_CARE),
    ("a reduction", sms("une réduction vous attend."), CARE, Code.PROMOTION_IN_CARE),
    ("per cent less", email("En mars, -20 % sur tout."), CARE, Code.PROMOTION_IN_CARE),
    ("a code", email("Votre code promo est BEL26."), CARE, Code.PROMOTION_IN_CARE),
    ("a call to buy", email("Achetez votre crème chez nous."), PREVENTION, Code.PROMOTION_IN_CARE),
    ("click", email("Cliquez sur la page."), CARE, Code.PROMOTION_IN_CARE),
    ("profit", push("Profitez de nos nouvelles heures."), CARE, Code.PROMOTION_IN_CARE),
    ("a gift card", email("Pensez à la carte cadeau."), CARE, Code.PROMOTION_IN_CARE),
    ("godparents", email("Parrainez un proche."), CARE, Code.PROMOTION_IN_CARE),
    ("for nothing", email("La consultation gratuite est en mars."), PREVENTION, Code.PROMOTION_IN_CARE),
    ("a branch that sells", email("{% if for_child %}Soldes{% endif %} en mars."), CARE, Code.PROMOTION_IN_CARE),
    ("a word in pieces", email("Nos {{ 'pro' }}{{ 'mos' }} de mars."), CARE, Code.PROMOTION_IN_CARE),
    ("a word set aside", email("{% assign x = 'cadeau gratuit' %}Un {{ x }}."), CARE, Code.PROMOTION_IN_CARE),
    ("a discount", email("There is a discount in March.", EN), CARE, Code.PROMOTION_IN_CARE),
    ("book now", push("Book now.", EN), CARE, Code.PROMOTION_IN_CARE),
    ("a price in pounds", email("The visit is £40.", EN), CARE, Code.PROMOTION_IN_CARE),
    ("per cent off", email("Get 15% off in March.", EN), CARE, Code.PROMOTION_IN_CARE),
    ("a free gift", email("We keep a free gift for you.", EN), CARE, Code.PROMOTION_IN_CARE),
    ("our offer", email("See our offer for March.", EN), PREVENTION, Code.PROMOTION_IN_CARE),
    ("in an answer to oneself", sms("votre bon plan : {{ link }}"), Nature.CLOSED_LIST, Code.PROMOTION_IN_CARE),
    # -------------------------------------------------------------------------------------------- public reviews
    ("a review", email("Laissez un avis en ligne sur votre visite."), Nature.SATISFACTION, Code.REVIEW_ASKED),
    ("an English review", email("Please leave us a review.", EN), Nature.SATISFACTION, Code.REVIEW_ASKED),
    ("notes", sms("notez-nous !"), MARKETING, Code.REVIEW_ASKED),
    # ------------------------------------------------------------------------------------------------ lock screens
    (
        "a speciality on a lock screen",
        push("Votre visite.", discreet_body="Votre rendez-vous de cardiologie."),
        CARE,
        Code.HEALTH_WORD_ON_LOCK_SCREEN,
    ),
    (
        "a disease on a lock screen",
        sms("votre visite.", discreet_body=f"{WHO} : suivi du diabète."),
        CARE,
        Code.HEALTH_WORD_ON_LOCK_SCREEN,
    ),
    (
        "letters on a lock screen",
        sms("votre visite.", discreet_body=f"{WHO} : votre IRM est le 3."),
        CARE,
        Code.HEALTH_WORD_ON_LOCK_SCREEN,
    ),
    (
        "a practitioner on a lock screen",
        sms("votre visite.", discreet_body=f"{WHO} : le Dr Martin vous attend."),
        CARE,
        Code.HEALTH_WORD_ON_LOCK_SCREEN,
    ),
    (
        "a pregnancy on a lock screen",
        push("Votre visite.", discreet_body="Suivi de grossesse le 3."),
        CARE,
        Code.HEALTH_WORD_ON_LOCK_SCREEN,
    ),
    (
        "a head that tells",
        push("Votre visite.", discreet_body="Un message.", discreet_subject=f"{WHO}, psychiatrie"),
        CARE,
        Code.HEALTH_WORD_ON_LOCK_SCREEN,
    ),
    (
        "results on an English lock screen",
        push("Your visit.", EN, discreet_body="Your results are here."),
        CARE,
        Code.HEALTH_WORD_ON_LOCK_SCREEN,
    ),
    (
        "a screening on an English lock screen",
        sms("your visit.", EN, discreet_body=f"{WHO}: your screening is due."),
        PREVENTION,
        Code.HEALTH_WORD_ON_LOCK_SCREEN,
    ),
    ("no discreet form", sms("le vaccin est la."), CARE, Code.DISCREET_FORM_MISSING),
    ("no discreet form for a name", push("Avec {{ appointment.practitioner }}."), CARE, Code.DISCREET_FORM_MISSING),
    ("no discreet head", push("Un message.", subject=f"{WHO}, dentiste"), CARE, Code.DISCREET_FORM_MISSING),
    (
        "the full name of the clinic on a lock screen",
        sms("votre visite.", discreet_body="{{ clinic.name }} : un message."),
        CARE,
        Code.TELLING_VALUE,
    ),
    (
        "the place on a lock screen",
        push("Votre visite.", discreet_body="Lieu : {{ appointment.place }}."),
        CARE,
        Code.TELLING_VALUE,
    ),
    (
        "told to those who chose it",
        sms("votre vaccin est la.", discreet_body=f"{WHO} : un message."),
        CARE,
        Code.HEALTH_WORD_IN_FULL_FORM,
    ),
    # ---------------------------------------------------------------------------------------------------- e-mail
    ("a subject that tells", email("Lisez.", subject="Votre dépistage"), PREVENTION, Code.HEALTH_WORD_IN_SUBJECT),
    ("an English subject", email("Read.", EN, subject="Your test results"), CARE, Code.HEALTH_WORD_IN_SUBJECT),
    ("a subject with a name", email("Lisez.", subject="Avec {{ appointment.practitioner }}"), CARE, Code.TELLING_VALUE),
    (
        "first words that tell",
        VariantText(
            channel=EMAIL, language=FR, tone=FORMAL, subject="Un message", body="Bonjour, votre vaccination a un an."
        ),
        PREVENTION,
        Code.HEALTH_WORD_IN_PREVIEW,
    ),
    ("no subject", email("Un message.", subject=""), CARE, Code.SUBJECT_MISSING),
    (
        "a long subject",
        email(
            "Lisez.",
            subject="Un message de votre clinique, que nous vous prions de lire dès que vous en aurez le temps",
        ),
        CARE,
        Code.SUBJECT_LONG,
    ),
    # ------------------------------------------------------------------------------------------------------ links
    ("a shortener", email("Voyez bit.ly/3xYz."), CARE, Code.FOREIGN_LINK),
    ("somebody else's page", email("Voyez https://pages.example.com/a."), CARE, Code.FOREIGN_LINK),
    ("somebody else's site", sms("voyez www.autre-site.fr."), CARE, Code.FOREIGN_LINK),
    (
        "our address in a foreign one",
        email(f"Voyez https://evil.example.com/{OURS}."),
        CARE,
        Code.FOREIGN_LINK,
    ),
    ("health in our address", email(f"Voyez https://{OURS}/diabete."), CARE, Code.HEALTH_WORD_IN_LINK),
    (
        "a name in our address",
        email(f"Voyez https://{OURS}/a?n={{{{ patient.family_name }}}}"),
        CARE,
        Code.VALUE_IN_LINK,
    ),
    # ---------------------------------------------------------------------------------------------------- numbers
    ("an 089 number", email("Appelez le 0 892 70 12 34."), CARE, Code.SURCHARGE_NUMBER),
    ("an 0820 number", sms("appelez le 08 20 12 34 56."), CARE, Code.SURCHARGE_NUMBER),
    ("written abroad", email("Appelez le +33 8 99 12 34 56."), CARE, Code.SURCHARGE_NUMBER),
    ("a short number", email("Appelez le 3232."), CARE, Code.SURCHARGE_NUMBER),
    ("a directory", email("Appelez le 118 218."), CARE, Code.SURCHARGE_NUMBER),
    ("a premium number", email("Please call 0871 234 5678.", EN), CARE, Code.SURCHARGE_NUMBER),
    # ------------------------------------------------------------------------------------------ sender, way out
    (
        "an SMS from nobody",
        VariantText(channel=SMS, language=FR, tone=FORMAL, body="Nous vous attendons demain."),
        CARE,
        Code.SENDER_MISSING,
    ),
    ("a push message from nobody", push("Nous vous attendons.", subject="Un message"), CARE, Code.SENDER_MISSING),
    (
        "named to some only",
        VariantText(
            channel=SMS,
            language=FR,
            tone=FORMAL,
            body="{% if clinic.telephone != '' %}{{ clinic.discreet_name }} : {% endif %}nous vous attendons.",
        ),
        CARE,
        Code.SENDER_MISSING,
    ),
    (
        "a discreet form from nobody",
        sms("nous vous attendons.", discreet_body="Un message vous attend."),
        CARE,
        Code.SENDER_MISSING,
    ),
    (
        "a letter that one can not stop",
        VariantText(channel=LETTER, language=FR, tone=FORMAL, body=f"Madame, Monsieur,\n\n{WHO} vous attend."),
        CARE,
        Code.WAY_OUT_MISSING,
    ),
    ("STOP", sms("nous vous attendons. STOP au 36111"), CARE, Code.STOP_WORD),
    ("answer stop", sms("nous vous attendons. Pour finir, envoyez stop."), CARE, Code.STOP_WORD),
    ("an English STOP", sms("see you soon. Reply STOP to end.", EN), PREVENTION, Code.STOP_WORD),
    ("a reply", sms("pour confirmer, répondez OUI."), CARE, Code.REPLY_ASKED),
    ("an English reply", sms("to confirm, reply YES.", EN), CARE, Code.REPLY_ASKED),
    # ----------------------------------------------------------------------------------------- names and filling
    ("a name that is not there", email("Bonjour {{ patient.diagnosis }}."), CARE, Code.UNKNOWN_NAME),
    ("a group that is not there", sms("bonjour {{ nobody }}."), CARE, Code.UNKNOWN_NAME),
    (
        "a name in a branch",
        email("{% if for_child %}{{ child.name }}{% endif %} Bonjour."),
        CARE,
        Code.UNKNOWN_NAME,
    ),
    ("a loop", sms("{% for i in (1..3) %}x{% endfor %}"), CARE, Code.SYNTAX),
    ("a brace too few", email("Bonjour {{ patient.first_name."), CARE, Code.SYNTAX),
    ("a filter that is not there", email("{{ patient.first_name | date }}"), CARE, Code.SYNTAX),
    (
        "without words for some",
        VariantText(
            channel=SMS,
            language=FR,
            tone=FORMAL,
            body="{% unless for_child %}{{ clinic.discreet_name }}{% endunless %}",
        ),
        CARE,
        Code.UNFILLABLE,
    ),
    ("a bomb", sms("{% assign a = 'aaaaaaaa' %}" + "{% assign a = a | append: a %}" * 30), CARE, Code.UNFILLABLE),
    # --------------------------------------------------------------------------------------------- SMS as billed
    ("a circumflex", sms("vous êtes attendu demain."), CARE, Code.SMS_ALPHABET),
    ("a cedilla", sms("ça va être long, non.".replace("être", "durer")), CARE, Code.SMS_ALPHABET),
    ("a first name in an SMS", sms("{{ patient.first_name }}, nous vous attendons."), CARE, Code.SMS_COSTLY_VALUE),
    ("a month in an SMS", sms("rendez-vous {{ appointment.date }}."), CARE, Code.SMS_COSTLY_VALUE),
    ("four parts", sms("nous vous attendons. " * 26), CARE, Code.SMS_LONG),
    ("eleven parts", sms("nous vous attendons. " * 90), CARE, Code.SMS_TOO_LONG),
    ("a long push message", push("Nous vous attendons demain. " * 10), CARE, Code.PUSH_LONG),
    # ------------------------------------------------------------------------------------------------ how it speaks
    ("tu and vous", email("Nous t’attendons."), CARE, Code.TU_AND_VOUS),
    ("ton and appelez", sms("ton rendez-vous est demain. Appelez-nous.", tone=INFORMAL), CARE, Code.TU_AND_VOUS),
    ("tu in the formal tone", sms("on t'attend demain."), CARE, Code.ADDRESS_AGAINST_TONE),
    ("vous in the informal tone", sms("nous vous attendons demain.", tone=INFORMAL), CARE, Code.ADDRESS_AGAINST_TONE),
    ("must", email("Vous devez venir."), CARE, Code.PRESSURE),
    ("a reproach", email("Vous n’avez pas répondu."), CARE, Code.PRESSURE),
    ("an English countdown", email("Only 3 days left.", EN), CARE, Code.PRESSURE),
    ("shouting", email("RENDEZ VOUS DEMAIN."), CARE, Code.SHOUTING),
    ("marks of shouting", email("Nous vous attendons !!"), CARE, Code.SHOUTING),
    ("a smile", email("Nous vous attendons 😀."), CARE, Code.EMOJI),
    ("two genders in one", email("Vous êtes attendu(e)."), CARE, Code.READS_BADLY),
    ("an abbreviation", sms("votre rdv est demain."), CARE, Code.READS_BADLY),
    (
        "a long sentence",
        email(
            "Nous vous écrivons ce matin pour vous dire que la porte de la rue est fermée, que la cour est ouverte, que"
            " le parc l’est aussi et que nous vous y attendons."
        ),
        CARE,
        Code.LONG_SENTENCE,
    ),
    (
        "hard words",
        email(
            "L’organisation institutionnelle nécessite une formalisation préalable. La contextualisation administrative"
            " conditionne l’acceptabilité des modalités opérationnelles. L’interopérabilité documentaire favorise"
            " l’appropriation méthodologique des dispositifs."
        ),
        CARE,
        Code.HARD_TO_READ,
    ),
    (
        "hard English words",
        email(
            "Institutional organisation necessitates preliminary formalisation. Administrative contextualisation"
            " conditions acceptability. Documentary interoperability facilitates methodological appropriation"
            " considerations.",
            EN,
        ),
        CARE,
        Code.HARD_TO_READ,
    ),
    ("a brand", email("Le flacon de Doliprane est prêt."), CARE, Code.MEDICINE_BRAND),
]

HARMLESS = [
    sms("rendez-vous le {{ appointment.short_date }} à {{ appointment.time }}. Un imprévu ? {{ clinic.telephone }}"),
    sms("nous vous attendons le {{ appointment.short_date }}. Pour changer de date : {{ clinic.telephone }}."),
    sms("votre code est {{ code }}. Il marche 15 minutes. Rien demandé ? Ignorez ce message."),
    sms("un message vous attend : {{ link }}"),
    sms("le parking est ferme en mars. Venez par la rue des Tilleuls."),
    sms("votre rendez-vous est avance de 10 minutes. Merci de votre patience."),
    sms("n'oubliez pas votre carte Vitale et vos lunettes."),
    sms("on t'attend le {{ appointment.short_date }}. Un imprévu ? {{ clinic.telephone }}", tone=INFORMAL),
    sms("tu peux venir avec ton père ou ta mère.", tone=INFORMAL),
    sms("un document vous attend a l'accueil. Ouvert de 8h a 18h."),
    sms("nous cherchons une autre date avec vous : 01 99 00 00 00 ou 09 70 00 00 00."),
    sms("appelez le 01 99 00 00 00 ou le 0 800 00 00 00."),
    sms("en cas d'urgence vitale, appelez le 15 ou le 112."),
    sms("en détresse ? Appelez le 3114, jour et nuit."),
    sms("rendez-vous chez nous le {{ appointment.short_date }}, porte 3114, 2e étage."),
    sms("we look forward to seeing you on {{ appointment.short_date }} at {{ appointment.time }}.", EN),
    sms("your appointment moved to {{ appointment.short_date }}. Call {{ clinic.telephone }} to change it.", EN),
    sms("we'll see you on {{ appointment.short_date }}. Can't make it? {{ clinic.telephone }}", EN, INFORMAL),
    sms("feel free to call us on 020 7946 0000 or 0800 000 0000.", EN),
    sms("please bring your glasses and an identity card.", EN),
    sms("to stop these reminders: your patient portal.", EN),
    push("Un message vous attend dans votre espace patient."),
    push("Nous vous attendons {{ appointment.date }} à {{ appointment.time }}."),
    push("Le cabinet est fermé lundi. Nous rouvrons mardi à 8 h."),
    push("Votre questionnaire est prêt. Il prend deux minutes.", discreet_body="Un message vous attend."),
    push("Merci d’être venu. Nous restons joignables au {{ clinic.telephone }}."),
    push("A message is waiting for you in your patient portal.", EN),
    push("The clinic is closed on Monday. We open again on Tuesday.", EN),
    push("See you on {{ appointment.date }} at {{ appointment.time }}.", EN, INFORMAL),
    push("Votre enfant est attendu {{ appointment.date }}.", discreet_body="Un message vous attend."),
    email(
        "Votre rendez-vous est le {{ appointment.date }} à {{ appointment.time }}.\n\nLieu : {{ appointment.place }}"
    ),
    email("Avec : {{ appointment.practitioner }}. Si vous ne pouvez pas venir, dites-le-nous."),
    email("Nous organisons une réunion sur la promotion de la santé. L’entrée est libre."),
    email("Les autorités de santé recommandent ce vaccin à certaines personnes. Source : vaccination-info-service.fr."),
    email("Vous pouvez lire ameli.fr ou demander à votre médecin."),
    email("L’offre de soins change dans le quartier : un kinésithérapeute s’installe rue des Lilas."),
    email("La remise des clés se fait à l’accueil. Le solde de votre compte n’est pas en question."),
    email("Une prise de sang est prévue. Venez à jeun ; vous pouvez boire de l’eau."),
    email("Après l’opération, marchez un peu chaque jour. Appelez-nous si la douleur augmente."),
    email("Mangez des fruits, bougez chaque jour, dormez assez."),
    email("Vos réponses restent dans la clinique. Elles ne sont lues par personne d’autre."),
    email("Quelle est la probabilité que vous recommandiez la clinique à un proche, de 0 à 10 ?"),
    email("Écrivez-nous à contact@clinique-x.fr ou appelez le 01 99 00 00 00."),
    email("La marche de 3000 pas par jour aide. En 2026, nous marchons ensemble le premier samedi."),
    email("La salle est au 118, rue de la Paix. La réduction de la fracture s’est bien passée."),
    email(f"Votre espace : https://{OURS}/portal"),
    email("Votre rendez-vous a lieu dans l’enceinte de la clinique, au sein du bâtiment B."),
    email("Vous recevez une copie de votre dossier. Sous un mois, vous avez une réponse."),
    email("Les rendez-vous du docteur sont plus courts l’été. Merci de votre patience."),
    email("Your appointment is on {{ appointment.date }} at {{ appointment.time }}.", EN),
    email("We can offer you another date. Please call {{ clinic.telephone }}.", EN),
    email("We deal with your request within a month. Feel free to ask.", EN),
    email("Please drink water and walk a little every day. Call us if the pain grows.", EN),
    email("Your answers stay in the clinic. Nobody else reads them.", EN),
    email("The health authorities recommend this vaccine for some people. Source: nhs.uk.", EN),
    email("Our summer hours begin in July. The car park stays open.", EN),
    email("How likely are you to recommend the clinic to a friend, from 0 to 10?", EN),
    email("Please order your copy at the desk. The price of a stamp is not asked for.", EN),
    email("Bring the letter from your doctor, and your list of medicines.", EN),
    VariantText(
        channel=LETTER,
        language=FR,
        tone=FORMAL,
        body=f"Bonjour,\n\n{WHO} vous attend. Pour ne plus recevoir ces courriers : {{{{ clinic.telephone }}}}.",
    ),
]
