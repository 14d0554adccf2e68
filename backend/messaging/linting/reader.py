"""Reads a whole template: every variant by every rule that its channel, language, tone and purpose ask for."""

from collections.abc import Iterator, Sequence
from typing import Final

from backend.messaging.linting.around import Around
from backend.messaging.linting.exposure import discreet_name_tells, lint_exposure
from backend.messaging.linting.findings import Code, Finding, Severity
from backend.messaging.linting.rules import WITH_SUBJECT, lint_field, lint_variant
from backend.messaging.linting.view import Hit, View, finding
from backend.messaging.rendering import TemplateRefused
from backend.messaging.variants import FIELDS, VariantText
from backend.policy.vocabulary import Channel, Language, Tone

__all__ = ["Around", "lint"]

# A letter or a call note in one tone is complete.
TONED: Final = frozenset({Channel.PUSH, Channel.SMS, Channel.EMAIL})


def lint(variants: Sequence[VariantText], around: Around) -> list[Finding]:
    """Everything found, what refuses first. A text that can not be read is not read further."""
    found = [*_holes(variants, around), *discreet_name_tells(around)]
    for variant in variants:
        views = {name: View(variant, name) for name in FIELDS}
        if unreadable := list(_unreadable(views, variant)):
            found += unreadable
            continue
        for view in views.values():
            if view.source:
                found += lint_field(view, around)
        found += lint_exposure(views, variant)
        found += lint_variant(views, variant, around)
    return sorted(found, key=lambda one: one.severity is not Severity.REFUSE)


def _unreadable(views: dict[str, View], variant: VariantText) -> Iterator[Finding]:
    """What keeps a text from being filled at all."""
    for name, view in views.items():
        try:
            unknown = list(view.unknown_names())
        except TemplateRefused as error:
            yield finding(view, Code.SYNTAX, Hit(str(error), None, None))
            continue
        yield from (finding(view, Code.UNKNOWN_NAME, hit) for hit in unknown)
        if not unknown and (name == "body" or view.source) and not all(view.marked):
            yield finding(view, Code.UNFILLABLE)
    if variant.channel in WITH_SUBJECT and not variant.subject:
        yield finding(views["subject"], Code.SUBJECT_MISSING)


def _holes(variants: Sequence[VariantText], around: Around) -> Iterator[Finding]:
    """What the purpose offers and nobody wrote."""
    written = {(one.channel, one.language, one.tone) for one in variants}
    for channel in around.channels:
        spoken = {language for one, language, _tone in written if one is channel}
        if not spoken:
            yield Finding(code=Code.CHANNEL_MISSING, channel=channel, found=channel.value)
            continue
        for language in Language:
            if language not in spoken:
                words = f"{channel.value}, {language.value}"
                yield Finding(code=Code.LANGUAGE_MISSING, channel=channel, language=language, found=words)
                continue
            for tone in Tone if channel in TONED else ():
                if (channel, language, tone) not in written:
                    words = f"{channel.value}, {language.value}, {tone.value}"
                    yield Finding(code=Code.TONE_MISSING, channel=channel, language=language, tone=tone, found=words)
