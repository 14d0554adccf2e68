"""Whoever changes, leaves out, adds or moves anything is found, and the first entry that is wrong is named."""

import pytest

from tests.factories.bundles import (
    LogInTest,
    Signer,
    archive,
    b64,
    canonical,
    entries_of,
    entry_bundle,
    hash_of_leaf,
    members_of,
    root_of,
    tiles_of,
)

ENTRIES = "tile/entries/000"


@pytest.fixture
def long_log():
    """300 entries."""
    log = LogInTest()
    patient = log.enter()
    while len(log.leaves) < 300:
        log.read(patient)
    return log


def with_leaves(log, change):
    """The bundle as it is, but for the first entry bundle; only the zip's own checksum is right."""
    members = members_of(log.bundle())
    name = next(name for name in members if name.startswith("tile/entries/"))
    leaves = entries_of(members[name])
    change(leaves)
    members[name] = entry_bundle(leaves)
    return archive(members)


def resigned(log, change, *, signer=None):
    """A bundle that whoever stole the log's key (or made another one) wrote: all of it fits together."""
    forged = LogInTest(log.seed)
    forged.leaves, forged.keys, forged.destroyed = list(log.leaves), log.keys, log.destroyed
    forged.signer = signer or log.signer
    change(forged.leaves)
    return forged.bundle()


def test_every_flipped_byte_of_every_entry_is_found_and_named(desk):
    log = LogInTest()
    log.read(log.enter())
    members = members_of(log.bundle(with_keys=False))
    name, body = f"{ENTRIES}.p/4", members_of(log.bundle())[f"{ENTRIES}.p/4"]
    starts = [0]
    for leaf in entries_of(body):
        starts.append(starts[-1] + 2 + len(leaf))

    for at in range(0, len(body), 3):
        changed = bytearray(body)
        changed[at] ^= 1 << at % 8
        answer = desk.ask(archive({**members, name: bytes(changed)}))
        assert answer.code == 1
        entry = max(index for index, start in enumerate(starts) if start <= at)
        assert answer.first_wrong[0] == entry


def test_the_changed_entry_is_named_with_its_id(desk, long_log):
    def change(leaves):
        leaves[137] = leaves[137][:-1] + bytes([leaves[137][-1] ^ 1])

    answer = desk.ask(with_leaves(long_log, change))

    assert answer.code == 1
    assert answer.first_wrong == (137, long_log.ids[137])
    assert "entry_changed" in answer.findings
    assert "root" not in answer.findings


MOVES = {
    "left out": (lambda leaves: leaves.pop(100), 100),
    "the last one left out": (lambda leaves: leaves.pop(), 255),
    "put in": (lambda leaves: leaves.insert(100, leaves[3]), 100),
    "written twice": (lambda leaves: leaves.insert(101, leaves[100]), 101),
    "two exchanged": (lambda leaves: leaves.__setitem__(slice(50, 52), [leaves[51], leaves[50]]), 50),
    "one over another": (lambda leaves: leaves.__setitem__(200, leaves[7]), 200),
    "all left out": (lambda leaves: leaves.clear(), 0),
}


@pytest.mark.parametrize(("change", "entry"), MOVES.values(), ids=MOVES)
def test_an_entry_left_out_put_in_or_moved_is_named(desk, long_log, change, entry):
    answer = desk.ask(with_leaves(long_log, change))

    assert answer.code == 1
    assert answer.first_wrong[0] == entry


def test_entries_behind_the_last_one_are_found(desk, long_log):
    answer = desk.ask(with_leaves(long_log, lambda leaves: leaves.append(b"")))

    assert answer.code == 1
    assert "entry_bundle" in answer.findings


