"""Which carriers a set of settings makes."""

from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from backend.messaging.carriers.base import OutboundMessage, Receipt
from backend.messaging.carriers.registry import CarrierSettings, build_carriers
from backend.policy.vocabulary import Channel, Language
from sandbox import Sandbox

ADDRESSES = {Channel.EMAIL: "lea@example.org", Channel.SMS: "+33612345678", Channel.PUSH: "fid:cP1x"}


@pytest.fixture
def settings(sandbox: Sandbox) -> CarrierSettings:
    return CarrierSettings(
        public_url="https://accord.example",
        email_url=sandbox.email_url,
        email_sender="Accord <no-reply@accord.example>",
        twilio_api_url=sandbox.twilio_url,
        twilio_account_sid=sandbox.twilio_account_sid,
        twilio_auth_token=sandbox.twilio_auth_token,
        twilio_from="+33700000000",
        twilio_hook_key="a-secret-key",
        fcm_api_url=sandbox.fcm_url,
        fcm_credentials=str(sandbox.fcm_credentials),
    )


def test_every_channel_that_is_configured_has_its_carrier(sandbox: Sandbox, settings: CarrierSettings) -> None:
    carriers = build_carriers(settings)

    for channel, carrier in carriers.items():
        message = OutboundMessage(
            message_id=uuid4(), channel=channel, to=ADDRESSES[channel], language=Language.FRENCH, text="Bonjour"
        )
        assert carrier.channel is channel
        assert isinstance(carrier.send(message, timeout=10), Receipt)
        carrier.close()
    assert {received.channel for received in sandbox.received()} == {"email", "sms", "push"}


def test_what_is_not_configured_is_not_built(settings: CarrierSettings) -> None:
    assert build_carriers(CarrierSettings()) == {}
    assert set(build_carriers(replace(settings, email_url="", fcm_credentials=""))) == {Channel.SMS}


@pytest.mark.parametrize(
    ("absent", "named"),
    [
        ("email_sender", "email_url also needs email_sender"),
        ("twilio_from", "twilio_account_sid also needs twilio_from"),
    ],
)
def test_half_a_configuration_is_said_at_the_start(settings: CarrierSettings, absent: str, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        build_carriers(replace(settings, **{absent: ""}))


def test_a_file_that_is_not_there_is_said_at_the_start(settings: CarrierSettings, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        build_carriers(replace(settings, fcm_credentials=str(tmp_path / "absent.json")))


def test_no_secret_is_printed_with_the_settings(sandbox: Sandbox, settings: CarrierSettings) -> None:
    printed = repr(replace(settings, email_url="smtp://accord:hidden@mail.example"))

    for secret in ("hidden", sandbox.twilio_auth_token, "a-secret-key"):
        assert secret not in printed
