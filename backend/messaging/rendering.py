"""Fills templates. Liquid, because staff can edit it without danger: no access to objects, no undefined names."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, wraps
from typing import Any, Final
from uuid import UUID

from liquid import BoundTemplate, Environment, StrictUndefined
from liquid.exceptions import LiquidError

from backend.messaging.mail import as_html
from backend.messaging.segments import with_plain_signs
from backend.policy.vocabulary import Channel, Language

LONGEST_SOURCE: Final = 20_000
LONGEST_OUTPUT: Final = 20_000
BREAKS: Final = re.compile(r"[ \t\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+")
GAP: Final = re.compile(r"[ \t]{2,}")
# Only spaces that break: French sets a no-break space before some signs on purpose.
GAP_BEFORE_SIGN: Final = re.compile(r"[ \t]+(?=[,.](?:\s|$)|$)", re.MULTILINE)
REMEMBERED_TEMPLATES: Final = 4_000
PATIENT: Final = "patient"
# No filter that makes much out of little, or reads the clock: dates and times come written out.
FILTERS: Final = frozenset(
    {
        "append",
        "capitalize",
        "default",
        "downcase",
        "first",
        "last",
        "lstrip",
        "prepend",
        "remove",
        "rstrip",
        "size",
        "strip",
        "strip_newlines",
        "truncate",
        "truncatewords",
        "upcase",
    }
)
# Nothing that goes round or fetches another template: no name is a list, and without loops the work is in proportion to
# the length of what was written.
TAGS: Final = frozenset({"#", "assign", "capture", "case", "comment", "echo", "if", "unless"})

# What the library does itself, by way of tags without a name that could be written.
INSIDE: Final = frozenset({"content", "illegal", "output"})
OPENING: Final = re.compile(r"\{\{|\{%")
AS_IT_STANDS: Final = re.compile(r"\{%-?\s*(?:raw|doc)\b")


class TemplateRefused(Exception):
    """A template can not be filled: an unknown name, a syntax error, or too much output."""


class _Environment(Environment):
    output_stream_limit = LONGEST_OUTPUT
    local_namespace_limit = LONGEST_OUTPUT
    loop_iteration_limit = 1
    context_depth_limit = 10


def _small_environment() -> Environment:
    environment = _Environment(undefined=StrictUndefined, autoescape=False)
    for name in set(environment.filters) - FILTERS:
        del environment.filters[name]
    for name in FILTERS:
        environment.filters[name] = _short_answer(environment.filters[name])
    for name in set(environment.tags) - TAGS - INSIDE:
        del environment.tags[name]
    return environment


def _short_answer(filter_: Any) -> Any:
    """A filter that refuses to make a text longer than a message may be: many in a row would else cost seconds."""

    @wraps(filter_)
    def short(*values: Any, **options: Any) -> Any:
        answer = filter_(*values, **options)
        if isinstance(answer, str) and len(answer) > LONGEST_OUTPUT:
            raise TemplateRefused("too long")
        return answer

    return short


_environment = _small_environment()


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Rendered:
    """What a message says. `full_text` is what the patient's own space shows where a discreet form was sent."""

    subject: str
    text: str
    full_text: str
    html: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """The words of one variant, as they are stored. `id` names them for ever: a published variant never changes."""

    id: UUID
    channel: Channel
    language: Language
    subject: str
    body: str
    discreet_subject: str
    discreet_body: str