def test_a_ciphertext_from_another_entry_does_not_open(desk, log):
    # Both are about the same patient, under the same key; even signed with the stolen key it is bound to its header.
    source, target = 4, 7
    head = log.leaves[target][: 5 + int.from_bytes(log.leaves[target][1:5], "big")]
    tail = log.leaves[source][5 + int.from_bytes(log.leaves[source][1:5], "big") :]

    answer = desk.ask(resigned(log, lambda leaves: leaves.__setitem__(target, head + tail)), keys=log.private_key())

    assert answer.code == 1
    assert "part" in answer.findings
    assert answer.first_wrong == (target, log.ids[target])


def test_two_parts_of_an_entry_can_not_change_places(desk, log):
    leaf = log.leaves[log.read(*[log.enter(), log.enter()])]
    size = (len(leaf) - 6 - int.from_bytes(leaf[1:5], "big")) // 2
    swapped = leaf[: -2 * size] + leaf[-size:] + leaf[-2 * size : -size]

    answer = desk.ask(resigned(log, lambda leaves: leaves.__setitem__(-1, swapped)), keys=log.private_key())

    assert "part" in answer.findings


@pytest.mark.parametrize("place", [300, 150])
def test_an_entry_that_is_written_once_more_is_found_though_everything_is_signed(desk, long_log, place):
    """What somebody who holds the database can do with no key at all: copy an old row, and have it signed."""
    answer = desk.ask(resigned(long_log, lambda leaves: leaves.insert(place, leaves[20])))

    assert answer.code == 1
    assert answer.findings == {"entry_twice"}
    assert answer.first_wrong == (place, long_log.ids[20])


def test_rolling_the_log_back_is_found_with_a_kept_checkpoint(desk, long_log):
    kept = long_log.checkpoint(290)

    answer = desk.ask(resigned(long_log, lambda leaves: leaves.__delitem__(slice(280, None))), pins={"kept": kept})

    assert answer.code == 1
    assert answer.findings == {"pinned_larger"}
    assert answer.document["pinned"][0]["ok"] is False


def test_rolling_the_log_back_is_not_found_without_one_and_the_answer_says_so(desk, long_log):
    answer = desk.ask(resigned(long_log, lambda leaves: leaves.__delitem__(slice(280, None))))

    assert answer.code == 0
    assert "Nothing that was kept elsewhere was compared" in answer.document["warnings"][0]


def test_history_rewritten_with_the_stolen_key_is_found_and_the_place_narrowed_down(desk, long_log):
    pins = {f"at-{size}": long_log.checkpoint(size) for size in (100, 200, 290)}

    answer = desk.ask(resigned(long_log, lambda leaves: leaves.pop(150)), pins=pins)

    assert answer.code == 1
    assert answer.findings == {"pinned_root"}
    assert [pin["ok"] for pin in answer.document["pinned"]] == [True, False, False]
    sentence = answer.document["findings"][0]["sentence"]
    assert "0 to 99 are vouched for" in sentence
    assert "among 100 to 199" in sentence


def test_history_rewritten_with_a_new_key_is_found(desk, long_log):
    thief = Signer.made_from(long_log.signer.name, "thief")

    forged = resigned(long_log, lambda leaves: leaves.pop(150), signer=thief)

    assert desk.ask(forged).code == 0
    answer = desk.ask(forged, pins={"kept": long_log.checkpoint(100)})
    assert (answer.code, answer.findings) == (1, {"pinned_signature"})


def test_another_history_of_the_same_size_is_found(desk, long_log):
    def change(leaves):
        leaves[298:] = leaves[:297:-1]

    answer = desk.ask(resigned(long_log, change), pins={"kept": long_log.checkpoint()})

    assert answer.findings == {"pinned_root"}


def test_a_changed_entry_whose_tiles_were_made_again_is_found_by_the_root(desk, long_log):
    leaves = list(long_log.leaves)
    leaves[7], leaves[8] = leaves[8], leaves[7]
    hashes = [hash_of_leaf(leaf) for leaf in leaves]
    members = members_of(long_log.bundle())
    members |= tiles_of(leaves, hashes)
    members["manifest"] = long_log.manifest({name: body for name, body in members.items() if name != "manifest"})

    answer = desk.ask(archive(members))

    assert (answer.code, answer.findings) == (1, {"root"})


