"""Whoever may write templates can not stop the house with one: work and memory are bounded by what was written.

Work is counted in calls of functions, which does not depend on the machine, and memory as Python accounts for it. What
happens inside one call (a regular expression) is measured in seconds of the processor, many times what it takes.
"""

import sys
import time
import tracemalloc
from typing import Self

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.messaging.linting import lint
from backend.messaging.names import GROUPS
from backend.messaging.rendering import LONGEST_OUTPUT, LONGEST_SOURCE, TemplateRefused, check_template, fill
from backend.messaging.values import invented_values
from backend.messaging.variants import VariantText
from backend.policy.vocabulary import Channel, Language, Tone
from tests.messaging.linting.texts import around

MOST_SECONDS = 30
MIB = 1024 * 1024
# The library's dearest template takes some 3,000 calls to parse and fill.
MOST_CALLS = 2_000_000
MOST_MEMORY = 64 * MIB
LONG = "a" * 9_000


def full(piece: str, before: str = "", after: str = "") -> str:
    """As many pieces as a template may hold."""
    return before + piece * ((LONGEST_SOURCE - len(before) - len(after)) // len(piece)) + after


HOSTILE = {
    "loops": "{% for i in (1..1000000000) %}{% for j in (1..1000000000) %}x{% endfor %}{% endfor %}",
    "a table": "{% tablerow i in (1..1000000000) cols: 1000000000 %}x{% endtablerow %}",
    "a range as a text": "{{ (1..1000000000) }}",
    "a range kept": "{% assign x = (1..1000000000) %}{{ x | size }}{{ x | first }}{{ x | last }}",
    "a range cut": "{{ (1..100000000000) | truncatewords: 3 }}",
    "a text that grows": f"{{% assign a = '{LONG}' %}}{{{{ a " + "| append: a " * 900 + "| size }}",
    "a text that grows in front": f"{{% assign a = '{LONG}' %}}{{% assign b = a " + "| prepend: a " * 800 + "| size %}",
    "a text that grows at its end": full("| truncate: 1, a ", f"{{% assign a = '{LONG}' %}}{{{{ a ", "}}"),
    "a text that doubles": "{% assign a = 'aaaaaaaaaa' %}" + "{% assign a = a | append: a %}" * 500,
    "a capture that doubles": "{% capture a %}aaaaaaaaaa{% endcapture %}"
    + "{% capture a %}{{ a }}{{ a }}{% endcapture %}" * 400,
    "captures in captures": full("{% capture a %}", after=""),
    "captures that close": "{% capture a %}" * 600 + "x" + "{% endcapture %}" * 600,
    "conditions in conditions": "{% if true %}" * 700 + "x" + "{% endif %}" * 700,
    "cases in cases": "{% case 1 %}{% when 1 %}" * 400 + "x" + "{% endcase %}" * 400,
    "one long condition": full("or true ", "{% if true ", "%}x{% endif %}"),
    "one long condition that is false": full("and false ", "{% if false ", "%}x{% endif %}"),
    "brackets": full("[", "{{ patient"),
    "brackets that close": "{{ patient" + "['a'" * 2_000 + "]" * 2_000 + "}}",
    "many filters": full("| upcase ", "{{ patient.first_name ", "}}"),
    "sharp letters": "{{ '" + "ß" * 10_000 + "' | upcase | upcase | downcase | upcase }}",
    "removing": f"{{{{ '{LONG}' " + "| remove: 'a' " * 500 + "}}",
    "braces": full("{"),
    "braces for names": full("{{"),
    "braces for tags": full("{%"),
    "braces inside a comment": full("{{", "{% comment %}", "{% endcomment %}"),
    "raw braces": full("{{", "{% raw %}", "{% endraw %}"),
    "quotes": full("'", "{{ ", "}}"),
    "points": full("patient.", "{{ ", "x }}"),
    "digits": full("9", "{{ ", " }}"),
    "a deep include": "{% include 'a' %}{% render 'a' %}",
    "a page in a page": "{% layout 'a' %}{% block x %}{% endblock %}",
    "lines of Liquid": "{% liquid\n" + "assign a = 1\n" * 1_000 + "%}",
    "counting": full("{% increment a %}"),
    "too long": "x" * (LONGEST_SOURCE + 1),
    "letters with dots": full("a."),
    "letters with hyphens": full("a-"),
    "capitals": full("AB-"),
    "a word without an end": full("a"),
    "slashes": full("/a", "https://accord.example.org"),
    "signs": full("! "),
    "digits with spaces": full("08 "),
    "numbers": full("9"),
    "prices": full("9,9 "),
    "brackets of words": full("("),
    "a word that is dear": full("a", "ç "),
    "dots and letters": full(".a"),
    "names of sites": full("a.", "www."),
    "spaces": full(" ", "nos", "offres"),
}


class Counted:
    """How many functions were called."""

    def __init__(self) -> None:
        self.calls = 0

    def __enter__(self) -> Self:
        self.began = time.process_time()
        self.before = sys.getprofile()
        sys.setprofile(self._count)
        return self

    def __exit__(self, *_error: object) -> None:
        sys.setprofile(self.before)
        self.seconds = time.process_time() - self.began

    def _count(self, _frame: object, event: str, _argument: object) -> None:
        self.calls += event in {"call", "c_call"}


def written(source: str) -> str | None:
    """What is sent for it, or nothing where it is refused."""
    try:
        check_template(source, allowed=GROUPS)
        return fill(source, invented_values(Language.FRENCH))
    except TemplateRefused:
        return None


@pytest.mark.parametrize("name", HOSTILE)
def test_the_work_of_filling_is_bounded(name):
    with Counted() as counted:
        said = written(HOSTILE[name])

    assert counted.calls < MOST_CALLS
    assert counted.seconds < MOST_SECONDS
    assert said is None or len(said) <= LONGEST_OUTPUT


@pytest.mark.parametrize("name", HOSTILE)
def test_the_memory_of_filling_is_bounded(name):
    tracemalloc.start()
    try:
        written(HOSTILE[name])
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < MOST_MEMORY


@pytest.mark.parametrize("name", HOSTILE)
def test_the_linter_reads_it_to_its_end(name):
    variants = [
        VariantText(channel=channel, language=Language.FRENCH, tone=Tone.FORMAL, subject="x", body=HOSTILE[name])
        for channel in (Channel.SMS, Channel.EMAIL)
    ]
    with Counted() as counted:
        lint(variants, around())

    assert counted.calls < MOST_CALLS
    assert counted.seconds < MOST_SECONDS


def test_twice_as_much_written_is_about_twice_the_work():
    def calls(times: int) -> int:
        source = "{% if patient.first_name != '' %}{{ patient.first_name | append: 'x' }}{% endif %}" * times
        with Counted() as counted:
            assert written(source)
        return counted.calls

    calls(1)
    assert calls(200) < 2.5 * calls(100)


PIECES = st.sampled_from(
    [
        "{% if true %}",
        "{% endif %}",
        "{% assign a = a | append: a %}",
        "{% assign a = 'aaaaaaaa' %}",
        "{% capture a %}",
        "{% endcapture %}",
        "{{ a }}",
        "{{ a | prepend: a | append: a }}",
        "{{ patient.first_name | upcase }}",
        "{% unless for_child %}",
        "{% endunless %}",
        "{% case a %}{% when a %}",
        "{% endcase %}",
        "{% comment %}",
        "{% endcomment %}",
        "{%- for i in (1..99999) -%}",
        "{% endfor %}",
        "x",
    ]
)


@given(st.lists(PIECES, max_size=300).map("".join))
def test_whatever_is_put_together_ends_soon_and_short(source):
    with Counted() as counted:
        said = written(source)

    assert counted.calls < MOST_CALLS
    assert counted.seconds < MOST_SECONDS
    assert said is None or len(said) <= LONGEST_OUTPUT
