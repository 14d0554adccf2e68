"""Push notifications through the FCM API, on the wire."""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from backend.messaging.carriers.base import (
    Carrier,
    FailureCode,
    InDoubt,
    PermanentFailure,
    Receipt,
    TemporaryFailure,
    Unknown,
)
from backend.messaging.carriers.fcm import FcmCarrier
from backend.policy.vocabulary import Category, Channel
from sandbox import Fault, Sandbox
from tests.carriers.contract import GRACE, SHORT, TIMEOUT, CarrierContract
from tests.carriers.servers import answering, free_port, http_answer, listening

FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
TOKEN = http_answer(200, json.dumps({"access_token": "made-up", "expires_in": 3600}).encode())


@pytest.fixture
def credentials(sandbox: Sandbox, tmp_path: Path) -> Callable[..., Path]:
    """Writes a service-account file that gets its tokens from another port of this machine."""

    def written(port: int, **changes: Any) -> Path:
        kept = json.loads(sandbox.fcm_credentials.read_text())
        path = tmp_path / "credentials.json"
        path.write_text(json.dumps({**kept, "token_uri": f"http://127.0.0.1:{port}/token", **changes}))
        return path

    return written


class TestFcm(CarrierContract):
    channel = Channel.PUSH
    address = "token:dGhpcyBpcyBh:APA91bEdevice_of-Lea"
    never_again = FailureCode.ADDRESS_GONE
    sign_ins = 3

    def make(self, sandbox: Sandbox) -> Carrier:
        return FcmCarrier(api_url=sandbox.fcm_url, credentials_path=sandbox.fcm_credentials)

    def make_at(self, sandbox: Sandbox, port: int) -> Carrier:
        return FcmCarrier(api_url=f"http://127.0.0.1:{port}", credentials_path=sandbox.fcm_credentials)

    def secrets(self, sandbox: Sandbox) -> tuple[str, ...]:
        return (json.loads(sandbox.fcm_credentials.read_text())["private_key"][40:80],)

    def test_the_notification_says_who_it_is_and_hides_itself_on_the_lock_screen(
        self, carrier: Carrier, sandbox: Sandbox
    ) -> None:
        message = self.message()

        carrier.send(message, timeout=TIMEOUT)

        (received,) = sandbox.received()
        assert received.payload["message"] == {
            "token": self.address.removeprefix("token:"),
            "notification": {"title": message.subject, "body": message.text},
            "data": {"message_id": str(message.message_id), "category": "care"},
            "android": {
                "notification": {"tag": str(message.message_id), "visibility": "PRIVATE", "channel_id": "care"}
            },
            "apns": {
                "headers": {"apns-collapse-id": str(message.message_id)},
                "payload": {"aps": {"category": "care", "thread-id": "care"}},
            },
        }

    @pytest.mark.parametrize("category", list(Category))
    def test_the_phone_is_told_under_which_heading_to_file_it(
        self, carrier: Carrier, sandbox: Sandbox, category: Category
    ) -> None:
        carrier.send(self.message(category=category), timeout=TIMEOUT)

        (received,) = sandbox.received()
        told = received.payload["message"]
        assert told["android"]["notification"]["channel_id"] == category.value
        assert told["apns"]["payload"]["aps"] == {"category": category.value, "thread-id": category.value}
        assert told["data"]["category"] == category.value

    @pytest.mark.parametrize(
        ("to", "kind", "value"),
        [
            ("fid:cP1x", "fid", "cP1x"),
            ("token:abc:APA91", "token", "abc:APA91"),
            ("abc:APA91", "token", "abc:APA91"),
        ],
    )
    def test_an_address_says_which_name_of_the_device_it_is(
        self, carrier: Carrier, sandbox: Sandbox, to: str, kind: str, value: str
    ) -> None:
        carrier.send(self.message(to=to), timeout=TIMEOUT)

        (received,) = sandbox.received()
        assert received.payload["message"][kind] == value

    @pytest.mark.parametrize("to", ["", "fid:", "token:", "token:a b", "töken"])
    def test_what_is_no_device_is_refused_before_fcm_hears_of_it(
        self, carrier: Carrier, sandbox: Sandbox, to: str
    ) -> None:
        assert carrier.send(self.message(to=to), timeout=TIMEOUT) == PermanentFailure(FailureCode.ADDRESS_REFUSED)
        assert sandbox.received() == ()

    def test_an_error_of_the_server_leaves_the_message_in_doubt_and_is_not_repeated(
        self, carrier: Carrier, sandbox: Sandbox
    ) -> None:
        sandbox.faults.push(Fault(channel="push", kind="http_500"))

        assert carrier.send(self.message(), timeout=TIMEOUT) == InDoubt()
        assert sandbox.received() == ()

    def test_a_token_that_fcm_forgot_is_fetched_again(self, carrier: Carrier, sandbox: Sandbox) -> None:
        carrier.send(self.message(), timeout=TIMEOUT)
        sandbox.faults.push(Fault(channel="push", kind="auth", times=1))

        assert isinstance(carrier.send(self.message(), timeout=TIMEOUT), Receipt)

    @pytest.mark.parametrize(
        ("kind", "code"),
        [
            ("auth", FailureCode.CREDENTIALS_REFUSED),
            ("http_500", FailureCode.CARRIER_UNAVAILABLE),
            ("rate_limited", FailureCode.CARRIER_UNAVAILABLE),
            ("garbage", FailureCode.CARRIER_UNAVAILABLE),
            ("reset", FailureCode.CARRIER_UNAVAILABLE),
            ("hang", FailureCode.CARRIER_UNAVAILABLE),
        ],
    )
    def test_without_a_token_nothing_is_sent(
        self, carrier: Carrier, sandbox: Sandbox, kind: Any, code: FailureCode
    ) -> None:
        sandbox.faults.push(Fault(channel="push", kind=kind, on="token"))

        assert carrier.send(self.message(), timeout=SHORT) == TemporaryFailure(code)
        assert sandbox.received() == ()
        # On a busy machine the first send may give up before it meets the fault.
        sandbox.faults.clear()
        assert isinstance(carrier.send(self.message(), timeout=TIMEOUT), Receipt)

    def test_fcm_can_not_tell_what_became_of_a_message(self, carrier: Carrier) -> None:
        assert carrier.find(self.message(), timeout=TIMEOUT) == Unknown()
        assert carrier.parse_events(b"anything") == ()

    def test_two_carriers_live_side_by_side(self, sandbox: Sandbox) -> None:
        with listening(answering(http_answer(200, b'{"name": "elsewhere"}'))) as server:
            here, there = self.make(sandbox), self.make_at(sandbox, server.port)

            assert there.send(self.message(), timeout=TIMEOUT) == Receipt("elsewhere")
            assert here.send(self.message(), timeout=TIMEOUT) != Receipt("elsewhere")

            there.close()
            assert isinstance(here.send(self.message(), timeout=TIMEOUT), Receipt)
            here.close()