def test_the_logs_own_checkpoints_narrow_down_what_was_changed(desk):
    log = LogInTest()
    patient = log.enter()
    for _ in range(30):
        log.read(patient)
        log.sign_into_meta(others=1)
    leaves = list(log.leaves)
    leaves[17] = leaves[16]
    members = log.members()
    members |= tiles_of(leaves, [hash_of_leaf(leaf) for leaf in leaves])

    answer = desk.ask(log.bundle(members))

    assert {"root", "own_checkpoint"} <= answer.findings
    assert any("among 17 to 17" in finding["sentence"] for finding in answer.document["findings"])


def test_a_wrong_hash_tile_of_any_level_is_found(desk, long_log):
    members = members_of(long_log.bundle())

    for name in [name for name in members if name.startswith("tile/") and "entries" not in name]:
        body = bytearray(members[name])
        body[5] ^= 1
        changed = {**members, name: bytes(body)}
        changed.pop("manifest")
        answer = desk.ask(long_log.bundle(changed))
        assert answer.code == 1
        assert answer.findings & {"tile", "entry_changed"}


def sign(log, members):
    return {**members, "manifest": log.manifest(members)}


def test_a_checkpoint_signed_by_another_key_is_found(desk, log):
    members = log.members()
    members["checkpoint"] = Signer.made_from(log.signer.name, "thief").checkpoint(log.hashes)

    answer = desk.ask(log.bundle(members))

    assert (answer.code, answer.findings) == (1, {"checkpoint_signature"})


def test_a_manifest_signed_by_another_key_is_found(desk, log):
    forged = LogInTest(log.seed)
    forged.leaves, forged.signer = log.leaves, Signer.made_from(log.signer.name, "thief")
    members = log.members()

    answer = desk.ask(archive({**members, "manifest": forged.manifest(members)}))

    assert (answer.code, answer.findings) == (1, {"manifest_signature"})


MANIFESTS = {
    "another clinic": (b"clinic ", b"clinic 00000000-0000-4000-8000-000000000000\nclinic "),
    "another size": (b"\nsize ", b"\nsize 1"),
    "another origin": (b"origin accord", b"origin discord"),
    "another version": (b"bundle/v1", b"bundle/v2"),
    "another length": (b" 65 ", b" 66 "),
    "a line twice": (b"\nmade-at", b"\nmade-at 1\nmade-at"),
    "a moment with a zero before it": (b"made-at ", b"made-at 0"),
    "a carriage return": (b"v1\n", b"v1\r\n"),
    "a blank": (b" policy", b"  policy"),
    "a hash in capitals": (b"a", b"A"),
}


@pytest.mark.parametrize(("old", "new"), MANIFESTS.values(), ids=MANIFESTS)
def test_a_manifest_of_another_form_is_found_even_where_it_is_signed(desk, log, old, new):
    members = log.members()
    text = log.manifest(members).partition(b"\n\n")[0] + b"\n"
    if old == b" 65 ":
        old, new = f" {len(members['policy'])} ".encode(), f" {len(members['policy']) + 1} ".encode()
    changed = text.replace(old, new, 1)

    answer = desk.ask(archive({**members, "manifest": log.signer.note(changed)}))

    assert changed != text
    assert answer.code == 1


def test_a_manifest_that_names_less_or_more_is_found(desk, log):
    members = log.members()
    text = log.manifest(members).partition(b"\n\n")[0].decode() + "\n"
    lines = text.splitlines(keepends=True)

    for changed in ([*lines[:-1]], [*lines, lines[-1]], [*lines[:5], lines[6], lines[5], *lines[7:]]):
        note = log.signer.note("".join(changed).encode())
        answer = desk.ask(archive({**members, "manifest": note}))
        assert (answer.code, answer.findings) == (1, {"manifest"})


