"""`/notices/{clinic}/{version}/{language}`: a published notice, for ever the same, where receipts say that it is.

Public, as it was to everybody who was asked: it names the clinic and nobody else. Nothing is recorded about who reads.
"""

from typing import Final
from uuid import UUID

from csp.decorators import csp
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed
from django.shortcuts import render
from django.urls import reverse

from backend.clinics.queries import get_clinic_by_slug
from backend.consent.queries import NoticeRow, get_notice, purposes_of
from backend.errors import NotFound
from backend.policy.vocabulary import Audience, Language
from backend.portal.frame import framed
from backend.portal.leaving import POLICY
from backend.portal.leaving_words import moment

LARGEST_VERSION: Final = 2**31 - 1
WORDS: Final = {
    Language.FRENCH: {
        "space": "Vos choix",
        "skip": "Aller au contenu",
        "language": "Langue",
        "asked": "Ce qui est demandé",
        "about": "Version\N{NO-BREAK SPACE}{version}, publiée le {moment}.",
        "fingerprint": "Empreinte SHA-256\N{NO-BREAK SPACE}:",
        "for_child": "Le texte pour les enfants",
        "for_everybody": "Le texte pour tous",
        "call": "Une question\N{NARROW NO-BREAK SPACE}? Appelez le",
    },
    Language.ENGLISH: {
        "space": "Your choices",
        "skip": "Skip to the content",
        "language": "Language",
        "asked": "What is asked",
        "about": "Version\N{NO-BREAK SPACE}{version}, published on {moment}.",
        "fingerprint": "SHA-256 fingerprint:",
        "for_child": "The text for children",
        "for_everybody": "The text for everybody",
        "call": "Any question? Call",
    },
}


@csp(POLICY)  # type: ignore[arg-type] # its types know only views without an argument
def notice(
    request: HttpRequest, slug: str, version: int, language: str, audience: str = Audience.EVERYBODY.value
) -> HttpResponseBase:
    """Show the words of one version in one language, for everybody or for a child, and the sentences asked with it."""
    if request.method not in {"GET", "HEAD"}:
        return HttpResponseNotAllowed(["GET", "HEAD"])
    if language not in set(Language) or version > LARGEST_VERSION:
        raise Http404
    spoken = Language(language)
    try:
        clinic = get_clinic_by_slug(slug)
        found = get_notice(clinic_id=clinic.id, version=version, language=spoken, audience=Audience(audience))
    except NotFound as error:
        raise Http404 from error
    words = WORDS[spoken]
    asked = [
        {"name": purpose.name(spoken), "statement": found.statements[purpose.slug]}
        for purpose in purposes_of(clinic.id).values()
        if purpose.requires_consent and found.statements.get(purpose.slug)
    ]
    published = moment(found.published_at, spoken, clinic.time_zone)
    response: HttpResponse = render(
        request,
        "portal/notice.html",
        {
            **framed(
                spoken,
                title=found.title,
                clinic=clinic.name,
                telephone=clinic.telephone,
                address=lambda one: _address(slug, found, one, found.audience),
            ),
            "words": {**words, "about": words["about"].format(version=version, moment=published)},
            "notice": found,
            "other": _other(slug, found, clinic.id),
            "asked": asked,
        },
    )
    response["Content-Language"] = spoken.value
    response["Referrer-Policy"] = "no-referrer"
    response["X-Robots-Tag"] = "noindex, nofollow"
    return response


def _other(slug: str, shown: NoticeRow, clinic_id: UUID) -> dict[str, str] | None:
    """The same version in the words for the others, where it has any."""
    audience = Audience.CHILD if shown.audience is Audience.EVERYBODY else Audience.EVERYBODY
    try:
        get_notice(clinic_id=clinic_id, version=shown.version, language=shown.language, audience=audience)
    except NotFound:
        return None
    return {
        "address": _address(slug, shown, shown.language, audience),
        "words": WORDS[shown.language][f"for_{audience.value}"],
    }


def _address(slug: str, shown: NoticeRow, language: Language, audience: Audience) -> str:
    name = "notice" if audience is Audience.EVERYBODY else "notice-for-children"
    return reverse(name, args=[slug, shown.version, language.value])