def render(
    words: Words, values: Mapping[str, Any], *, discreet: bool, large_print: bool = False, gaps: bool = False
) -> Rendered:
    """Fill one variant. Raises TemplateRefused. The text never tells what it was filled with.

    With `gaps`, a name was left out on purpose: the spaces around it are closed.
    """
    use_discreet = discreet and words.channel in {Channel.PUSH, Channel.SMS} and bool(words.discreet_body)
    subject = words.discreet_subject if use_discreet and words.discreet_subject else words.subject
    body = words.discreet_body if use_discreet else words.body
    text = _filled(body, values, gaps=gaps)
    if words.channel is Channel.SMS:
        # One curly apostrophe in a clinic's name would turn the whole SMS into UCS-2: 70 characters a part, not 160.
        text = with_plain_signs(text)
    full_text = _filled(words.body, values, gaps=gaps) if use_discreet else text
    # Line breaks would end a header; a no-break space is there on purpose.
    shown_subject = BREAKS.sub(" ", _filled(subject, values, gaps=gaps)).strip(" ")
    return Rendered(
        subject=shown_subject,
        text=text,
        full_text=full_text,
        html=as_html(
            text,
            language=words.language,
            large_print=large_print,
            title=shown_subject,
            link=str(values.get("link", "")),
        )
        if words.channel is Channel.EMAIL
        else "",
    )


def _filled(source: str, values: Mapping[str, Any], *, gaps: bool) -> str:
    text = fill(source, values)
    return GAP_BEFORE_SIGN.sub("", GAP.sub(" ", text)).strip() if gaps else text


def fill(source: str, values: Mapping[str, Any]) -> str:
    """Fill one piece of Liquid. Raises TemplateRefused."""
    try:
        return _compiled(source).render(**values).strip()
    except Exception as error:  # noqa: BLE001 - whatever a template sets off, it is the template that is refused
        raise TemplateRefused(type(error).__name__) from None


def check_template(source: str, *, allowed: frozenset[str]) -> None:
    """Refuse Liquid that does not parse, or names what a programme does not offer. Raises TemplateRefused."""
    try:
        used = _compiled(source).analyze().globals
    except LiquidError as error:
        raise TemplateRefused(str(error)) from None
    except (ArithmeticError, RecursionError, TypeError, ValueError) as error:
        raise TemplateRefused(type(error).__name__) from None
    unknown = sorted(set(map(str, used)) - {name.partition(".")[0] for name in allowed})
    if unknown:
        raise TemplateRefused(f"unknown name: {', '.join(unknown)}")


def names_used(source: str) -> list[tuple[str, int]]:
    """The names that a piece of Liquid asks for from outside, with their places. Raises TemplateRefused."""
    try:
        looked_at = _compiled(source).analyze()
    except LiquidError as error:
        raise TemplateRefused(str(error)) from None
    except Exception as error:  # noqa: BLE001 - whatever a template sets off, it is the template that is refused
        raise TemplateRefused(type(error).__name__) from None
    if unknown := sorted(set(looked_at.filters) - FILTERS):
        raise TemplateRefused(f"unknown filter: {', '.join(unknown)}")
    return [
        (".".join(one if isinstance(one, str) else "*" for one in name.segments), name.span.index)
        for names in looked_at.globals.values()
        for name in names
    ]


def says_a_name(words: Words) -> bool:
    """Does any of these texts ask for the patient's name? One that can not be read is refused when it is filled."""
    return says(words, PATIENT)


@lru_cache(maxsize=2 * REMEMBERED_TEMPLATES)
def says(words: Words, group: str) -> bool:
    """Does any of these texts ask for a name of this group?"""
    try:
        return any(
            name.partition(".")[0] == group
            for source in (words.subject, words.body, words.discreet_subject, words.discreet_body)
            for name, _place in names_used(source)
        )
    except TemplateRefused:
        return True


@lru_cache(maxsize=REMEMBERED_TEMPLATES)
def _compiled(source: str) -> BoundTemplate:
    if len(source) > LONGEST_SOURCE:
        raise TemplateRefused("too long")
    if AS_IT_STANDS.search(source):
        raise TemplateRefused("raw and doc are not offered")
    _refuse_open(source)
    return _environment.from_string(source)


def _refuse_open(source: str) -> None:
    """Every brace that opens is closed. Looking for the end of thousands that are not takes the library minutes."""
    at = 0
    while (opening := OPENING.search(source, at)) is not None:
        end = source.find("}}" if opening.group() == "{{" else "%}", opening.end())
        if end < 0:
            raise TemplateRefused(f"{opening.group()} without its end")
        at = end + 2
