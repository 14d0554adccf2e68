"""The words of a receipt that a person reads: on a page, and on paper. Nothing in them tells who somebody is."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_time

from backend.consent.operations import Receipt
from backend.consent.standards.facts import ConsentRecord, RecordedEvent, Speaker, Words, Writer, notice_url
from backend.policy.vocabulary import Channel, ConsentStatus, EventKind, Language, Method

FRENCH, ENGLISH = Language.FRENCH, Language.ENGLISH
NBSP: Final = "\N{NO-BREAK SPACE}"
LOCALE: Final = {FRENCH: "fr_FR", ENGLISH: "en_GB"}
DAY: Final = {FRENCH: "EEEE d MMMM y", ENGLISH: "EEEE d MMMM y"}
HOUR: Final = {FRENCH: f"H'{NBSP}h{NBSP}'mm", ENGLISH: "H:mm"}
BETWEEN: Final = {FRENCH: f"à{NBSP}", ENGLISH: f"at{NBSP}"}

BY_CHANNEL: Final = {
    FRENCH: {
        Channel.PUSH: "dans l’application",
        Channel.SMS: "par SMS",
        Channel.EMAIL: "par e-mail",
        Channel.LETTER: "par courrier",
        Channel.CALL: "par téléphone",
    },
    ENGLISH: {
        Channel.PUSH: "in the app",
        Channel.SMS: "by text message",
        Channel.EMAIL: "by email",
        Channel.LETTER: "by post",
        Channel.CALL: "by telephone",
    },
}
STATE: Final = {
    FRENCH: {
        ConsentStatus.NONE: "Aucun accord. Rien n’est envoyé.",
        ConsentStatus.PENDING: "Un accord attend celui d’une deuxième personne. Rien n’est envoyé d’ici là.",
        ConsentStatus.GIVEN: "Oui.",
        ConsentStatus.REFUSED: "Non. Rien n’est envoyé.",
        ConsentStatus.WITHDRAWN: "Non, plus maintenant. Rien n’est envoyé.",
        ConsentStatus.OBJECTED: "Une opposition a été exprimée. Rien n’est envoyé.",
        ConsentStatus.EXPIRED: "L’accord a expiré. Rien n’est envoyé.",
        ConsentStatus.RECONSENT_REQUIRED: "Le texte a changé : l’accord doit être redemandé. Rien n’est envoyé.",
        ConsentStatus.ENDED: "L’accord a pris fin. Rien n’est envoyé.",
    },
    ENGLISH: {
        ConsentStatus.NONE: "There is no yes. Nothing is sent.",
        ConsentStatus.PENDING: "A yes waits for that of a second person. Nothing is sent until then.",
        ConsentStatus.GIVEN: "Yes.",
        ConsentStatus.REFUSED: "No. Nothing is sent.",
        ConsentStatus.WITHDRAWN: "No longer. Nothing is sent.",
        ConsentStatus.OBJECTED: "There is an objection. Nothing is sent.",
        ConsentStatus.EXPIRED: "The yes has run out. Nothing is sent.",
        ConsentStatus.RECONSENT_REQUIRED: "The text has changed: it has to be asked again. Nothing is sent.",
        ConsentStatus.ENDED: "The yes has ended. Nothing is sent.",
    },
}
HAPPENED: Final = {
    FRENCH: {
        EventKind.REQUESTED: "Question posée",
        EventKind.DEFERRED: "Réponse remise à plus tard",
        EventKind.PENDING: "Oui, en attente d’une deuxième personne",
        EventKind.GIVEN: "Oui",
        EventKind.RENEWED: "Oui, à nouveau",
        EventKind.REFUSED: "Non",
        EventKind.WITHDRAWN: "Accord retiré",
        EventKind.OBJECTED: "Opposition",
        EventKind.OBJECTION_LIFTED: "Opposition retirée",
        EventKind.EXPIRED: "Accord expiré",
        EventKind.RECONSENT_REQUIRED: "Texte modifié, accord à redemander",
        EventKind.ENDED: "Accord terminé à la majorité",
        EventKind.REVOKED: "L’établissement y a renoncé",
        EventKind.INVALIDATED: "Accord invalidé, mal recueilli",
        EventKind.ENTERED_IN_ERROR: "Erreur de saisie corrigée",
        EventKind.UNKNOWN: "Accord allégué sans preuve",
        EventKind.AGE_CORRECTED: "Date de naissance corrigée, fin de l’accord recalculée",
    },
    ENGLISH: {
        EventKind.REQUESTED: "The question was asked",
        EventKind.DEFERRED: "The answer was put off",
        EventKind.PENDING: "Yes, waiting for a second person",
        EventKind.GIVEN: "Yes",
        EventKind.RENEWED: "Yes, once more",
        EventKind.REFUSED: "No",
        EventKind.WITHDRAWN: "Withdrawn",
        EventKind.OBJECTED: "Objection",
        EventKind.OBJECTION_LIFTED: "Objection taken back",
        EventKind.EXPIRED: "The yes ran out",
        EventKind.RECONSENT_REQUIRED: "The text changed, to be asked again",
        EventKind.ENDED: "The yes ended on coming of age",
        EventKind.REVOKED: "The clinic gave it up",
        EventKind.INVALIDATED: "Not properly collected, no longer valid",
        EventKind.ENTERED_IN_ERROR: "A slip was corrected",
        EventKind.UNKNOWN: "A yes was claimed without proof",
        EventKind.AGE_CORRECTED: "Birth date put right, end of the yes reckoned anew",
    },
}
HOW: Final = {
    FRENCH: {
        Method.APP: "dans l’application",
        Method.PAPER_FORM: "sur papier",
        Method.VERBAL: "de vive voix",
        Method.STAFF_WITHDRAWAL: "auprès de l’établissement",
        Method.WEB: "sur une page web",
        Method.DOUBLE_OPT_IN: "par un lien de confirmation",
        Method.IMPORT: "repris d’un autre logiciel",
        Method.SMS_KEYWORD: "par SMS (STOP)",
        Method.ONE_CLICK: "par le lien de désinscription",
        Method.CARRIER_FEEDBACK: "signalé par le transporteur",
        Method.SYSTEM: "par une règle",
    },
    ENGLISH: {
        Method.APP: "in the app",
        Method.PAPER_FORM: "on paper",
        Method.VERBAL: "aloud",
        Method.STAFF_WITHDRAWAL: "at the clinic",
        Method.WEB: "on a web page",
        Method.DOUBLE_OPT_IN: "by a confirmation link",
        Method.IMPORT: "taken over from other software",
        Method.SMS_KEYWORD: "by text message (STOP)",
        Method.ONE_CLICK: "by the unsubscribe link",
        Method.CARRIER_FEEDBACK: "told by the carrier",
        Method.SYSTEM: "by a rule",
    },
}
WRITER: Final = {
    FRENCH: {
        Writer.PATIENT: "le patient",
        Writer.REPRESENTATIVE: "un représentant",
        Writer.STAFF: "l’établissement",
        Writer.SYSTEM: "Accord, selon une règle",
    },
    ENGLISH: {
        Writer.PATIENT: "the patient",
        Writer.REPRESENTATIVE: "a representative",
        Writer.STAFF: "the clinic",
        Writer.SYSTEM: "Accord, by a rule",
    },
}
SPEAKER: Final = {FRENCH: ("le patient", "un représentant"), ENGLISH: ("the patient", "a representative")}
NOBODY: Final = {FRENCH: "personne", ENGLISH: "nobody"}
AND: Final = {FRENCH: " et ", ENGLISH: " and "}
LABELS: Final = {
    FRENCH: {
        "title": "Reçu",
        "space": "Vos choix",
        "skip": "Aller au contenu",
        "heading": "Reçu de votre réponse",
        "answer": "Réponse",
        "about": "Sujet",
        "channel": "Moyen",
        "until": "Valable jusqu’au",
        "clinic": "Établissement",
        "patient": "Patient n°",
        "number": "Reçu n°",
        "made": "Établi le",
        "words": "Le texte exact",
        "version": "version",
        "published": "publiée le",
        "fingerprint": "Empreinte SHA-256",
        "history": "Ce qui s’est passé",
        "by": "Dit par",
        "how": "Comment",
        "written": "Noté par",
        "change": "Changer d’avis",
        "change_how": (
            "À tout moment, sans donner de raison : dans l’application, par le lien au bas de chaque e-mail, en "
            "répondant STOP à un SMS, ou auprès de l’établissement. Vos soins n’en dépendent pas."
        ),
        "check": "Vérifier ce reçu",
        "check_how": (
            "La forme signée de ce reçu (JWS) se vérifie partout, sans nous : avec le fichier verifier.py d’Accord et "
            "les clés publiées à l’adresse ci-dessous."
        ),
        "call": "Une question ? Appelez le",
        "is": " : ",
    },
    ENGLISH: {
        "title": "Receipt",
        "space": "Your choices",
        "skip": "Skip to the content",
        "heading": "Receipt of your answer",
        "answer": "Answer",
        "about": "About",
        "channel": "By what means",
        "until": "Valid until",
        "clinic": "Clinic",
        "patient": "Patient no.",
        "number": "Receipt no.",
        "made": "Made on",
        "words": "The exact words",
        "version": "version",
        "published": "published on",
        "fingerprint": "SHA-256 fingerprint",
        "history": "What happened",
        "by": "Said by",
        "how": "How",
        "written": "Written down by",
        "change": "Changing your mind",
        "change_how": (
            "At any time, without a reason: in the app, by the link below every email, by answering STOP to a text "
            "message, or at the clinic. Your care does not depend on it."
        ),
        "check": "Checking this receipt",
        "check_how": (
            "The signed form of this receipt (JWS) can be checked anywhere, without us: with Accord’s file verifier.py "
            "and the keys published at the address below."
        ),
        "call": "A question? Call",
        "is": ": ",
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """One line of the history."""

    what: str
    when: str
    by: str
    how: str
    written: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Readable:
    """A receipt as it is read. `words_language` is that of the words that were shown, whatever the page is in."""

    language: str
    labels: dict[str, str]
    facts: list[tuple[str, str]]
    statement: str
    notice_title: str
    notice_paragraphs: list[list[str]]
    notice_about: str
    notice_address: str
    fingerprint: str
    words_language: str
    history: list[Happened]
    clinic: str
    telephone: str
    keys: str
    number: str


def readable(receipt: Receipt, language: Language) -> Readable:
    """The receipt in the words of one language; what was shown stays in the language in which it was shown."""
    record = receipt.record
    labels = {name: _set(text, language) for name, text in LABELS[language].items()}
    words = record.words
    return Readable(
        language=language.value,
        labels=labels,
        facts=_facts(receipt, labels, language),
        statement="" if words is None else words.statement,
        notice_title="" if words is None else words.title,
        notice_paragraphs=[] if words is None else _paragraphs(words.body),
        notice_about="" if words is None else _about(words, labels, language, record.controller.time_zone),
        notice_address="" if words is None else notice_url(record.controller, words),
        fingerprint="" if words is None else words.sha256,
        words_language=language.value if words is None else words.language.value,
        history=[_happened(event, language, record.controller.time_zone) for event in record.events],
        clinic=record.controller.name,
        telephone=record.controller.telephone.replace(" ", NBSP),
        keys=f"{record.controller.site}/receipts/keys",
        number=str(receipt.id),
    )


def moment(at: datetime, language: Language, time_zone: str) -> str:
    """Day and hour on the clinic's clock, as people write them."""
    local = at.astimezone(ZoneInfo(time_zone))
    day = format_date(local, DAY[language], locale=LOCALE[language])
    if language is FRENCH and local.day == 1:
        day = day.replace(" 1 ", f" 1er{NBSP}", 1)
    hour = format_time(local.replace(tzinfo=None), HOUR[language], locale=LOCALE[language])
    return f"{day} {BETWEEN[language]}{hour}"