POLICIES = {
    "one log": lambda text: text.split(b"\n", 1)[1],
    "a third log": lambda text: text.split(b"\n", 1)[0] + b"\n" + text,
    "another quorum": lambda text: text.replace(b"none", b"any"),
    "a witness": lambda text: b"witness w1 example.com+530d903a+AekyeRrm\n" + text,
    "the same log twice": lambda text: text.split(b"\n")[0] + b"\n" + text.split(b"\n")[0] + b"\nquorum none\n",
    "the other way round": lambda text: b"\n".join([*text.split(b"\n")[1::-1], b"quorum none", b""]),
    "no line end": lambda text: text[:-1],
    "carriage returns": lambda text: text.replace(b"\n", b"\r\n"),
    "a comment": lambda text: b"# hello\n" + text,
    "another name": lambda text: text.replace(b"accord/audit", b"accord/other"),
    "nothing": lambda _text: b"",
    "no text": lambda text: text.replace(b"accord", b"\xff\xff\xff\xff\xff\xff", 1),
}


@pytest.mark.parametrize("change", POLICIES.values(), ids=POLICIES)
def test_a_policy_of_another_form_is_found_even_where_it_is_signed_for(desk, log, change):
    members = log.members()
    members["policy"] = change(members["policy"])

    answer = desk.ask(log.bundle(members))

    # The other way round, it is a good policy, and of another log than the checkpoint.
    assert (answer.code, answer.findings <= {"policy", "checkpoint"}) == (1, True)


def test_checkpoints_of_another_log_are_found_even_where_the_right_key_signed_them(desk, log):
    other = LogInTest("southbank").signer.name
    for name, signer in (("checkpoint", log.signer), ("meta/checkpoint", log.meta_signer)):
        members = log.members()
        text = members[name].partition(b"\n\n")[0].replace(signer.name.encode(), other.encode()) + b"\n"
        members[name] = signer.note(text)
        assert desk.ask(log.bundle(members)).findings == {name.replace("/", "_")}


@pytest.mark.parametrize("change", [lambda body: body[:-32], lambda body: body + bytes(32), lambda body: body[:-1]])
def test_hash_tiles_of_another_length_are_found(desk, log, change):
    for prefix in ("tile/0/", "meta/tile/0/"):
        members = log.members()
        name = next(name for name in members if name.startswith(prefix))
        members[name] = change(members[name])
        assert desk.ask(log.bundle(members)).findings == {"members"}


def own(*lines):
    return "".join(f"{index} {size} {root}\n" for index, size, root in lines).encode()


def test_lines_of_meta_own_that_do_not_hold_are_found(desk, log):
    (first, size, root), (second, larger, newer) = log.own
    good, better = b64(root), b64(newer)
    wrong = {
        "another root": own((first, size, better), (second, larger, better)),
        "another size": own((first, size - 1, good), (second, larger, better)),
        "another leaf": own((first + 1, size, good), (second, larger, better)),
        "no such leaf": own((first, size, good), (99, larger, better)),
        "a larger log": own((first, size, good), (second, 99, better)),
        "another order": own((second, larger, better), (first, size, good)),
        "a line twice": own((first, size, good), (first, size, good)),
        "a size that falls": own((first, larger, better), (second, size, good)),
        "a zero before": own((first, size, good)).replace(b"0 ", b"00 ", 1),
        "no line end": own((first, size, good))[:-1],
        "an empty line": own((first, size, good)) + b"\n",
        "a long line": b"1" * 100_000 + b"\n",
        "another Base64": own((first, size, good[:-2] + "B=")),
    }

    for name, body in wrong.items():
        members = log.members()
        members["meta/own"] = body
        answer = desk.ask(log.bundle(members))
        assert (answer.code, name) == (1, name)


def test_a_meta_log_that_was_rewritten_is_found_with_a_kept_checkpoint(desk, log):
    kept = log.meta_checkpoint(3)
    log.meta_leaves[2] = log.meta_leaves[1]

    answer = desk.ask(log.bundle(), pins={"kept": kept})

    assert (answer.code, answer.findings) == (1, {"pinned_root"})


