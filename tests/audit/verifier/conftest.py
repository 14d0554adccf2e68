"""A desk to verify at, and one log whose story touches everything."""

from pathlib import Path

import pytest

from tests.audit.verifier.asking import Desk
from tests.factories.bundles import LogInTest


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """An empty folder and the verifier."""
    return Desk(tmp_path)


@pytest.fixture
def log() -> LogInTest:
    """Two patients, one of them erased since; consents, messages, checkpoints in the meta-log among other clinics'."""
    log = LogInTest()
    log.define("recall", "prevention")
    log.define("safety_notice", "closed_list")
    consenting, erased = log.enter(), log.enter()
    log.sign_into_meta(others=3)
    event = log.give(consenting)
    log.message(consenting, event)
    log.message(consenting, "none", "safety_notice", "letter")
    log.message(erased, log.give(erased))
    log.read(consenting, erased)
    log.sign_into_meta(others=2)
    log.erase(erased)
    log.withdraw(consenting)
    return log
