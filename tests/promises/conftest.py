"""A sandbox that takes everything, and the product's own carriers to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.messaging.carriers.base import Carrier
from backend.policy.vocabulary import Channel
from sandbox import Sandbox
from tests.factories.carriers import carriers_to, settings_for


@pytest.fixture
def committed(transactional_db: None) -> None:
    """Transactions really end here. Whoever asks for it asks for it first."""


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox(tmp_path) as running:
        yield running


@pytest.fixture
def carriers(sandbox: Sandbox) -> Iterator[dict[Channel, Carrier]]:
    with carriers_to(settings_for(sandbox)) as built:
        yield built