def _facts(receipt: Receipt, labels: dict[str, str], language: Language) -> list[tuple[str, str]]:
    record, zone = receipt.record, receipt.record.controller.time_zone
    told = [
        (labels["answer"], _set(STATE[language][record.status], language)),
        (labels["about"], record.purpose.name(language)),
        (labels["channel"], _capital(BY_CHANNEL[language][record.channel])),
    ]
    if record.holds_until is not None and record.status is ConsentStatus.GIVEN:
        told.append((labels["until"], moment(record.holds_until, language, zone)))
    return [
        *told,
        (labels["clinic"], _clinic(record)),
        (labels["patient"], str(record.patient_id)),
        (labels["made"], moment(receipt.created, language, zone)),
        (labels["number"], str(receipt.id)),
    ]


def _clinic(record: ConsentRecord) -> str:
    return ", ".join(filter(None, [record.controller.name, record.controller.address]))


def _paragraphs(body: str) -> list[list[str]]:
    """Paragraphs, and the lines of each, as they were shown."""
    return [one.strip().splitlines() for one in body.split("\n\n") if one.strip()]


def _about(words: Words, labels: dict[str, str], language: Language, time_zone: str) -> str:
    published = moment(words.published_at, language, time_zone)
    return f"{_capital(labels['version'])}{NBSP}{words.version}, {labels['published']} {published}"


def _happened(event: RecordedEvent, language: Language, time_zone: str) -> Happened:
    return Happened(
        what=HAPPENED[language][event.kind],
        when=_capital(moment(event.occurred_at, language, time_zone)),
        by=_speakers(event.spoken_by, language),
        how=HOW[language][event.method],
        written=WRITER[language][event.written_by],
    )


def _speakers(spoken_by: tuple[Speaker, ...], language: Language) -> str:
    if not spoken_by:
        return NOBODY[language]
    own, other = SPEAKER[language]
    return AND[language].join(own if one.is_patient else other for one in spoken_by)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _set(text: str, language: Language) -> str:
    """French signs stand off the word by a space that does not break."""
    if language is not FRENCH:
        return text
    for sign in ":;!?":
        text = text.replace(f" {sign}", f"{NBSP}{sign}")
    return text
