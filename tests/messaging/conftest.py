"""A sandbox that takes everything, and the product's own carriers to it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from backend.messaging.carriers.base import Carrier
from backend.policy.vocabulary import Channel
from sandbox import Sandbox
from tests.factories.carriers import carriers_to, settings_for
from tests.factories.hooks import KEY, PUBLIC_URL, Hooks, hooks_of


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox(tmp_path) as running:
        yield running


@pytest.fixture
def carriers(sandbox: Sandbox) -> Iterator[dict[Channel, Carrier]]:
    with carriers_to(settings_for(sandbox)) as built:
        yield built


@pytest.fixture
def hooks(settings, sandbox: Sandbox) -> Iterator[Hooks]:
    """The addresses that Twilio calls, answered in this process."""
    with hooks_of(settings, sandbox) as answering:
        yield answering


@pytest.fixture
def reporting(sandbox: Sandbox) -> Iterator[dict[Channel, Carrier]]:
    """Carriers that ask to be told what becomes of an SMS."""
    asked = replace(settings_for(sandbox), public_url=PUBLIC_URL, twilio_hook_key=KEY)
    with carriers_to(asked) as built:
        yield built
