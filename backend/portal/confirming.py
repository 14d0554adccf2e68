"""`/c/{token}`: a yes that was asked for by a form or by staff is confirmed, or refused, by whoever has the link.

GET and HEAD show and change nothing, however often a mail scanner opens them. POST answers, once. The two buttons are
alike: a no takes as much as a yes (GDPR Art. 4(11)). Neither address nor browser is kept. A token that leads nowhere
and that of an erased patient get the same page.
"""

from typing import Any

from csp.decorators import csp
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt

from backend import clock
from backend.clinics.queries import get_clinic
from backend.consent.links import Question, find_question
from backend.consent.operations import AlreadyAnswered, LinkTooOld, NoticeOutdated, answer_by_link
from backend.consent.queries import NoticeRow, latest_notices
from backend.errors import DomainError
from backend.policy.vocabulary import Channel, ConsentStatus, Decision, Language
from backend.portal.confirming_words import WORDS
from backend.portal.frame import framed
from backend.portal.leaving import A_MINUTE, HANGING_ON, POLICY, knocks_too_often, with_headers
from backend.portal.leaving_words import BY_CHANNEL, moment
from backend.portal.start import language_of

ANSWERS = {"given": Decision.GIVEN, "refused": Decision.REFUSED}
AFTER = {ConsentStatus.GIVEN: "given", ConsentStatus.REFUSED: "refused", ConsentStatus.PENDING: "waiting"}


# There is no session to steal here: the token is the secret, and the page works without a cookie.
@csrf_exempt
@csp(POLICY)  # type: ignore[arg-type] # its types know only views without an argument
def confirm(request: HttpRequest, token: str) -> HttpResponseBase:
    """Show what is asked, or take the answer."""
    if request.method not in {"GET", "HEAD", "POST"}:
        return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
    token = token.rstrip(HANGING_ON)
    question = find_question(token)
    if question is None:
        return _nowhere(request)
    if request.method == "POST":
        return _page(request, _answer(request, token), find_question(token))
    return _page(request, _step(question), question)


def _step(question: Question) -> str:
    if question.decision is not None:
        return "already_waiting" if not question.is_complete else f"already_{question.decision}"
    return "ask" if clock.now() < question.expires_at else "too_old"


def _answer(request: HttpRequest, token: str) -> str:
    """Take what was pressed; the page that says what came of it. What can not be read as an answer is none."""
    decision = ANSWERS.get(request.POST.get("decision", ""))
    version = request.POST.get("notice_version", "")
    if decision is None or not version.isascii() or not version.isdigit() or len(version) > len(str(2**31)):
        return "ask"
    try:
        answered = answer_by_link(
            token=token,
            decision=decision,
            notice_version=int(version),
            language=language_of(request),
            now=clock.now(),
        )
    except NoticeOutdated:
        return "changed"
    except LinkTooOld:
        return "too_old"
    except AlreadyAnswered:
        answered = None
    except DomainError:
        # No birth date, an objection that stands, a patient who died: nothing that is told to whoever has the link.
        return "not_here"
    if answered is None or answered.status is None:
        question = find_question(token)
        return "nowhere" if question is None else _step(question)
    return AFTER[answered.status]


def _nowhere(request: HttpRequest) -> HttpResponse:
    """One page for every token that asks nothing. Whoever tries many of them is slowed down; a good link never is."""
    if knocks_too_often(request):
        response = _page(request, "slow", None, status=429)
        response["Retry-After"] = str(A_MINUTE)
        return response
    return _page(request, "nowhere", None)


def _page(request: HttpRequest, step: str, question: Question | None, *, status: int = 200) -> HttpResponse:
    language = language_of(request)
    words = WORDS[language]
    told = {**words["frame"], **words[step]}
    shown: dict[str, Any] = {**framed(language, title=told["title"]), "step": step, "words": told}
    if question is not None:
        clinic = get_clinic(question.clinic_id)
        named = {
            "purpose": question.purpose.name(language),
            "channel": BY_CHANNEL[language][Channel(question.channel)],
            "until": moment(question.expires_at, language, clinic.time_zone),
        }
        told |= {name: text.format(**named) for name, text in words[step].items()}
        shown |= framed(language, title=told["title"], clinic=clinic.discreet_name, telephone=clinic.telephone)
        if step in {"ask", "changed"}:
            notice = latest_notices(question.clinic_id, question.audience).get(language)
            shown |= {"asks": notice is not None, "notice": notice, "statement": _statement(question, notice, language)}
    response = render(request, "portal/confirm.html", shown, status=status)
    response["Content-Language"] = language.value
    return with_headers(response)


def _statement(question: Question, notice: NoticeRow | None, language: Language) -> str:
    """What a yes is said to, in the words of the notice that stands."""
    of_notice = "" if notice is None else notice.statements.get(question.purpose.slug, "")
    return of_notice or question.purpose.statements.get(language, "")
