"""Reads the library: YAML files in, frozen dataclasses out. What can not be used is refused, naming file and key.

Nothing here knows a clinic or a database; installing the library into a clinic is an operation of `programmes`.
"""

from collections.abc import Collection, Hashable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, time
from enum import StrEnum
from pathlib import Path
from string import Formatter
from typing import Any, Final, Self, TypeVar

import yaml

from backend.messaging.variants import VariantText
from backend.policy.vocabulary import Channel, Language, Nature, Tone

LIBRARY: Final = Path(__file__).parent
PLACEHOLDERS: Final = frozenset({"clinic", "telephone", "address"})
CODE_CHANNELS: Final = (Channel.SMS, Channel.EMAIL)
SPOKEN_CHANNELS: Final = (Channel.PUSH, Channel.SMS, Channel.EMAIL)
ON_LOCK_SCREENS: Final = frozenset({Channel.PUSH, Channel.SMS})
WITH_SUBJECT: Final = frozenset({Channel.PUSH, Channel.EMAIL})
HEALTH_DATA_CONDITIONS: Final = frozenset({"", "A9-2-a"})
OCCASION_KINDS: Final = frozenset({"appointment", "immunisation", "encounter"})
HOURS_PER: Final = {"hours": 1, "days": 24}
LONGEST_KEY: Final = 60

Word = TypeVar("Word", bound=StrEnum)


class LibraryRefused(Exception):
    """A file of the library can not be used; the message names the file and the key."""


# ------------------------------------------------------------------------------------------------ what is in the files


@dataclass(frozen=True, slots=True, kw_only=True)
class PurposeText:
    """What a clinic may want to contact patients for, and how a patient is asked."""

    slug: str
    nature: Nature
    channels: tuple[Channel, ...]
    names: dict[Language, str]
    statements: dict[Language, str]
    child_statements: dict[Language, str]
    health_data_condition: str
    validity_months: int
    rank: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeText:
    """Title and body of the notice in every language, with places left for the clinic."""

    texts: dict[Language, tuple[str, str]]
    child_texts: dict[Language, tuple[str, str]]

    def filled(self, *, clinic: str, telephone: str, address: str) -> dict[Language, tuple[str, str]]:
        """The notice of one clinic. Raises ValueError where the clinic's name or whereabouts are unknown.

        GDPR Art. 13(1)(a): a notice says who is responsible and how to reach them, so none of the three may be empty.
        """
        values = {"clinic": clinic, "telephone": telephone, "address": address}
        empty = sorted(name for name, value in values.items() if not value.strip())
        if empty:
            raise ValueError(f"A notice names the clinic and how to reach it; empty: {', '.join(empty)}")
        return _filled(self.texts, values)

    def filled_for_children(self, *, clinic: str, telephone: str) -> dict[Language, tuple[str, str]]:
        """What a child is shown in its place."""
        return _filled(self.child_texts, {"clinic": clinic, "telephone": telephone, "address": ""})


