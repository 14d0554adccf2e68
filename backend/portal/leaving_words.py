"""The words of the pages behind a link. Nothing on them tells who somebody is, or what they are treated for."""

from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_time

from backend.policy.vocabulary import Channel, Language, Nature

FRENCH, ENGLISH = Language.FRENCH, Language.ENGLISH

KIND: Final = {
    FRENCH: {
        Nature.CARE: "messages pratiques",
        Nature.PREVENTION: "rappels",
        Nature.SATISFACTION: "questionnaires",
        Nature.MARKETING: "actualités",
        Nature.CLOSED_LIST: "messages de service",
    },
    ENGLISH: {
        Nature.CARE: "practical messages",
        Nature.PREVENTION: "reminders",
        Nature.SATISFACTION: "questionnaires",
        Nature.MARKETING: "news",
        Nature.CLOSED_LIST: "service messages",
    },
}
BY_CHANNEL: Final = {
    FRENCH: {
        Channel.EMAIL: "par e-mail",
        Channel.SMS: "par SMS",
        Channel.PUSH: "sur le téléphone",
        Channel.LETTER: "par courrier",
        Channel.CALL: "par appel",
    },
    ENGLISH: {
        Channel.EMAIL: "by email",
        Channel.SMS: "by text message",
        Channel.PUSH: "on the phone",
        Channel.LETTER: "by post",
        Channel.CALL: "by phone call",
    },
}
WORDS: Final[dict[Language, dict[str, Any]]] = {
    FRENCH: {
        "space": "Vos choix",
        "skip": "Aller au contenu",
        "language": "Langue",
        "call": "Une question\N{NARROW NO-BREAK SPACE}? Appelez le",
        "nothing_to_explain": "Rien à expliquer, pas de mot de passe. C’est immédiat.",
        "since": "C’est le cas depuis le {moment}.",
        "ask": {
            "title": "Arrêter les messages",
            "heading": "Arrêter les «\N{NO-BREAK SPACE}{kind}\N{NO-BREAK SPACE}» {channel}",
            "lead": "Ce lien arrête ces messages, et eux seuls. Vos soins n’en dépendent pas.",
            "button": "Arrêter ces messages",
        },
        "done": {
            "title": "C’est arrêté",
            "heading": "C’est arrêté",
            "lead": "Plus aucun message «\N{NO-BREAK SPACE}{kind}\N{NO-BREAK SPACE}» ne part {channel}. Un message "
            "déjà parti avant peut encore arriver.",
        },
        "stopping": {
            "title": "En cours d’arrêt",
            "heading": "C’est noté, l’arrêt est en cours",
            "lead": "Votre choix est enregistré\N{NO-BREAK SPACE}: plus aucun nouvel envoi «\N{NO-BREAK SPACE}{kind}"
            "\N{NO-BREAK SPACE}» ne commence {channel}. Un message était en train de partir\N{NARROW NO-BREAK SPACE}; "
            "il peut encore arriver.",
        },
        "already": {
            "title": "Déjà arrêté",
            "heading": "C’est déjà arrêté",
            "lead": "Aucun message «\N{NO-BREAK SPACE}{kind}\N{NO-BREAK SPACE}» ne part {channel}. {since} Il n’y a "
            "rien à faire.",
        },
        "nowhere": {
            "title": "Lien sans effet",
            "heading": "Ce lien n’arrête rien",
            "lead": "Il est peut-être incomplet\N{NO-BREAK SPACE}: ouvrez-le de nouveau depuis le message. Sinon, "
            "demandez l’arrêt à l’établissement qui vous a écrit. C’est tout aussi valable.",
        },
        "slow": {
            "title": "Trop de demandes",
            "heading": "Trop de demandes à la suite",
            "lead": "Attendez une minute, puis ouvrez de nouveau le lien depuis le message.",
        },
    },
    ENGLISH: {
        "space": "Your choices",
        "skip": "Skip to the content",
        "language": "Language",
        "call": "Any question? Call",
        "nothing_to_explain": "Nothing to explain, no password. It takes effect at once.",
        "since": "It has been stopped since {moment}.",
        "ask": {
            "title": "Stop messages",
            "heading": "Stop “{kind}” {channel}",
            "lead": "This link stops these messages, and only these. Your care does not depend on them.",
            "button": "Stop these messages",
        },
        "done": {
            "title": "Stopped",
            "heading": "Stopped",
            "lead": "No more “{kind}” are sent {channel}. One that had left before may still arrive.",
        },
        "stopping": {
            "title": "Being stopped",
            "heading": "Noted: this is being stopped",
            "lead": "Your choice is recorded: no new “{kind}” are sent {channel}. One was just leaving, and may still "
            "arrive.",
        },
        "already": {
            "title": "Already stopped",
            "heading": "This is already stopped",
            "lead": "No “{kind}” are sent {channel}. {since} There is nothing to do.",
        },
        "nowhere": {
            "title": "A link without effect",
            "heading": "This link stops nothing",
            "lead": "It may be incomplete: open it again from the message. Otherwise ask the clinic that wrote to "
            "you. That counts just as much.",
        },
        "slow": {
            "title": "Too many requests",
            "heading": "Too many requests in a row",
            "lead": "Wait a minute, then open the link again from the message.",
        },
    },
}
DAY: Final = {FRENCH: "d MMMM y", ENGLISH: "d MMMM y"}
HOUR: Final = {FRENCH: "H'\N{NO-BREAK SPACE}h\N{NO-BREAK SPACE}'mm", ENGLISH: "H:mm"}
BETWEEN: Final = {FRENCH: "à", ENGLISH: "at"}
LOCALE: Final = {FRENCH: "fr_FR", ENGLISH: "en_GB"}


def moment(at: datetime, language: Language, time_zone: str) -> str:
    """Day and hour on the clinic's clock, as people write them."""
    local = at.astimezone(ZoneInfo(time_zone))
    day = format_date(local, DAY[language], locale=LOCALE[language])
    if language is FRENCH and local.day == 1:
        day = day.replace("1 ", "1er ", 1)
    hour = format_time(local.replace(tzinfo=None), HOUR[language], locale=LOCALE[language])
    return f"{day} {BETWEEN[language]} {hour}"
