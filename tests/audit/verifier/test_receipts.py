"""A consent receipt is checked by the one file alone: with the key it names, by no algorithm of its own choice."""

import json
import shutil
import subprocess
import sys
from base64 import urlsafe_b64encode
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from backend.audit import verifier
from backend.audit.leaf import canonical_json
from backend.consent.standards.dpv import dpv_receipt
from backend.consent.standards.facts import instant
from backend.consent.standards.jws import ReceiptSigner, public_key
from backend.policy.vocabulary import EventKind
from tests.audit.verifier.asking import Desk
from tests.consent.standards.cases import AT, RECEIPT, record

SIGNER, STRANGER = ReceiptSigner(bytes(range(32))), ReceiptSigner(bytes(32))
PAYLOAD = dpv_receipt([record(EventKind.GIVEN, EventKind.WITHDRAWN)], receipt_id=RECEIPT, created=AT)
SIGNED = SIGNER.sign(PAYLOAD)
# RFC 8037, appendix A.2 and A.4.
X = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
VECTOR = (
    "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc."
    "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
)


def key_set(*signers, **changes):
    return {"keys": [{**public_key(one.public), **changes} for one in signers]}


def encoded(data):
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def signed_with(header, payload=PAYLOAD, signer=SIGNER):
    """A receipt with this header, signed all the same."""
    return sign(canonical_json(header), canonical_json(payload), signer)


def sign(header, payload, signer):
    text = f"{encoded(header)}.{encoded(payload)}"
    return f"{text}.{encoded(Ed25519PrivateKey.from_private_bytes(signer.seed).sign(text.encode()))}"


def header(**changes):
    told = {"alg": "Ed25519", "cty": "application/ld+json", "kid": SIGNER.thumbprint, "typ": "consent-receipt+jws"}
    return {name: value for name, value in {**told, **changes}.items() if value is not None}


@pytest.fixture
def ask(tmp_path):
    """Exit code and answer for a receipt and a key set."""

    def asked(receipt, keys=None):
        desk = Desk(tmp_path)
        paths = (
            desk.put("receipt.jws", receipt.encode()),
            desk.put("keys.json", json.dumps(key_set(SIGNER) if keys is None else keys).encode()),
        )
        answer = desk.run("--receipt", paths[0], "--jwks", paths[1], "--json")
        return answer.code, answer.document

    return asked


def codes(answer):
    return answer[0], [one["code"] for one in answer[1]["findings"]]


def test_the_vector_of_rfc_8037_holds_and_is_no_receipt(ask):
    text, _, signature = VECTOR.rpartition(".")
    assert verifier.ed25519_verify(verifier.base64url(X), verifier.base64url(signature), [text.encode()])
    assert verifier.jwk_thumbprint(verifier.base64url(X)) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"

    assert codes(ask(VECTOR)) == (1, ["header"])


def test_a_receipt_is_valid_and_tells_what_it_says(ask):
    code, told = ask(SIGNED + "\n")

    assert (code, told["valid"], told["findings"]) == (0, True, [])
    assert told["receipt"] == str(RECEIPT)
    assert told["key"] == SIGNER.thumbprint
    [one] = told["records"]
    assert (one["purpose"], one["channel"], one["state"]) == ("appointment_reminder", "sms", "withdrawn")
    assert one["words"] == "Nous vous rappelons vos rendez-vous."


@pytest.mark.parametrize("algorithm", ["none", "EdDSA", "HS256", "ES256", "ed25519", "", "Ed448"])
def test_no_other_algorithm_is_taken_even_if_the_signature_holds(ask, algorithm):
    assert codes(ask(signed_with(header(alg=algorithm)))) == (1, ["algorithm"])


def test_a_receipt_without_a_signature_is_none(ask):
    unsigned = f"{encoded(canonical_json(header(alg='none')))}.{SIGNED.split('.')[1]}."

    assert codes(ask(unsigned)) == (1, ["algorithm"])
    assert codes(ask(f"{SIGNED.rpartition('.')[0]}.")) == (1, ["signature"])


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"typ": "JWT"}, "type"),
        ({"typ": None}, "header"),
        ({"cty": "application/json"}, "type"),
        ({"kid": STRANGER.thumbprint}, "key"),
        ({"kid": None}, "header"),
        ({"crit": ["b64"]}, "header"),
        ({"jwk": public_key(STRANGER.public)}, "header"),
        ({"jku": "https://keys.example.org"}, "header"),
    ],
)
def test_a_header_says_neither_more_nor_less_nor_otherwise(ask, changes, code):
    assert codes(ask(signed_with(header(**changes)))) == (1, [code])


