"""What is promised, asked, linked, dialled and paid for, and how a text speaks."""

import re
from collections.abc import Iterator
from typing import Final

from backend.messaging.linting import lists
from backend.messaging.linting.around import Around
from backend.messaging.linting.exposure import health_words
from backend.messaging.linting.findings import Code, Finding
from backend.messaging.linting.reading import ease, longest_sentence
from backend.messaging.linting.view import VALUE, Hit, View, finding, names_in
from backend.messaging.names import NAMES
from backend.messaging.segments import characters_outside, count, with_plain_signs
from backend.messaging.variants import VariantText
from backend.policy.vocabulary import Channel, Language, Nature, Tone

WITH_SUBJECT: Final = frozenset({Channel.PUSH, Channel.EMAIL})
# An e-mail's frame and an SMS's last line bring the way out; a push message is stopped in the app.
SAYS_ITS_WAY_OUT: Final = frozenset({Channel.LETTER, Channel.CALL})
# An e-mail names its sender in its frame, a letter in its head.
NAMES_ITS_SENDER: Final = frozenset({Channel.PUSH, Channel.SMS})
CLINIC_NAMES: Final = frozenset({"clinic.name", "clinic.discreet_name"})
MOST_PARTS: Final = 3
PARTS_A_CARRIER_TAKES: Final = 10
WORD: Final = re.compile(r"\S+")
LONGEST_PUSH: Final = 240
LONGEST_SUBJECT: Final = 78
LONGEST_SENTENCE: Final = {Tone.FORMAL: 25, Tone.INFORMAL: 25, Tone.PLAIN: 12}
EASE_WANTED: Final = {Tone.FORMAL: 50.0, Tone.INFORMAL: 50.0, Tone.PLAIN: 60.0}
WAY_OUT: Final = {
    Language.FRENCH: re.compile(r"ne plus (?:recevoir|être)|arrêter ces|désinscri|vous (?:y )?opposer", re.IGNORECASE),
    Language.ENGLISH: re.compile(
        r"\bstop (?:these|such|getting|receiving)|no longer|unsubscribe|opt out", re.IGNORECASE
    ),
}


def lint_field(view: View, around: Around) -> Iterator[Finding]:
    """What a field may not say, wherever it is read."""
    language, tone, channel = view.variant.language, view.variant.tone, view.variant.channel
    if around.nature is not Nature.MARKETING:
        yield from _each(view, Code.PROMOTION_IN_CARE, lists.PROMOTION[language])
    yield from _each(view, Code.REVIEW_ASKED, lists.REVIEW[language])
    yield from _each(view, Code.MEDICINE_BRAND, lists.BRANDS)
    if channel is Channel.SMS:
        if around.nature is not Nature.MARKETING:
            yield from _each(view, Code.STOP_WORD, lists.STOP)
        yield from _each(view, Code.REPLY_ASKED, lists.REPLY[language])
    yield from _links(view, around)
    yield from _numbers(view)
    yield from _each(view, Code.PRESSURE, lists.PRESSURE[language])
    yield from _each(view, Code.SHOUTING, lists.SHOUTED)
    yield from _each(view, Code.EMOJI, lists.EMOJI)
    yield from _each(view, Code.READS_BADLY, lists.READS_BADLY)
    words = max(map(longest_sentence, view.shown))
    if words > LONGEST_SENTENCE[tone]:
        yield finding(view, Code.LONG_SENTENCE, Hit(str(words), None, None))
    scores = [score for text in view.shown if (score := ease(text, language)) is not None]
    if scores and min(scores) < EASE_WANTED[tone]:
        yield finding(view, Code.HARD_TO_READ, Hit(str(round(min(scores))), None, None))


def lint_variant(views: dict[str, View], variant: VariantText, around: Around) -> Iterator[Finding]:
    """What a variant has to say, how long it gets, and how it speaks to the patient."""
    yield from _sender(views, variant, around)
    yield from _way_out(views["body"], around)
    for name in ("body", "discreet_body"):
        if variant.channel is Channel.SMS and views[name].source:
            yield from _sms(views[name], around)
        if variant.channel is Channel.PUSH:
            yield from _length(views[name], Code.PUSH_LONG, LONGEST_PUSH)
    for name in ("subject", "discreet_subject"):
        yield from _length(views[name], Code.SUBJECT_LONG, LONGEST_SUBJECT)
    if variant.language is Language.FRENCH:
        yield from _spoken_to(views, variant)


def _each(view: View, code: Code, pattern: re.Pattern[str]) -> Iterator[Finding]:
    yield from (finding(view, code, hit) for hit in view.search(pattern))


