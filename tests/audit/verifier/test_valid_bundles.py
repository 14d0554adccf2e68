"""What was logged is found valid, whatever its size, and the answer says what was compared and what was not."""

import pytest

from tests.factories.bundles import LogInTest, entries_of, many_of, members_of, root_of

SIZES = [1, 2, 3, 255, 256, 257, 511, 512, 513, 600]


def log_of(size):
    log = LogInTest()
    patient = log.enter()
    while len(log.leaves) < size:
        log.read(patient)
    del log.leaves[size:]
    return log


@pytest.mark.parametrize("size", SIZES)
def test_a_log_of_any_size_is_valid(desk, size):
    log = log_of(size)

    answer = desk.ask(log.bundle(with_keys=False))

    assert (answer.code, answer.document["valid"], answer.findings) == (0, True, set())
    assert answer.document["size"] == answer.document["entries"] == answer.document["parts"] == size


def test_a_log_with_nothing_in_it_is_valid(desk):
    answer = desk.ask(log_of(0).bundle(with_keys=False))

    assert (answer.code, answer.document["size"]) == (0, 0)


def test_tiles_of_three_levels_are_read(desk):
    log = log_of(300)
    log.leaves = many_of(log.leaves, 66_000)
    hashes = log.hashes

    answer = desk.ask(
        log.bundle(log.members(with_keys=False, hashes=hashes)),
        pins={
            f"at-{size}": log.signer.checkpoint(hashes[:size]) for size in (255, 256, 65_535, 65_536, 65_999, 66_000)
        },
    )

    assert (answer.code, answer.document["entries"]) == (0, 66_000)
    assert all(pin["ok"] for pin in answer.document["pinned"])


def test_every_checkpoint_that_was_ever_signed_fits(desk):
    log = log_of(70)
    log.sign_into_meta(others=1)

    answer = desk.ask(log.bundle(), pins={f"at-{size}": log.checkpoint(size) for size in range(71)})

    assert answer.code == 0
    assert [pin["size"] for pin in answer.document["pinned"] if pin["ok"]] == list(range(71))
    assert answer.document["pinned"][3]["origin"] == log.signer.name


def test_the_answer_names_what_can_be_compared_elsewhere(desk, log):
    document = desk.ask(log.bundle()).document

    assert document["key"] == log.signer.vkey
    assert document["origin"] == log.signer.name
    assert document["clinic"] == log.clinic
    assert any("Nothing that was kept elsewhere was compared" in warning for warning in document["warnings"])


def test_with_a_kept_checkpoint_no_such_warning_is_left(desk, log):
    document = desk.ask(log.bundle(), pins={"kept": log.checkpoint(4)}).document

    assert not any("kept elsewhere" in warning for warning in document["warnings"])


def test_with_keys_everything_is_opened_and_accounted_for(desk, log):
    answer = desk.ask(log.bundle(), keys=log.private_key())

    document = answer.document
    assert (answer.code, document["findings"]) == (0, [])
    assert (document["erased"], document["unreadable"]) == (1, 5)
    assert document["messages"] == {
        "handed_over": 2,
        "with_consent": 1,
        "closed_list": {"safety_notice": 1},
        "without_consent": [],
        "without_consent_count": 0,
        "unreadable": 1,
    }


def test_without_keys_nothing_is_said_about_messages(desk, log):
    document = desk.ask(log.bundle()).document

    assert (document["messages"], document["unreadable"]) == (None, None)
    assert document["erased"] == 1


def test_a_bundle_without_any_keys_is_valid(desk, log):
    assert desk.ask(log.bundle(with_keys=False)).code == 0


def test_a_bundle_without_a_meta_log_is_valid(desk):
    log = log_of(5)

    assert desk.ask(log.bundle()).code == 0


def test_views_are_named_as_not_compared(desk, log):
    views = {"views/entries.csv": b"a,b\n" * 900, "views/audit_event.ndjson": b""}

    answer = desk.ask(log.bundle(views=views))

    assert answer.code == 0
    assert any("were not compared with the entries" in warning for warning in answer.document["warnings"])


def test_a_large_meta_log_of_many_clinics_is_read(desk):
    log = log_of(4)
    for _ in range(5):
        log.sign_into_meta(others=120)
        log.read()
    log.sign_into_meta()

    pins = {f"meta-{size}": log.meta_checkpoint(size) for size in (0, 1, 256, 511, 606)}
    answer = desk.ask(log.bundle(), pins=pins)

    assert answer.code == 0
    assert all(pin["ok"] for pin in answer.document["pinned"])


def test_signatures_of_others_on_the_notes_are_ignored(desk, log):
    other = LogInTest("southbank").signer
    members = log.members()
    members["checkpoint"] += other.line(b"witnessed")
    members["meta/checkpoint"] += other.line(b"witnessed")

    assert desk.ask(log.bundle(members), pins={"kept": log.checkpoint(3) + other.line(b"?")}).code == 0


def test_the_header_may_name_the_request(desk):
    log = log_of(2)
    log.record("patient.read", {"reason": "care"}, cid="0af7651916cd43dd8448eb211c80319c")
    log.record("access.refused", {}, o="denied", ac="sys", t=0)
    log.record("access.refused", {}, o="error", ac="r", t=2**53 - 1)

    assert desk.ask(log.bundle(), keys=log.private_key()).code == 0


def test_the_factory_says_what_rfc_6962_says():
    # The tree is built twice, by two recursions; this is the only place where the other one could be wrong with ours.
    log = log_of(300)
    members = members_of(log.bundle())

    assert entries_of(members["tile/entries/000"]) == log.leaves[:256]
    assert members["tile/1/000.p/1"] == root_of(log.hashes[:256])
    assert [name for name in members if "tile" in name] == [
        "tile/entries/000",
        "tile/0/000",
        "tile/entries/001.p/44",
        "tile/0/001.p/44",
        "tile/1/000.p/1",
    ]


def test_a_checkpoint_of_the_meta_log_alone_does_not_vouch_for_the_end_of_this_log(desk, log):
    meta = {"meta": log.meta_checkpoint()}

    alone = desk.ask(log.bundle(), pins=meta)
    both = desk.ask(log.bundle(), pins={**meta, "kept": log.checkpoint(5)})

    said = [any("compared with this log itself" in one for one in ask.document["warnings"]) for ask in (alone, both)]
    assert (alone.code, both.code, said) == (0, 0, [True, False])
