"""What mail servers send back is hostile input: bounded, never believed without a token of ours, and breaks nothing."""

import random
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.messaging.carriers.base import FailureCode
from backend.messaging.carriers.returned import (
    HEADER,
    LONGEST_MAIL,
    Returned,
    Said,
    envelope_sender,
    read_bounce_address,
    read_returned,
    token_of,
)

KEY = b"a key of the tests"
MESSAGE = UUID("01a201c7-453b-7acb-ab85-64952a5837a8")
TOKEN = token_of(MESSAGE, key=KEY)
NOTHING = Returned(Said.NOTHING, None)


def report(*parts: str, kind: str = "delivery-status", to: str = "", boundary: str = "b") -> bytes:
    inside = "".join(f"\n--{boundary}\n{part}" for part in parts)
    return (
        f"From: <>\nTo: {to}\nContent-Type: multipart/report; report-type={kind}; boundary={boundary}\n\n"
        f"{inside}\n--{boundary}--\n"
    ).encode()


def status(action: str = "failed", code: str = "5.1.1", kind: str = "message/delivery-status") -> str:
    return f"Content-Type: {kind}\n\nReporting-MTA: dns; x\n\nAction: {action}\nStatus: {code}\n"


def headers(token: str = TOKEN) -> str:
    return f"Content-Type: text/rfc822-headers\n\nFrom: a\n{HEADER}: {token}\nSubject: b\n"


def test_a_token_names_one_message_and_fits_into_an_address():
    assert envelope_sender("bounces@example.org", MESSAGE, key=KEY) == f"bounces+{TOKEN}@example.org"
    assert len(TOKEN) == 42
    assert TOKEN.isalnum()
    assert TOKEN.lower() == TOKEN, "mail servers may write an address in small letters"
    assert token_of(MESSAGE, key=b"another") != TOKEN


@pytest.mark.parametrize(
    "address", ["bounces", "a b@example.org", "b+c@example.org", f"{'x' * 22}@example.org", "é@x.org"]
)
def test_an_address_that_can_not_hold_a_token_is_refused(address):
    with pytest.raises(ValueError, match="address for bounces"):
        read_bounce_address(address)


@pytest.mark.parametrize(
    ("code", "means"),
    [
        ("5.1.1", FailureCode.ADDRESS_GONE),
        ("5.1.1 (bad destination mailbox address)", FailureCode.ADDRESS_GONE),
        ("5.1.2", FailureCode.ADDRESS_GONE),
        ("5.1.10", FailureCode.ADDRESS_GONE),
        ("5.2.1", FailureCode.ADDRESS_GONE),
        ("5.2.2", FailureCode.RECIPIENT_UNREACHABLE),
        ("4.4.7", FailureCode.RECIPIENT_UNREACHABLE),
        ("4.1.1", FailureCode.RECIPIENT_UNREACHABLE),
        ("5.7.1", FailureCode.CONTENT_REFUSED),
        ("5.6.0", FailureCode.CONTENT_REFUSED),
        ("5.0.0", FailureCode.ADDRESS_REFUSED),
        ("", FailureCode.UNEXPECTED_ANSWER),
        ("2000", FailureCode.UNEXPECTED_ANSWER),
    ],
)
def test_a_status_becomes_a_code(code, means):
    assert read_returned(report(status(code=code), headers()), key=KEY) == Returned(Said.FAILED, MESSAGE, means)


@pytest.mark.parametrize(
    ("action", "said"),
    [("delayed", Said.NOTHING), ("relayed", Said.NOTHING), ("expanded", Said.NOTHING), ("Delivered", Said.DELIVERED)],
)
def test_only_what_is_final_counts(action, said):
    assert read_returned(report(status(action), headers()), key=KEY).said is said


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("abuse", Said.COMPLAINED),
        ("Fraud", Said.COMPLAINED),
        ("opt-out", Said.COMPLAINED),
        ("not-spam", Said.NOTHING),
        ("virus", Said.NOTHING),
        ("", Said.NOTHING),
    ],
)
def test_a_complaint_is_one_where_somebody_complains(kind, said):
    feedback = f"Content-Type: message/feedback-report\n\nFeedback-Type: {kind}\nVersion: 1\n"

    assert read_returned(report(feedback, headers(), kind="feedback-report"), key=KEY) == Returned(said, MESSAGE)


def test_the_token_is_found_wherever_it_comes_back():
    verp = f"<bounces+{TOKEN}@example.org>"
    feedback = f"Content-Type: message/feedback-report\n\nFeedback-Type: abuse\nOriginal-Mail-From: {verp}\n"

    assert read_returned(report(status()), key=KEY, recipient=verp).message_id == MESSAGE
    assert read_returned(report(status(), to=verp.upper()), key=KEY).message_id == MESSAGE
    assert read_returned(report(feedback, kind="feedback-report"), key=KEY).message_id == MESSAGE
    back = f"Content-Type: message/rfc822\n\nReturn-Path: {verp}\nFrom: a\n\nbody"
    assert read_returned(report(status(), back), key=KEY).message_id == MESSAGE