def _links(view: View, around: Around) -> Iterator[Finding]:
    for hit in view.search(lists.LINK):
        written = hit.found.rstrip(".,;:!?)")
        host = re.sub(r"^\w+://", "", written).partition("/")[0].partition(":")[0].lower()
        bare = written.lower().removeprefix("https://").removeprefix("www.").rstrip("/")
        if bare in lists.PUBLIC_SITES:
            continue
        end = None if hit.start is None else hit.start + len(written)
        source = "" if hit.start is None else view.source[hit.start : hit.end]
        at = Hit(written, hit.start, end)
        for name in NAMES:
            if re.search(r"\{\{-?\s*" + re.escape(name.path) + r"\b", source):
                yield finding(view, Code.VALUE_IN_LINK, Hit(name.path, hit.start, hit.end))
        if host not in around.hosts:
            yield finding(view, Code.FOREIGN_LINK, at)
        for word in health_words(re.sub(r"[_/?=&%.]", " ", written))[:1]:
            yield finding(view, Code.HEALTH_WORD_IN_LINK, Hit(word, hit.start, end))


def _numbers(view: View) -> Iterator[Finding]:
    yield from (
        finding(view, Code.SURCHARGE_NUMBER, Hit(hit.found.strip(), hit.start, hit.end))
        for hit in view.search(lists.SURCHARGED)
    )
    for match in lists.CALLED.finditer(view.masked):
        number = re.sub(r"[\s.]", "", match.group(1))
        # The number behind STOP is free by contract, and is judged with that word.
        if number not in lists.FREE_SHORT and not view.masked[: match.start()].rstrip().endswith("STOP"):
            yield finding(view, Code.SURCHARGE_NUMBER, Hit(match.group(1), match.start(1), match.end(1)))


def _sender(views: dict[str, View], variant: VariantText, around: Around) -> Iterator[Finding]:
    """Every form that is read alone says who writes: the text, or the line above it (obligation row 36)."""
    if variant.channel not in NAMES_ITS_SENDER:
        return
    for body, subject in (("body", "subject"), ("discreet_body", "discreet_subject")):
        if body != "body" and not views[body].source:
            continue
        above = views[subject] if views[subject].source else views["subject"]
        for text, head in zip(views[body].marked, above.marked, strict=True):
            read = f"{head if variant.channel is Channel.PUSH else ''} {text}"
            named = CLINIC_NAMES & names_in(read)
            if not named and not any(name in read for name in around.clinic_names):
                yield finding(views[body], Code.SENDER_MISSING)
                break


def _way_out(view: View, around: Around) -> Iterator[Finding]:
    """Where nothing is added to the text, the text itself says how to stop what is like it (obligation row 36)."""
    if view.variant.channel not in SAYS_ITS_WAY_OUT or not around.requires_consent:
        return
    if not all(WAY_OUT[view.variant.language].search(text) for text in view.shown):
        yield finding(view, Code.WAY_OUT_MISSING)


def _length(view: View, code: Code, most: int) -> Iterator[Finding]:
    longest = max(map(len, view.longest))
    if longest > most:
        yield finding(view, code, Hit(str(longest), None, None))


def _sms(view: View, around: Around) -> Iterator[Finding]:
    language = view.variant.language
    own = with_plain_signs(view.masked.replace(VALUE, " "))
    if outside := characters_outside(own):
        seen: set[str] = set()
        for match in WORD.finditer(own):
            word = match.group()
            if word not in seen and not outside.isdisjoint(word):
                seen.add(word)
                yield finding(view, Code.SMS_ALPHABET, Hit(word, match.start(), match.end()))
    costly = {name.path for name in NAMES if language in name.costly}
    for name in sorted(view.names_shown & costly):
        yield finding(view, Code.SMS_COSTLY_VALUE, view.find_name(name))
    line = around.way_out.get(language, "") if around.requires_consent else ""
    parts = max(count(with_plain_signs(text) + line).parts for text in view.longest)
    if parts > PARTS_A_CARRIER_TAKES:
        yield finding(view, Code.SMS_TOO_LONG, Hit(str(parts), None, None))
    elif parts > MOST_PARTS:
        yield finding(view, Code.SMS_LONG, Hit(str(parts), None, None))


def _spoken_to(views: dict[str, View], variant: VariantText) -> Iterator[Finding]:
    """One of `tu` and `vous`, and the one that the tone promises."""
    tu = [(view, hit) for view in views.values() for hit in view.search(lists.TU)]
    vous = [(view, hit) for view in views.values() for hit in view.search(lists.VOUS)]
    if tu and vous:
        (view, first), (_other, second) = tu[0], vous[0]
        yield finding(view, Code.TU_AND_VOUS, Hit(f"{first.found}, {second.found}", first.start, first.end))
    elif against := tu if variant.tone is Tone.FORMAL else vous if variant.tone is Tone.INFORMAL else []:
        view, first = against[0]
        yield finding(view, Code.ADDRESS_AGAINST_TONE, first)
