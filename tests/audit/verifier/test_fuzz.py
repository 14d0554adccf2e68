"""Thousands of small changes to a valid bundle: none is called valid, and none ends in a traceback."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from backend.audit import verifier
from tests.factories.bundles import LogInTest, archive, b64, entries_of, entry_bundle, members_of

ROUNDS = 2_500


@pytest.fixture(scope="module")
def log():
    """A small log with everything in it."""
    log = LogInTest()
    log.define("recall", "prevention")
    patient, erased = log.enter(), log.enter()
    log.sign_into_meta(others=1)
    log.message(patient, log.give(patient))
    log.erase(erased)
    log.sign_into_meta()
    return log


@pytest.fixture(scope="module")
def whole(log):
    """Its bundle; without tables, whose packed bytes have more than one form."""
    return log.bundle()


def mangled(text, chance):
    """These bytes, changed in one of the ways in which bytes get changed."""
    body = bytearray(text)
    at = chance.randrange(len(body) + 1)
    length = chance.choice([1, 1, 1, 2, 4, 8, 64])
    match chance.randrange(8):
        case 0 | 1 if body:
            at = chance.randrange(len(body))
            body[at] ^= 1 << chance.randrange(8)
        case 2:
            body[at:at] = chance.randbytes(length)
        case 3:
            del body[at : at + length]
        case 4:
            body[at : at + length] = chance.randbytes(length)
        case 5:
            body[at : at + length] = (
                chance.choice([b"\x00", b"\xff", b"\n", b"\r\n", b" ", b"0", b"\xe2\x80\x94"]) * length
            )
        case 6:
            other = chance.randrange(len(body) + 1)
            body[at:at] = body[other : other + length]
        case _:
            del body[at:]
    return bytes(body)


def tampered(members, chance):
    """The members, changed by somebody who knows what they are."""
    changed = dict(members)
    name = chance.choice(list(changed))
    entries = next(one for one in changed if one.startswith("tile/entries/"))
    leaves = entries_of(changed[entries])
    match chance.randrange(10):
        case 0 | 1 | 2 | 3:
            changed[name] = mangled(changed[name], chance)
        case 4:
            del changed[name]
        case 5:
            changed[chance.choice([f"{name}x", name.upper(), f"./{name}", f"views/{name}"])] = changed.pop(name)
        case 6:
            other = chance.choice(list(changed))
            changed[name], changed[other] = changed[other], changed[name]
        case 7:
            order = list(changed)
            chance.shuffle(order)
            changed = {one: changed[one] for one in order}
        case 8:
            at = chance.randrange(len(leaves))
            leaves[at] = mangled(leaves[at], chance)
            changed[entries] = entry_bundle(leaves)
        case _:
            chance.shuffle(leaves)
            changed[entries] = entry_bundle(leaves[: chance.randrange(1, len(leaves) + 1)])
    return changed


def verdict(desk, bundle, *options):
    """The exit code; whatever is raised is a failure of the test."""
    return desk.say(desk.put("bundle.zip", bundle), *options)[0]


@pytest.mark.parametrize("seed", [1, 2])
def test_a_changed_archive_is_never_called_valid(desk, whole, seed):
    chance = random.Random(seed)  # noqa: S311 - so that what was found can be found again
    for number in range(ROUNDS):
        changed = mangled(whole, chance)
        code = verdict(desk, changed)
        assert code in {1, 2} or changed == whole, (seed, number)


@pytest.mark.parametrize("seed", [3, 4])
def test_changed_members_in_a_sound_archive_are_never_called_valid(desk, whole, seed):
    members = members_of(whole)
    chance = random.Random(seed)  # noqa: S311
    for number in range(ROUNDS):
        changed = tampered(members, chance)
        code = verdict(desk, archive(changed))
        assert code in {1, 2} or list(changed.items()) == list(members.items()), (seed, number)


def test_changed_members_are_found_with_the_officers_key_too_and_behind_a_stolen_key(desk, log, whole):
    members = {name: body for name, body in members_of(whole).items() if name != "manifest"}
    desk.put("dpo.pem", log.private_key())
    desk.put("kept", log.checkpoint())
    chance = random.Random(5)  # noqa: S311
    for number in range(500):
        changed = tampered(members, chance)
        # The manifest is signed anew, and so is a checkpoint over other entries: only what is in the log holds.
        bundle = archive({**changed, "manifest": log.manifest(changed)})
        code = verdict(desk, bundle, "--keys", f"{desk.folder}/dpo.pem", "--checkpoint", f"{desk.folder}/kept")
        unchanged = list(changed.items()) == list(members.items())
        if code == 0 and not unchanged:
            # Whoever has the log's key may hand over fewer keys' worth of proof, never other entries.
            for name, body in members.items():
                assert name.startswith(("meta/", "keys/")) or changed.get(name) == body, number


def test_what_is_signed_and_nonsense_ends_in_no_traceback(desk, log):
    chance = random.Random(6)  # noqa: S311
    members = log.members()
    desk.put("dpo.pem", log.private_key())
    for _ in range(400):
        forged = LogInTest(log.seed)
        forged.leaves, forged.keys, forged.destroyed = list(log.leaves), log.keys, log.destroyed
        at = chance.randrange(len(forged.leaves))
        forged.leaves[at] = mangled(forged.leaves[at], chance)
        if chance.random() < 0.3:
            header = mangled(b'{"a":"x"}', chance)
            forged.leaves[at] = forged.leaf(header, [(log.clinic_key, mangled(b'{"d":{"keys":[]}}\x80', chance))])
        made = forged.members()
        if chance.random() < 0.3:
            own = b"".join(f"{index} {size} {b64(root)}\n".encode() for index, size, root in log.own)
            made |= {name: body for name, body in members.items() if name.startswith("meta/")}
            made["meta/own"] = mangled(own, chance)
            made = {name: made[name] for name in sorted(made, key=lambda name: list(members).index(name))}
        assert verdict(desk, forged.bundle(made), "--keys", f"{desk.folder}/dpo.pem", "--json") in {0, 1}


def test_the_command_itself_ends_without_a_traceback(desk, whole):
    members = members_of(whole)
    chance = random.Random(7)  # noqa: S311
    for number in range(16):
        bundle = archive(tampered(members, chance)) if number % 2 else mangled(whole, chance)
        path = desk.put("bundle.zip", bundle)
        ended = subprocess.run(
            [sys.executable, "-I", "-S", Path(verifier.__file__), path],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ended.returncode in {1, 2} or bundle == whole
        assert "Traceback" not in ended.stderr