def test_a_meta_log_that_is_gone_is_found_with_a_kept_checkpoint(desk, log):
    kept = log.meta_checkpoint()
    log.meta_leaves.clear()

    assert desk.ask(log.bundle(), pins={"kept": kept}).findings == {"pinned_larger"}


def test_a_meta_log_that_was_cut_short_is_found(desk, log):
    members = log.members()
    # One leaf less in the tile; its checkpoint, and so the name of the tile, says otherwise.
    hashes = [hash_of_leaf(leaf) for leaf in log.meta_leaves]
    members["meta/checkpoint"] = log.meta_signer.note(
        f"{log.meta_signer.name}\n{len(hashes)}\n{b64(root_of(hashes[:-1]))}\n".encode()
    )

    assert desk.ask(log.bundle(members)).findings == {"meta_root"}


def test_a_meta_checkpoint_of_another_key_is_found(desk, log):
    members = log.members()
    thief = Signer.made_from(log.meta_signer.name, "thief")
    members["meta/checkpoint"] = thief.checkpoint([hash_of_leaf(leaf) for leaf in log.meta_leaves])

    assert desk.ask(log.bundle(members)).findings == {"meta_signature"}


# ------------------------------------------------------------------------------------------- leaves that are malformed

HEADERS = {
    "another clinic": {"tn": "00000000-0000-4000-8000-000000000000"},
    "another version": {"v": 2},
    "a version that is true": {"v": True},
    "another suite": {"ks": 2},
    "free text": {"a": "Jean Dupont"},
    "a person": {"ac": "p:jean"},
    "an outcome nobody knows": {"o": "maybe"},
    "an id in capitals": {"id": "6E903503-917F-4EFD-8463-E84F0C95F2C9"},
    "no request": {"cid": "none"},
    "a negative time": {"t": -1},
    "a time too large": {"t": 2**53},
    "a time in words": {"t": "1"},
    "a key too many": {"x": 1},
    "a key that is null": {"cid": None},
    "a long code": {"ot": "a" * 61},
    "a line end": {"a": "patient.read\n"},
}


def broken_header(log, header):
    log.ids.append("")
    log.leaves.append(log.leaf(header, [(log.clinic_key, b"\x80" + bytes(63))]))
    return len(log.leaves) - 1


@pytest.mark.parametrize("change", HEADERS.values(), ids=HEADERS)
def test_a_header_outside_the_closed_list_is_found_even_where_it_is_signed(desk, log, change):
    entry = log.record("patient.read", {}, **change)
    log.read()

    answer = desk.ask(log.bundle())

    assert (answer.code, answer.findings) == (1, {"entry_malformed"})
    assert answer.first_wrong[0] == entry


def test_a_header_written_another_way_is_found(desk):
    good = (
        b'{"a":"patient.read","ac":"sys","id":"01890a5d-ac96-774b-bcce-b302099a8057","ks":1,"o":"ok","ot":"patient",'
        b'"t":1791964800000000,"tn":"%s","v":1}'
    )
    ways = {
        "as it has to be": lambda header: header,
        "blanks": lambda header: header.replace(b",", b", "),
        "another order": lambda header: header.replace(b'"v":1}', b"}").replace(b"{", b'{"v":1,').replace(b",}", b"}"),
        "a key twice": lambda header: header.replace(b'"v":1', b'"v":1,"v":1'),
        "an exponent": lambda header: header.replace(b'"v":1', b'"v":1e0'),
        "a fraction": lambda header: header.replace(b'"v":1', b'"v":1.0'),
        "an escape": lambda header: header.replace(b'"sys"', b'"s\\u0079s"'),
        "a zero before": lambda header: header.replace(b'"t":1', b'"t":01'),
        "a key missing": lambda header: header.replace(b'"o":"ok",', b""),
        "text behind it": lambda header: header + b" ",
        "a list": lambda header: b"[" + header + b"]",
        "deep nesting": lambda _header: b"[" * 20_000,
        "nothing": lambda _header: b"",
        "not UTF-8": lambda header: header.replace(b"sys", b"\xff\xfe\xfd"),
    }

    for name, change in ways.items():
        log = LogInTest()
        entry = broken_header(log, change(good % log.clinic.encode()))
        answer = desk.ask(log.bundle())
        assert (name, answer.code) == (name, 0 if name == "as it has to be" else 1)
        if answer.code:
            assert answer.findings == {"entry_malformed"}
            assert answer.first_wrong[0] == entry


