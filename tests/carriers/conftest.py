"""One sandbox for all carriers, empty at the start of every test."""

from collections.abc import Iterator

import pytest
import twilio.rest

from backend.messaging.carriers import fcm_sdk
from sandbox import Sandbox

# The SDKs take up to two seconds to load; here they are, so that no test measures that.
LOADED = (fcm_sdk.Sdk, twilio.rest.Client)


@pytest.fixture(scope="session")
def running_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tmp_path_factory.mktemp("sandbox")) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running_sandbox: Sandbox) -> Sandbox:
    running_sandbox.clear()
    return running_sandbox
