"""The start page: what this is, and where the descriptions are."""

from typing import Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed
from django.shortcuts import render
from django.utils import translation

from backend.policy.vocabulary import Language

WORDS: Final = {
    Language.FRENCH: {
        "title": "Accord",
        "lead": "Un établissement de santé n’écrit à ses patients que là où ils ont dit oui.",
        "what": (
            "Accord garde les accords, les refus et les préférences de chaque patient, décide de chaque message et dit "
            "pourquoi, et consigne tout dans un journal chiffré."
        ),
        "skip": "Aller au contenu",
        "links": "Pour les logiciels qui parlent avec Accord",
        "docs": "Documentation de l’API",
        "docs_what": "lire et essayer chaque opération",
        "schema": "Description OpenAPI 3.1",
        "schema_what": "pour les outils, en JSON",
        "inbox": "Boîte de réception du bac à sable",
        "inbox_what": "ce que les transporteurs de démonstration ont reçu ; rien n’est envoyé",
        "language": "Langue",
    },
    Language.ENGLISH: {
        "title": "Accord",
        "lead": "A clinic writes to its patients only where they said yes.",
        "what": (
            "Accord keeps what every patient consented to, refused and prefers, decides about every message and says "
            "why, and records everything in an encrypted log."
        ),
        "skip": "Skip to the content",
        "links": "For software that talks to Accord",
        "docs": "API documentation",
        "docs_what": "read and try every operation",
        "schema": "OpenAPI 3.1 description",
        "schema_what": "for tools, as JSON",
        "inbox": "Sandbox inbox",
        "inbox_what": "what the demonstration carriers received; nothing is really sent",
        "language": "Language",
    },
}
NAMES: Final = {Language.FRENCH: "Français", Language.ENGLISH: "English"}


def start(request: HttpRequest) -> HttpResponseBase:
    """A page for whoever opens the address in a browser. The same for everybody; it names no clinic and no patient."""
    if request.method not in {"GET", "HEAD"}:
        return HttpResponseNotAllowed(["GET", "HEAD"])
    language = language_of(request)
    shown = {
        "language": language.value,
        "words": WORDS[language],
        "languages": [{"code": one.value, "name": NAMES[one], "is_this": one is language} for one in Language],
        "inbox_url": settings.ACCORD_SANDBOX_INBOX_URL,
    }
    response: HttpResponse = render(request, "portal/start.html", shown)
    response["Content-Language"] = language.value
    return response


def language_of(request: HttpRequest) -> Language:
    """Which language a page is in: as its link says, else as the browser asks for, else French."""
    asked = request.GET.get("language") or (translation.get_language() or "")[:2]
    return Language.ENGLISH if asked == Language.ENGLISH else Language.FRENCH