def test_a_key_that_is_not_in_the_set_proves_nothing(ask):
    assert codes(ask(STRANGER.sign(PAYLOAD))) == (1, ["key"])
    # Nor does a stranger's signature under the name of ours.
    assert codes(ask(signed_with(header(), signer=STRANGER))) == (1, ["signature"])


@pytest.mark.parametrize("part", [0, 1, 2])
def test_every_changed_byte_is_found(ask, part):
    parts = SIGNED.split(".")
    for at in {0, 1, len(parts[part]) // 2, len(parts[part]) - 1}:
        changed = list(parts)
        letter = "A" if parts[part][at] != "A" else "B"
        changed[part] = parts[part][:at] + letter + parts[part][at + 1 :]
        assert ask(".".join(changed))[0] == 1, at


def test_what_was_signed_must_be_a_receipt_in_its_one_form(ask):
    assert codes(ask(signed_with(header(), {**PAYLOAD, "dct:conformsTo": "https://example.org"}))) == (1, ["form"])
    loose = sign(canonical_json(header()), json.dumps(PAYLOAD, indent=1).encode(), SIGNER)
    assert codes(ask(loose)) == (1, ["form"])


def test_a_retired_key_still_proves_what_it_signed_and_nothing_later(ask):
    later = key_set(SIGNER, retired_at=instant(AT + timedelta(days=1)))
    sooner = key_set(SIGNER, retired_at=instant(AT - timedelta(days=1)))

    assert ask(SIGNED, later)[0] == 0
    assert codes(ask(SIGNED, sooner)) == (1, ["retired"])


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"keys": []},
        {"keys": [1]},
        {"keys": "all"},
        [],
        key_set(SIGNER, kid=STRANGER.thumbprint),
        key_set(SIGNER, alg="EdDSA"),
        key_set(SIGNER, x="AAAA"),
        key_set(SIGNER, retired_at="yesterday"),
        {"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB"}]},
    ],
)
def test_a_set_of_keys_that_can_not_be_used_says_nothing_about_the_receipt(ask, keys):
    assert codes(ask(SIGNED, keys)) == (2, ["unusable"])


def test_a_file_that_is_no_receipt_is_unusable(ask):
    for text in ("", "hello", "a.b", "a.b.c.d"):
        assert ask(text)[0] == 2


@given(st.text(alphabet=st.characters(max_codepoint=127), max_size=60))
def test_anything_at_all_is_answered(text):
    report = verifier.ReceiptReport()
    keys = {SIGNER.thumbprint: verifier.ReceiptKey(SIGNER.thumbprint, SIGNER.public, None)}
    try:
        verifier.verify_receipt(text.encode(), keys, report)
    except verifier.Unusable:
        return
    assert not report.valid


def test_the_one_file_needs_nothing_but_python(tmp_path):
    shutil.copy(Path(verifier.__file__), tmp_path / "verifier.py")
    (tmp_path / "receipt.jws").write_text(SIGNED)
    (tmp_path / "keys.json").write_text(json.dumps(key_set(SIGNER)))

    def asked(*options):
        return subprocess.run(
            [sys.executable, "-I", "-S", "verifier.py", *options],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    whole = asked("--receipt", "receipt.jws", "--jwks", "keys.json")
    assert (whole.returncode, whole.stderr) == (0, "")
    assert whole.stdout.endswith("VALID: the receipt is as it was signed.\n")
    assert "'appointment_reminder' by 'sms': 'withdrawn'" in whole.stdout
    for options in (
        ["--receipt", "receipt.jws"],
        ["--jwks", "keys.json"],
        ["bundle.zip", "--receipt", "receipt.jws", "--jwks", "keys.json"],
        ["--receipt", "receipt.jws", "--jwks", "keys.json", "--messages"],
        [],
    ):
        assert asked(*options).returncode == 2, options