def test_a_leaf_whose_framing_is_not_exact_is_found(desk, log):
    leaf = log.leaves[5]
    head = 5 + int.from_bytes(leaf[1:5], "big")
    wrong = {
        "another format": b"\x02" + leaf[1:],
        "a header said to be longer": leaf[:1] + (head - 4).to_bytes(4, "big") + leaf[5:],
        "a header said to be huge": leaf[:1] + b"\xff\xff\xff\xff" + leaf[5:],
        "more parts than there are": leaf[:head] + b"\x02" + leaf[head + 1 :],
        "no part where there is one": leaf[:head] + b"\x00" + leaf[head + 1 :],
        "a byte behind the parts": leaf + b"\x00",
        "a part said to be longer": leaf[: head + 29] + b"\xff\xff\xff\xff" + leaf[head + 33 :],
        "a part that is not padded": leaf[: head + 29] + (81).to_bytes(4, "big") + bytes(81),
        "a part with a tag alone": leaf[: head + 29] + (16).to_bytes(4, "big") + bytes(16),
        "half of it": leaf[: len(leaf) // 2],
        "nothing": b"",
        "too long": leaf[: head + 29] + (60_048).to_bytes(4, "big") + bytes(60_048),
    }

    for name, body in wrong.items():
        answer = desk.ask(resigned(log, lambda leaves, body=body: leaves.__setitem__(5, body)))
        assert (name, answer.code, answer.findings) == (name, 1, {"entry_malformed"})
        assert answer.first_wrong[0] == 5


@pytest.mark.parametrize("action", ["message.handed_over", "consent.withdrawn", "key.destroyed", "patient.read"])
def test_an_entry_without_a_part_does_not_slip_past_the_replay(desk, log, action):
    log.ids.append("")
    log.leaves.append(log.leaf(canonical(log.header(action)), []))

    for keys in (None, log.private_key()):
        answer = desk.ask(log.bundle(), keys=keys)
        assert (answer.code, answer.findings) == (1, {"entry_malformed"})
        assert answer.first_wrong[0] == len(log.leaves) - 1
        assert "has no part" in answer.document["findings"][0]["sentence"]


@pytest.mark.parametrize(("lengths", "code"), [((80, 144), 0), ((80, 81), 1), ((80, 16), 1), ((30_032, 30_032), 1)])
def test_every_part_has_whole_blocks_and_all_of_them_have_room(desk, log, lengths, code):
    leaf = log.leaves[5]
    head = 5 + int.from_bytes(leaf[1:5], "big")
    parts = b"".join(bytes(28) + length.to_bytes(4, "big") + bytes(length) for length in lengths)

    answer = desk.ask(resigned(log, lambda leaves: leaves.__setitem__(5, leaf[:head] + b"\x02" + parts)))

    assert (answer.code, answer.findings) == (code, {"entry_malformed"} if code else set())


def test_an_entry_of_another_clinic_does_not_pass_in_this_log(desk, log):
    other = LogInTest("southbank")

    answer = desk.ask(resigned(log, lambda leaves: leaves.__setitem__(4, other.leaves[0])))

    assert answer.findings == {"entry_malformed"}
    assert "another clinic" in answer.document["findings"][0]["sentence"]
