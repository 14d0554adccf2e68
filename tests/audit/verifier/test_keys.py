"""With the officer's key: every part opens or was erased on record, and no key is another one than was announced."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from tests.factories.bundles import KeyInTest, LogInTest, canonical, padded


@pytest.fixture
def people():
    """A log with two patients, and the two."""
    log = LogInTest()
    first, second = log.enter(), log.enter()
    log.read(first)
    log.read(second)
    log.read(first, second)
    return log, first, second


def ask(desk, log, **options):
    return desk.ask(log.bundle(**options), keys=log.private_key())


def test_an_erased_patient_is_accounted_for(desk, people):
    log, first, _ = people
    log.erase(first)

    document = ask(desk, log).document

    assert (document["valid"], document["erased"], document["unreadable"]) == (True, 1, 3)


def test_of_an_entry_about_two_the_other_part_is_still_read(desk, people):
    log, first, second = people
    log.erase(first)
    log.record("consent.given", {"broken": 1}, about=[first, second])

    answer = ask(desk, log)

    # The second part is read, and is found to be without its details; the first nobody can read.
    assert answer.findings == {"details"}
    assert "already called destroyed" in answer.document["warnings"][-2]


def test_everybody_erased_leaves_a_valid_log(desk, people):
    log, first, second = people
    log.erase(first)
    log.erase(second)

    assert ask(desk, log).document["unreadable"] == 6


def test_a_key_released_although_destroyed_is_found(desk, people):
    log, first, _ = people
    entry = log.erase(first)

    answer = ask(desk, log, released=log.keys)

    assert (answer.code, answer.findings) == (1, {"destroyed_key_released"})
    assert answer.first_wrong == (entry, log.ids[entry])


def test_a_key_missing_without_a_record_of_its_destruction_is_found(desk, people):
    log, first, _ = people
    released = [key for key in log.keys if key.id != first.audit.id]

    answer = ask(desk, log, released=released)

    assert (answer.code, answer.findings) == (1, {"key_missing"})
    assert answer.first_wrong[0] == 2
    assert "no entry says that it was destroyed" in answer.document["findings"][0]["sentence"]


def test_a_refused_destruction_destroys_nothing(desk, people):
    log, first, _ = people
    log.record("key.destroyed", {"keys": [str(first.audit.id)], "reason": "erasure"}, o="error")

    released = [key for key in log.keys if key.id != first.audit.id]
    assert ask(desk, log, released=released).findings == {"key_missing"}
    assert ask(desk, log).code == 0


def test_a_key_that_is_not_the_one_announced_is_found(desk, people):
    log, _, _ = people
    key = log.new_key()
    entry = log.announce([key], commitments=["00" * 16])
    log.record("patient.read", {}, key=key)

    answer = ask(desk, log)

    assert answer.findings == {"commitment"}
    assert answer.first_wrong[0] == entry


def test_a_second_announcement_has_to_fit_too(desk, people):
    log, first, _ = people
    log.announce([first.audit], commitments=["00" * 16])

    assert ask(desk, log).findings == {"commitment"}


def test_a_key_that_nobody_announced_is_found(desk, people):
    log, _, _ = people
    key = log.new_key()
    log.record("patient.read", {}, key=key)

    assert ask(desk, log, released=[*log.keys, key]).findings == {"key_unannounced"}


def test_a_key_whose_making_failed_is_not_announced(desk, people):
    log, _, _ = people
    key = log.new_key()
    details = {"count": 1, "keys": [str(key.id)], "scopes": ["audit"], "commitments": [key.commitment]}
    log.record("key.created", details, o="error")

    assert ask(desk, log, released=[*log.keys, key]).findings == {"key_unannounced"}


def test_another_key_under_the_same_id_is_found(desk, people):
    log, first, _ = people
    other = KeyInTest(first.audit.id, bytes(32))

    answer = ask(desk, log, released=[other if key == first.audit else key for key in log.keys])

    assert answer.findings == {"commitment", "part"}


@pytest.mark.parametrize("secret", [b"", bytes(16), bytes(31), bytes(33)])
def test_a_key_of_another_length_is_found(desk, people, secret):
    log, first, _ = people
    other = KeyInTest(first.audit.id, secret)

    assert ask(desk, log, released=[other if key == first.audit else key for key in log.keys]).code == 1


def test_a_key_twice_is_found(desk, people):
    log, first, _ = people

    assert ask(desk, log, released=[*log.keys, first.audit]).findings == {"keys"}


def test_sealed_keys_that_were_exchanged_do_not_open(desk, people):
    log, _, _ = people
    members = log.members()
    lines = members["keys/keys.ndjson"].splitlines(keepends=True)
    ids = [line[7:43] for line in lines[:2]]
    lines[:2] = [lines[0].replace(ids[0], ids[1]), lines[1].replace(ids[1], ids[0])]
    members["keys/keys.ndjson"] = b"".join(lines)

    answer = desk.ask(log.bundle(members), keys=log.private_key())

    assert answer.findings == {"keys"}


RECIPIENTS = {
    "another version": (b'"v":1', b'"v":2'),
    "another suite": (b"x25519", b"x448"),
    "a blank": (b'{"recipient"', b'{ "recipient"'),
    "a key too many": (b'"v":1', b'"v":1,"x":1'),
    "capitals": (b"a", b"A"),
}


@pytest.mark.parametrize(("old", "new"), RECIPIENTS.values(), ids=RECIPIENTS)
def test_a_recipient_of_another_form_is_found_with_and_without_keys(desk, people, old, new):
    log, _, _ = people
    members = log.members()
    members["keys/recipient"] = members["keys/recipient"].replace(old, new, 1)

    assert desk.ask(log.bundle(members)).code == 1
    assert desk.ask(log.bundle(members), keys=log.private_key()).code == 1


def test_keys_of_another_form_are_found_with_and_without_keys(desk, people):
    log, _, _ = people
    wrong = {
        "an empty line": lambda text: b"\n" + text,
        "a blank": lambda text: text.replace(b",", b", ", 1),
        "no line end": lambda text: text[:-1],
        "a list": lambda text: b"[" + text + b"]\n",
        "capitals": lambda text: text.replace(b'"id"', b'"ID"'),
        "a long line": lambda text: text + b"x" * 100_000 + b"\n",
    }

    for change in wrong.values():
        members = log.members()
        members["keys/keys.ndjson"] = change(members["keys/keys.ndjson"])
        for keys in (None, log.private_key()):
            answer = desk.ask(log.bundle(members), keys=keys)
            assert answer.code == 1
            assert answer.findings & {"keys", "archive"}


def test_a_sealed_bundle_key_that_was_changed_is_found(desk, people):
    log, _, _ = people
    members, other = log.members(), log.sealed_keys([])
    sealed = other["keys/recipient"]
    members["keys/recipient"] = sealed

    answer = desk.ask(log.bundle(members), keys=log.private_key())

    assert (answer.code, answer.findings) == (1, {"keys"})


def test_keys_sealed_for_another_log_do_not_open(desk, people):
    log, _, _ = people
    members = log.members()
    twin = LogInTest(log.seed)
    twin.signer = LogInTest("southbank").signer
    members |= twin.sealed_keys(log.keys)

    assert desk.ask(log.bundle(members), keys=log.private_key()).findings == {"keys"}


# ------------------------------------------------------------------------------------------- what can not be used: 2


def pem(key, encryption=NoEncryption()):  # noqa: B008 - it holds nothing
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


UNUSABLE = {
    "another officer's key": pem(X25519PrivateKey.from_private_bytes(bytes(range(32)))),
    "a key that signs": pem(Ed25519PrivateKey.from_private_bytes(bytes(32))),
    "a key behind a password": pem(X25519PrivateKey.from_private_bytes(bytes(32)), BestAvailableEncryption(b"secret")),
    "text": b"hello",
    "nothing": b"",
    "half a key": pem(X25519PrivateKey.from_private_bytes(bytes(32)))[:60],
    "bytes": bytes(range(256)),
    "too much": b"a" * 100_000,
}


@pytest.mark.parametrize("keys", UNUSABLE.values(), ids=UNUSABLE)
def test_a_file_of_keys_that_can_not_be_used_is_said_to_be_so(desk, log, keys):
    answer = desk.ask(log.bundle(), keys=keys)

    assert (answer.code, answer.findings) == (2, {"unusable"})
    assert answer.errors.startswith("UNUSABLE: ")


def test_a_bundle_without_keys_can_not_be_opened(desk, log):
    answer = desk.ask(log.bundle(with_keys=False), keys=log.private_key())

    assert answer.code == 2
    assert "holds no keys" in answer.errors


# ---------------------------------------------------------------------------------------------------- what a part holds

PARTS = {
    "as it has to be": (0, padded(b'{"d":{}}')),
    "with an actor": (0, padded(b'{"by":"01890a5d-ac96-774b-bcce-b302099a8057","d":{}}')),
    "padded too much": (1, padded(b'{"d":{}}') + bytes(64)),
    "not padded": (1, (b'{"d":{}}' + b" " * 64)[:64]),
    "only padding": (1, padded(b"")),
    "zeros": (1, bytes(64)),
    "no details": (1, padded(b"{}")),
    "details that are a list": (1, padded(b'{"d":[]}')),
    "a list": (1, padded(b"[]")),
    "a key too many": (1, padded(b'{"d":{},"x":1}')),
    "blanks": (1, padded(b'{"d": {}}')),
    "no subject where one is named": (1, padded(b'{"d":{},"s":null}')),
    "an empty subject": (1, padded(b'{"d":{},"s":""}')),
    "a subject in words": (1, padded(b'{"d":{},"s":"jean"}')),
    "a subject that is a list": (1, padded(b'{"d":{},"s":[]}')),
    "an actor in words": (1, padded(b'{"by":"jean","d":{}}')),
    "a fraction": (1, padded(b'{"d":{"a":1.5}}')),
    "an exponent": (1, padded(b'{"d":{"a":1e3}}')),
    "a key twice": (1, padded(b'{"d":{"a":1,"a":2}}')),
    "a lone surrogate": (1, padded(b'{"d":{"a":"\\ud800"}}')),
    "bytes": (1, padded(b"\xff\xfe")),
    "deep nesting": (1, padded(b'{"d":' + b"[" * 20_000)),
    "a huge number": (1, padded(b'{"d":{"a":' + b"9" * 20_000 + b"}}")),
}


@pytest.mark.parametrize(("code", "plain"), PARTS.values(), ids=PARTS)
def test_a_part_has_one_form(desk, code, plain):
    log = LogInTest()
    log.ids.append(str(log.uuid()))
    log.leaves.append(log.leaf(canonical(log.header("patient.read", id=log.ids[-1])), [(log.clinic_key, plain)]))

    answer = ask(desk, log)

    assert answer.code == code
    if code:
        assert (answer.findings, answer.first_wrong) == ({"part"}, (1, log.ids[1]))


DETAILS = {
    "no keys": ("key.created", {"commitments": []}),
    "keys in words": ("key.created", {"keys": ["mine"], "commitments": ["00"]}),
    "fewer commitments": ("key.created", {"keys": ["01890a5d-ac96-774b-bcce-b302099a8057"], "commitments": []}),
    "a commitment that is a number": ("key.created", {"keys": [], "commitments": [1]}),
    "keys that are text": ("key.destroyed", {"keys": "01890a5d-ac96-774b-bcce-b302099a8057"}),
    "keys that are numbers": ("key.destroyed", {"keys": [1]}),
    "a purpose that is a list": ("purpose.defined", {"purpose": [], "nature": "care"}),
    "no nature": ("purpose.defined", {"purpose": "recall"}),
    "no patient": ("message.claimed", {"message": "01890a5d-ac96-774b-bcce-b302099a8057"}),
}


@pytest.mark.parametrize(("action", "details"), DETAILS.values(), ids=DETAILS)
def test_details_that_can_not_be_read_are_found(desk, action, details):
    log = LogInTest()
    entry = log.record(action, details)

    answer = ask(desk, log)

    assert (answer.code, answer.findings, answer.first_wrong[0]) == (1, {"details"}, entry)
