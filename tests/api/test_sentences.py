"""Every code has its sentence, in every language; every reason has its group."""

import inspect
import pkgutil
from collections.abc import Iterator
from importlib import import_module

import pytest

import backend
from backend.api.explaining import GROUPS
from backend.api.sentences import CHANNELS, DECISIONS, METHODS, PROBLEMS, REASONS, REMEDIES
from backend.errors import DomainError
from backend.policy.contact import Remedy
from backend.policy.vocabulary import Channel, Decision, Language, Method, Reason


def domain_errors() -> Iterator[type[DomainError]]:
    for module in pkgutil.walk_packages(backend.__path__, "backend."):
        if ".migrations" in module.name or ".management" in module.name or ".config" in module.name:
            continue
        for _name, found in inspect.getmembers(import_module(module.name), inspect.isclass):
            if issubclass(found, DomainError):
                yield found


@pytest.mark.parametrize(
    ("sentences", "codes"),
    [(REASONS, Reason), (REMEDIES, Remedy), (CHANNELS, Channel), (METHODS, Method), (DECISIONS, Decision)],
)
def test_every_word_has_its_sentence(sentences, codes) -> None:
    assert set(sentences) == set(codes)
    assert all(set(said) == set(Language) and all(said.values()) for said in sentences.values())


def test_every_refusal_has_its_sentence_in_french_too() -> None:
    assert {error.code for error in domain_errors()} <= PROBLEMS.keys()


def test_every_reason_has_one_group_in_the_order_of_the_rules() -> None:
    grouped = [reason for reasons in GROUPS.values() for reason in sorted(reasons, key=list(Reason).index)]

    assert grouped == list(Reason)