@pytest.mark.parametrize(
    "token",
    [
        token_of(MESSAGE, key=b"another key"),
        token_of(UUID(int=7), key=KEY)[:26] + TOKEN[26:],
        TOKEN[:-1],
        TOKEN + "a",
        "a" * 42,
        str(MESSAGE),
        "",
    ],
)
def test_what_we_did_not_sign_names_no_message(token):
    assert read_returned(report(status(), headers(token)), key=KEY).message_id is None


def test_a_token_in_the_words_of_a_mail_is_none():
    """Whoever was sent one may write it anywhere; it counts only where mail servers put it."""
    words = f"Content-Type: text/plain\n\n{HEADER}: {TOKEN}\n"
    body_of_the_mail = f"Content-Type: message/rfc822\n\nFrom: a\n\n{HEADER}: {TOKEN}\n"

    assert read_returned(report(words, status(), body_of_the_mail), key=KEY).message_id is None


@pytest.mark.parametrize(
    "mail",
    [
        b"",
        b"\n\n\n",
        b"From: a\n\nI am on holiday",
        f"To: bounces+{TOKEN}@example.org\n\nplease call me".encode(),
        b"Content-Type: multipart/report\n\nno boundary",
        b"Content-Type: multipart/report; boundary=\n\n--\n",
        b'Content-Type: multipart/report; boundary="\xff\xfe"\n\n--\n',
        b"Content-Type: multipart/report; boundary*=utf-8''%ff%00\n\n--\n",
        b"Content-Type: multipart/report; boundary=b; boundary=c\n\n--b\n\n--c\n",
        b"Content-Type: multipart/report; boundary=b\n\n" + b"--b" * 10_000,
        report("Content-Type: message/delivery-status\nContent-Transfer-Encoding: base64\n\n!!!=\n"),
    ],
)
def test_what_is_no_report_says_nothing(mail):
    assert read_returned(mail, key=KEY).said is Said.NOTHING


def bombs():
    nested = b"Content-Type: multipart/report; boundary=b\n\n"
    for level in range(5_000):
        nested += b"--b\nContent-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (level, level)
    yield "nested", nested
    yield "many parts", b"Content-Type: multipart/report; boundary=b\n\n" + b"--b\nA: b\n\nx\n" * 60_000
    yield "many headers", b"A: b\n" * 150_000 + b"\n"
    yield "one long header", b"Content-Type: multipart/report; boundary=" + b'"' + b"x" * 900_000
    yield "many parameters", b"Content-Type: multipart/report" + b';a="' * 15_000 + b"; boundary=b\n\n--b\n"
    yield "many semicolons", b"Content-Type: multipart/report" + b";" * 60_000 + b"boundary=b\n\n--b\n"
    yield "many empty lines", b"Content-Type: multipart/report; boundary=b\n\n--b\n" + b"\n" * 900_000
    yield "many groups", report("Content-Type: message/delivery-status\n\n" + "A: b\n\n" * 100_000)
    yield "many tokens", report(status(), headers(" ".join(["a" * 42] * 10_000)))
    yield "many addresses", b"To: a\n" * 10_000 + b"Content-Type: multipart/report; boundary=b\n\n"
    yield "encoded words", b"To: " + b"=?utf-8?q?a?= " * 4_000 + b"\n\n"
    yield "folded", b"To: a\n" + b" b\n" * 20_000 + b"\n"
    yield "zeroes", b"\x00" * LONGEST_MAIL
    yield "larger than is read", report(status()) + b"x" * (4 * LONGEST_MAIL)


@pytest.mark.parametrize("mail", [pytest.param(mail, id=name) for name, mail in bombs()])
def test_a_mail_that_was_made_to_hurt_is_read_and_names_no_message(mail):
    assert read_returned(mail, key=KEY).message_id is None


def test_a_report_ahead_of_a_very_long_mail_is_still_read():
    long = f"Content-Type: message/rfc822\n\n{HEADER}: {TOKEN}\nFrom: a\n\n{'x' * 3 * LONGEST_MAIL}"

    assert read_returned(report(status(), long), key=KEY).message_id == MESSAGE


@given(st.binary(max_size=3_000))
def test_no_bytes_break_it(mail):
    assert read_returned(mail, key=KEY).message_id is None


@given(st.integers(0, 2**32), st.integers(1, 60))
def test_a_report_with_bytes_changed_breaks_nothing_and_names_no_other_message(seed, changes):
    chosen = random.Random(seed)  # noqa: S311 - it only chooses what to spoil
    mail = bytearray(report(status(), headers(), to=f"bounces+{TOKEN}@example.org"))
    for _ in range(changes):
        if not mail:
            break
        place = chosen.randrange(len(mail))
        match chosen.randrange(3):
            case 0:
                mail[place] = chosen.randrange(256)
            case 1:
                del mail[place : place + chosen.randrange(40)]
            case _:
                mail[place:place] = mail[chosen.randrange(len(mail)) :][: chosen.randrange(60)]

    assert read_returned(bytes(mail), key=KEY).message_id in {MESSAGE, None}