def _filled(texts: dict[Language, tuple[str, str]], values: dict[str, str]) -> dict[Language, tuple[str, str]]:
    return {language: (title.format_map(values), body.format_map(values)) for language, (title, body) in texts.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceText:
    """Where a clinical statement comes from."""

    title: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClinicalText:
    """What a programme rests on, and who stands for it. `validated_by` empty: to be validated by a health professional.

    After `review_by` the sources have to be read again: recommendations change.
    """

    sources: tuple[SourceText, ...]
    cautions: tuple[str, ...]
    validated_by: str
    review_by: date


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgrammeText:
    """A ready-made programme. It arrives as a draft: nothing is sent before a health professional approves it.

    `definition` is ready to be stored as JSON: {"occasion": {"kind", "topic"}, "steps": [{"key", "offset":
    {"days" | "months": n}, "at": "09:00", "worth_for_hours": n, "template": slug}]}.
    """

    slug: str
    names: dict[Language, str]
    purpose: str
    definition: dict[str, Any]
    clinical: ClinicalText


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateText:
    """The words of one message in every channel, language and tone."""

    slug: str
    purpose: str
    variants: tuple[VariantText, ...]


# ---------------------------------------------------------------------------------------------------------- loading


def load_purposes(library: Path = LIBRARY) -> tuple[PurposeText, ...]:
    """The purposes of the library, in their order of rank. Raises LibraryRefused."""
    root = _Node.read(library, "purposes.yaml")
    purposes = (_purpose(node, slug=slug) for slug, node in root.entries())
    return tuple(sorted(purposes, key=lambda purpose: (purpose.rank, purpose.slug)))


def load_notice(library: Path = LIBRARY) -> NoticeText:
    """The notice of the library. Raises LibraryRefused."""
    root = _Node.read(library, "notice.yaml")
    root.only(language.value for language in Language)
    texts, child_texts = {}, {}
    for language in Language:
        node = root.at(language.value)
        node.only({"title", "body", "child"})
        texts[language] = (_with_known_places(node.at("title")), _with_known_places(node.at("body")))
        child = node.at("child")
        child.only({"title", "body"})
        child_texts[language] = (_with_known_places(child.at("title")), _with_known_places(child.at("body")))
    return NoticeText(texts=texts, child_texts=child_texts)


def load_programmes(library: Path = LIBRARY) -> dict[str, ProgrammeText]:
    """The programmes of the library by slug, each with its purpose and templates at hand. Raises LibraryRefused."""
    purposes = {purpose.slug for purpose in load_purposes(library)}
    templates = load_templates(library)
    return {
        root.stem: _programme(root, purposes=purposes, templates=templates)
        for root in _Node.folder(library, "programmes")
    }


def load_templates(library: Path = LIBRARY) -> dict[str, TemplateText]:
    """The templates of the library by slug, each complete. Raises LibraryRefused."""
    purposes = {purpose.slug for purpose in load_purposes(library)}
    return {root.stem: _template(root, purposes=purposes) for root in _Node.folder(library, "templates")}


def load_renewal_words(library: Path = LIBRARY) -> tuple[VariantText, ...]:
    """The words that say that a yes ends soon: the same for every purpose that needs one."""
    root = _Node.read(library, "renewal.yaml")
    root.only({"variants"})
    return _variants(root, SPOKEN_CHANNELS)


def load_service_templates(library: Path = LIBRARY) -> dict[str, TemplateText]:
    """Read the templates of the closed list, which belong to no programme: one-time codes."""
    purposes = {purpose.slug for purpose in load_purposes(library) if purpose.nature is Nature.CLOSED_LIST}
    return {
        root.stem: _template(root, purposes=purposes, channels=CODE_CHANNELS)
        for root in _Node.folder(library, "service")
    }


# --------------------------------------------------------------------------------------------------- one file or row


def _purpose(node: "_Node", *, slug: str) -> PurposeText:
    nature = node.at("nature").word(Nature)
    # Nobody is asked about the closed list, children neither.
    for_children = set() if nature is Nature.CLOSED_LIST else {"child_statements"}
    node.only(
        {"nature", "channels", "names", "statements", "health_data_condition", "validity_months", "rank"} | for_children
    )
    condition = node.at("health_data_condition").text(may_be_empty=True, among=HEALTH_DATA_CONDITIONS)
    if nature is Nature.CLOSED_LIST and condition:
        node.at("health_data_condition").refuse("the closed list rests on no consent")
    channels = tuple(item.word(Channel) for item in node.at("channels").items())
    if not channels or len(set(channels)) < len(channels):
        node.at("channels").refuse("names each channel once, and at least one")
    return PurposeText(
        slug=slug,
        nature=nature,
        channels=channels,
        names=_in_every_language(node.at("names")),
        statements=_in_every_language(node.at("statements")),
        child_statements=_in_every_language(node.at("child_statements")) if for_children else {},
        health_data_condition=condition,
        validity_months=node.at("validity_months").number(least=1),
        rank=node.at("rank").number(least=0),
    )


def _programme(root: "_Node", *, purposes: Collection[str], templates: dict[str, TemplateText]) -> ProgrammeText:
    root.only({"slug", "names", "purpose", "occasion", "steps", "clinical"})
    purpose = root.at("purpose").text(among=purposes)
    occasion = root.at("occasion")
    occasion.only({"kind", "topic"})
    steps = [_step(node, purpose=purpose, templates=templates) for node in root.at("steps").items()]
    if not steps or len({step["key"] for step in steps}) < len(steps):
        root.at("steps").refuse("has at least one step, and no key twice")
    return ProgrammeText(
        slug=root.at("slug").text(among={root.stem}),
        names=_in_every_language(root.at("names")),
        purpose=purpose,
        definition={
            "occasion": {
                "kind": occasion.at("kind").text(among=OCCASION_KINDS),
                "topic": occasion.at("topic").text(may_be_empty=True),
            },
            "steps": steps,
        },
        clinical=_clinical(root.at("clinical")),
    )


def _step(node: "_Node", *, purpose: str, templates: dict[str, TemplateText]) -> dict[str, Any]:
    node.only({"key", "offset", "at", "worth_for", "template"})
    unit, offset = node.at("offset").measure({"days", "months"})
    lasting, worth_for = node.at("worth_for").measure(HOURS_PER)
    if worth_for < 1:
        node.at("worth_for").refuse("is at least one hour")
    template = node.at("template").text(among=templates)
    if templates[template].purpose != purpose:
        node.at("template").refuse("belongs to another purpose than the programme")
    return {
        "key": node.at("key").text(longest=LONGEST_KEY),
        "offset": {unit: offset},
        "at": node.at("at").time_of_day(),
        "worth_for_hours": worth_for * HOURS_PER[lasting],
        "template": template,
    }


def _clinical(node: "_Node") -> ClinicalText:
    node.only({"sources", "cautions", "validated_by", "review_by"})
    sources = []
    for source in node.at("sources").items():
        source.only({"title", "address"})
        sources.append(SourceText(title=source.at("title").text(), address=source.at("address").text()))
    if not sources:
        node.at("sources").refuse("names at least one source")
    return ClinicalText(
        sources=tuple(sources),
        cautions=tuple(caution.text() for caution in node.at("cautions").items()),
        validated_by=node.at("validated_by").text(may_be_empty=True),
        review_by=node.at("review_by").day(),
    )


def _template(
    root: "_Node", *, purposes: Collection[str], channels: Sequence[Channel] = SPOKEN_CHANNELS
) -> TemplateText:
    root.only({"slug", "purpose", "variants"})
    return TemplateText(
        slug=root.at("slug").text(among={root.stem}),
        purpose=root.at("purpose").text(among=purposes),
        variants=_variants(root, channels),
    )


def _variants(root: "_Node", channels: Sequence[Channel]) -> tuple[VariantText, ...]:
    by_channel = root.at("variants")
    by_channel.only(channel.value for channel in channels)
    variants = []
    for channel in channels:
        by_language = by_channel.at(channel.value)
        by_language.only(language.value for language in Language)
        for language in Language:
            by_tone = by_language.at(language.value)
            by_tone.only(tone.value for tone in Tone)
            variants += [
                _variant(by_tone.at(tone.value), channel=channel, language=language, tone=tone) for tone in Tone
            ]
    return tuple(variants)


def _variant(node: "_Node", *, channel: Channel, language: Language, tone: Tone) -> VariantText:
    """A push or e-mail has a subject, an SMS has none; what a lock screen shows has a discreet form."""
    needed = ["body"]
    if channel in WITH_SUBJECT:
        needed.append("subject")
    if channel in ON_LOCK_SCREENS:
        needed.append("discreet_body")
    if channel in WITH_SUBJECT & ON_LOCK_SCREENS:
        needed.append("discreet_subject")
    node.only(needed)
    words = {name: node.at(name).text() for name in needed}
    return VariantText(channel=channel, language=language, tone=tone, **words)


def _in_every_language(node: "_Node") -> dict[Language, str]:
    node.only(language.value for language in Language)
    return {language: node.at(language.value).text() for language in Language}


def _with_known_places(node: "_Node") -> str:
    """A text with places for the clinic's name and whereabouts, and no other."""
    text = node.text()
    try:
        places = list(Formatter().parse(text))
    except ValueError:
        node.refuse("has a brace too many or too few")
    for _before, name, form, conversion in places:
        if name is not None and (name not in PLACEHOLDERS or form or conversion):
            node.refuse(f"leaves room for what nobody fills in: {{{name}}}")
    return text


# ------------------------------------------------------------------------------------------------------ reading YAML


class _Loader(yaml.SafeLoader):
    """Plain YAML, in which a key that stands twice is a mistake and not a choice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 - PyYAML's signature
        """Build one mapping. Raises yaml.YAMLError for a key that stands twice."""
        keys = [key.value for key, _value in node.value]
        twice = sorted({str(key) for key in keys if keys.count(key) > 1})
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"{twice[0]} stands twice", node.start_mark)
        return super().construct_mapping(node, deep=deep)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Node:
    """One value of a file, which knows where it stands."""

    file: str
    path: str
    value: Any

    @classmethod
    def read(cls, library: Path, name: str) -> Self:
        try:
            # S506: _Loader is a SafeLoader.
            value = yaml.load((library / name).read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506
        except OSError:
            raise LibraryRefused(f"{name}: can not be read") from None
        except (yaml.YAMLError, ValueError) as error:
            mark = getattr(error, "problem_mark", None)
            line = f", line {mark.line + 1}" if mark else ""
            raise LibraryRefused(f"{name}{line}: {getattr(error, 'problem', None) or 'not YAML in UTF-8'}") from None
        return cls(file=name, path="", value=value)

    @classmethod
    def folder(cls, library: Path, folder: str) -> Iterator[Self]:
        """Every file of a folder, in the order of their names."""
        for path in sorted((library / folder).glob("*.yaml")):
            yield cls.read(library, f"{folder}/{path.name}")

    @property
    def stem(self) -> str:
        """The name of the file without folder and ending: the slug of what is in it."""
        return Path(self.file).stem

    def refuse(self, why: str) -> Any:
        """Raise LibraryRefused."""
        raise LibraryRefused(f"{self.file}, {self.path or 'the whole file'}: {why}")

    def entries(self) -> Iterator[tuple[str, Self]]:
        """The keys of a mapping with their values."""
        for key in self._expected(dict, "a mapping"):
            if not isinstance(key, str):
                self.refuse(f"has a key that is not text: {key!r}")
            yield key, self.at(key)

    def items(self) -> Iterator[Self]:
        """The items of a list."""
        for place, item in enumerate(self._expected(list, "a list")):
            yield type(self)(file=self.file, path=f"{self.path}[{place}]", value=item)

    def only(self, keys: Collection[str] | Iterator[str]) -> None:
        """Refuse a mapping that lacks one of these keys, or has another."""
        expected, found = set(keys), set(self._expected(dict, "a mapping"))
        for verb, differing in (("lacks", expected - found), ("does not know", found - expected)):
            if differing:
                self.refuse(f"{verb} {', '.join(sorted(map(str, differing)))}")

    def at(self, key: str) -> Self:
        """The value under a key."""
        mapping = self._expected(dict, "a mapping")
        if key not in mapping:
            self.refuse(f"lacks {key}")
        path = f"{self.path}.{key}" if self.path else key
        return type(self)(file=self.file, path=path, value=mapping[key])

    def text(
        self, *, may_be_empty: bool = False, among: Collection[str] | None = None, longest: int | None = None
    ) -> str:
        """A text without space around it."""
        text = str(self._expected(str, "text"))
        if text != text.strip() or not (text or may_be_empty):
            self.refuse("is empty, or has space around it")
        if among is not None and text not in among:
            self.refuse(f"is none of: {', '.join(sorted(among)) or 'nothing there'}")
        if longest is not None and len(text) > longest:
            self.refuse(f"is longer than {longest} characters")
        return text

    def word(self, words: type[Word]) -> Word:
        """One word of the shared vocabulary."""
        return words(self.text(among={word.value for word in words}))

    def number(self, *, least: int | None = None) -> int:
        """A whole number."""
        number = int(self._expected(int, "a whole number"))
        if least is not None and number < least:
            self.refuse(f"is less than {least}")
        return number

    def measure(self, units: Collection[str]) -> tuple[str, int]:
        """A unit and how many of it: `{days: -3}`."""
        mapping = self._expected(dict, "a mapping")
        if len(mapping) != 1 or not set(mapping) <= set(units):
            self.refuse(f"has one of: {', '.join(sorted(units))}")
        (unit,) = mapping
        return str(unit), self.at(unit).number()

    def time_of_day(self) -> str:
        """A time of the clinic's clock, "09:00". In quotes: YAML 1.1 reads 10:00 as a number, to the base of sixty."""
        text = self.text()
        try:
            as_time = time.fromisoformat(text)
        except ValueError:
            as_time = None
        if as_time is None or f"{as_time:%H:%M}" != text:
            self.refuse('is not a time of day such as "09:00"')
        return text

    def day(self) -> date:
        """A date."""
        day = self._expected(date, "a date")
        return date(day.year, day.month, day.day)

    def _expected(self, kind: type, called: str) -> Any:
        # A Boolean is a number to Python, and to nobody else.
        if not isinstance(self.value, kind) or isinstance(self.value, bool):
            self.refuse(f"is not {called}")
        return self.value
