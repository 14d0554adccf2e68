"""What the sandbox's Twilio tells its customers: signed as the real one signs, and to this machine only."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qsl

import pytest
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from sandbox import Fault, Sandbox

TO, FROM = "+33639981234", "+33939001122"


@pytest.fixture
def customer():
    """Keeps what it is told."""
    told = []

    class Customer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            told.append((self.headers["X-Twilio-Signature"], dict(parse_qsl(body.decode(), keep_blank_values=True))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Customer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/hook/1?a=b", told
        server.shutdown()


def test_a_message_is_reported_as_sent_and_delivered(sandbox: Sandbox, twilio: Client, customer) -> None:
    url, told = customer

    created = twilio.messages.create(to=TO, from_=FROM, body="Hello", status_callback=url)
    sandbox.callbacks.wait()

    assert [form["MessageStatus"] for _signature, form in told] == ["sent", "delivered"]
    check = RequestValidator(sandbox.twilio_auth_token)
    for signature, form in told:
        assert form["MessageSid"] == created.sid
        assert check.validate(url, form, signature)


def test_a_fault_sends_the_reports_before_the_answer(sandbox: Sandbox, twilio: Client, customer) -> None:
    url, told = customer
    sandbox.faults.push(Fault(channel="sms", kind="report_first"))

    twilio.messages.create(to=TO, from_=FROM, body="Hello", status_callback=url)

    assert [form["MessageStatus"] for _signature, form in told] == ["sent", "delivered"]


def test_a_test_lets_somebody_write(sandbox: Sandbox, customer) -> None:
    url, told = customer
    call = sandbox.callbacks.text("Arrêt à 14 h, merci", sender=TO, to=FROM, url=url)

    assert sandbox.callbacks.make(call) == 204

    ((signature, form),) = told
    assert (form["Body"], form["From"]) == ("Arrêt à 14 h, merci", TO)
    assert RequestValidator(sandbox.twilio_auth_token).validate(url, form, signature)


def test_nobody_else_is_called(sandbox: Sandbox) -> None:
    for url in ("https://accord.example/hook", "http://accord.example/hook", "http://203.0.113.1/hook", "", "ftp://x"):
        assert sandbox.callbacks.make(sandbox.callbacks.sign(url, {})) == 0