MESSAGE = TestFcm()


def error(status: int, name: str, code: str = "", text: str = "no", field: str = "") -> bytes:
    details: list[dict[str, Any]] = [{"@type": FCM_ERROR, "errorCode": code}] if code else []
    if field:
        details.append({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [{"field": field}]})
    return json.dumps({"error": {"code": status, "status": name, "message": text, "details": details}}).encode()


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (400, error(400, "INVALID_ARGUMENT", field="message.token"), PermanentFailure(FailureCode.ADDRESS_REFUSED)),
        (400, error(400, "INVALID_ARGUMENT", field="message.fid"), PermanentFailure(FailureCode.ADDRESS_REFUSED)),
        (
            400,
            error(400, "INVALID_ARGUMENT", field="message.notification"),
            PermanentFailure(FailureCode.CONTENT_REFUSED),
        ),
        (400, b"<html>a proxy</html>", TemporaryFailure(FailureCode.UNEXPECTED_ANSWER)),
        (401, error(401, "UNAUTHENTICATED"), TemporaryFailure(FailureCode.CREDENTIALS_REFUSED)),
        (
            401,
            error(401, "UNAUTHENTICATED", "THIRD_PARTY_AUTH_ERROR"),
            TemporaryFailure(FailureCode.CREDENTIALS_REFUSED),
        ),
        (403, error(403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH"), PermanentFailure(FailureCode.ADDRESS_GONE)),
        (403, error(403, "PERMISSION_DENIED"), TemporaryFailure(FailureCode.CREDENTIALS_REFUSED)),
        (404, error(404, "NOT_FOUND", "UNREGISTERED"), PermanentFailure(FailureCode.ADDRESS_GONE)),
        (404, error(404, "NOT_FOUND"), TemporaryFailure(FailureCode.NOT_CONFIGURED)),
        (404, b"nothing here", TemporaryFailure(FailureCode.UNEXPECTED_ANSWER)),
        (429, error(429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED"), TemporaryFailure(FailureCode.RATE_LIMITED, 12.0)),
        (429, b"", TemporaryFailure(FailureCode.RATE_LIMITED, 12.0)),
        (500, error(500, "INTERNAL", "INTERNAL"), InDoubt()),
        (502, b"", InDoubt()),
        (503, error(503, "UNAVAILABLE", "UNAVAILABLE"), TemporaryFailure(FailureCode.CARRIER_UNAVAILABLE, 12.0)),
        (504, error(504, "DEADLINE_EXCEEDED"), InDoubt()),
        (307, b"", TemporaryFailure(FailureCode.UNEXPECTED_ANSWER)),
        (200, b"{}", InDoubt()),
        (200, b"[]", InDoubt()),
        (200, b'{"name": 7}', InDoubt()),
        (200, b"\xff\xfe", InDoubt()),
        (200, b'{"error": "no"}', InDoubt()),
        (400, b'{"error": "no"}', TemporaryFailure(FailureCode.UNEXPECTED_ANSWER)),
        (400, b"\xff\xfe", TemporaryFailure(FailureCode.UNEXPECTED_ANSWER)),
    ],
)
def test_each_answer_has_one_meaning(
    status: int, body: bytes, outcome: object, credentials: Callable[..., Path]
) -> None:
    headers = {"Retry-After": "12", "Location": "https://elsewhere.example/"}
    with listening(answering(http_answer(status, body, headers), token=TOKEN)) as server:
        carrier = FcmCarrier(
            api_url=f"http://127.0.0.1:{server.port}/a/path", credentials_path=credentials(server.port)
        )

        said = carrier.send(MESSAGE.message(), timeout=TIMEOUT)

        carrier.close()
    if isinstance(outcome, TemporaryFailure) and outcome.retry_after is None:
        assert isinstance(said, TemporaryFailure)
        assert said.code is outcome.code
    else:
        assert said == outcome
    sent = [request for request in server.said if b"/token" not in request.partition(b"\n")[0]]
    assert sent[0].startswith(b"POST /a/path/v1/projects/accord-sandbox/messages:send HTTP/1.1")
    # Only a token that is refused is worth another try; anything else could arrive twice.
    assert len(sent) == (3 if status == 401 else 1)


@pytest.mark.parametrize(
    "answer",
    [
        http_answer(200, b"{}"),
        http_answer(200, b"[]"),
        http_answer(200, b'{"access_token": "x"}'),
        http_answer(200, b'{"access_token": 7, "expires_in": 3600}'),
        http_answer(200, b'{"access_token": "x", "expires_in": "Infinity"}'),
        http_answer(503, b'{"access_token": "x", "expires_in": 3600}'),
    ],
)
def test_a_token_that_is_none_is_not_used(answer: bytes, credentials: Callable[..., Path]) -> None:
    with listening(answering(http_answer(200, b"{}"), token=answer)) as server:
        carrier = FcmCarrier(api_url=f"http://127.0.0.1:{server.port}", credentials_path=credentials(server.port))

        outcome = carrier.send(MESSAGE.message(), timeout=TIMEOUT)

        assert outcome == TemporaryFailure(FailureCode.CARRIER_UNAVAILABLE)
        carrier.close()
    assert all(b"/token" in said.partition(b"\n")[0] for said in server.said)


def test_a_token_server_that_is_not_there_sends_nothing(sandbox: Sandbox, credentials: Callable[..., Path]) -> None:
    carrier = FcmCarrier(api_url=sandbox.fcm_url, credentials_path=credentials(free_port()))

    assert carrier.send(MESSAGE.message(), timeout=TIMEOUT) == TemporaryFailure(FailureCode.CARRIER_UNAVAILABLE)
    assert sandbox.received() == ()
    carrier.close()


def test_the_time_for_token_and_message_is_one(credentials: Callable[..., Path]) -> None:
    with listening(answering(b"", token=b"HTTP/1.1 200 OK\r\nX-Slow: ")) as server:
        carrier = FcmCarrier(api_url=f"http://127.0.0.1:{server.port}", credentials_path=credentials(server.port))
        started = time.monotonic()

        with ThreadPoolExecutor(4) as threads:
            outcomes = set(threads.map(lambda _: carrier.send(MESSAGE.message(), timeout=SHORT), range(4)))

        # Those that wait for another's token wait no longer than they have.
        assert time.monotonic() - started < SHORT + GRACE
        assert outcomes == {TemporaryFailure(FailureCode.CARRIER_UNAVAILABLE)}
        carrier.close()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"type": "service_account", "private_key": "secret"}'])
def test_a_file_that_is_no_service_account_is_refused_at_the_start(tmp_path: Path, text: str) -> None:
    path = tmp_path / "credentials.json"
    path.write_text(text)

    with pytest.raises(ValueError, match=r"^The FCM credentials") as refusal:
        FcmCarrier(api_url="https://fcm.example", credentials_path=path)

    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize("changes", [{"private_key": "secret"}, {"token_uri": "file:///secret"}, {"project_id": ""}])
def test_credentials_that_can_not_work_are_refused_at_the_start(
    credentials: Callable[..., Path], changes: dict[str, str]
) -> None:
    with pytest.raises(ValueError, match=r"^The ") as refusal:
        FcmCarrier(api_url="https://fcm.example", credentials_path=credentials(1, **changes))

    assert "secret" not in str(refusal.value)
