"""The arithmetic of the tree, against vectors that others wrote and against a plain definition."""

import ast
import base64
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.audit import merkle
from backend.audit.merkle import (
    EMPTY_ROOT,
    Frontier,
    InvalidProof,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root,
    verify_consistency,
    verify_inclusion,
)


def leaves(count: int) -> list[bytes]:
    return [leaf_hash(str(number).encode()) for number in range(count)]


def by_definition(hashes: list[bytes]) -> bytes:
    """MTH of RFC 6962, 2.1, word for word."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return node_hash(by_definition(hashes[:split]), by_definition(hashes[split:]))


def vectors(folder: Path) -> list[Path]:
    found = sorted(folder.rglob("*.json"))
    assert found
    return found


def decoded(text: str | None) -> bytes:
    return base64.b64decode(text or "")


@pytest.mark.needs_data
def test_inclusion_proofs_are_accepted_and_refused_as_the_vectors_say(third_party_data):
    seen = {True: 0, False: 0}
    for path in vectors(third_party_data / "oracles" / "merkle" / "inclusion"):
        vector = json.loads(path.read_text())
        arguments = (
            decoded(vector["leafHash"]),
            vector["leafIdx"],
            vector["treeSize"],
            [decoded(one) for one in vector["proof"] or []],
            decoded(vector["root"]),
        )
        seen[vector["wantErr"]] += 1
        if vector["wantErr"]:
            with pytest.raises(InvalidProof):
                verify_inclusion(*arguments)
        else:
            verify_inclusion(*arguments)
    assert seen[True] > 40
    assert seen[False] >= 3


@pytest.mark.needs_data
def test_consistency_proofs_are_accepted_and_refused_as_the_vectors_say(third_party_data):
    seen = {True: 0, False: 0}
    for path in vectors(third_party_data / "oracles" / "merkle" / "consistency"):
        vector = json.loads(path.read_text())
        arguments = (
            vector["size1"],
            vector["size2"],
            [decoded(one) for one in vector["proof"] or []],
            decoded(vector["root1"]),
            decoded(vector["root2"]),
        )
        seen[vector["wantErr"]] += 1
        if vector["wantErr"]:
            with pytest.raises(InvalidProof):
                verify_consistency(*arguments)
        else:
            verify_consistency(*arguments)
    assert seen[True] > 40
    assert seen[False] >= 3


@pytest.mark.parametrize("size", [*range(70), 255, 256, 257, 600])
def test_the_root_is_the_one_that_the_rfc_defines(size):
    hashes = leaves(size)
    frontier = Frontier()
    for one in hashes:
        frontier.append(one)

    assert root(hashes) == by_definition(hashes) == frontier.root()


@given(size=st.integers(1, 300), data=st.data())
def test_every_leaf_is_proved_and_nothing_else_is(size, data):
    hashes = leaves(size)
    index = data.draw(st.integers(0, size - 1))
    proof, top = inclusion_proof(hashes, index), root(hashes)

    verify_inclusion(hashes[index], index, size, proof, top)

    for wrong in {index - 1, index + 1, size}:
        with pytest.raises(InvalidProof):
            verify_inclusion(hashes[index], wrong, size, proof, top)
    with pytest.raises(InvalidProof):
        verify_inclusion(leaf_hash(b"another"), index, size, proof, top)


@given(size2=st.integers(1, 300), data=st.data())
def test_every_earlier_tree_is_proved_and_no_other(size2, data):
    size1 = data.draw(st.integers(1, size2))
    hashes = leaves(size2)
    proof = consistency_proof(hashes, size1)
    earlier, later = root(hashes[:size1]), root(hashes)

    verify_consistency(size1, size2, proof, earlier, later)

    another = root([leaf_hash(b"another"), *hashes[1:size1]])
    with pytest.raises(InvalidProof):
        verify_consistency(size1, size2, proof, another, later)
    with pytest.raises(InvalidProof):
        verify_consistency(size1, size2, [*proof, later], earlier, later)


def test_a_frontier_tells_of_every_subtree_that_was_completed():
    hashes, frontier = leaves(300), Frontier()
    completed = [done for one in hashes for done in frontier.append(one)]

    assert all(value == root(hashes[n << height : (n + 1) << height]) for height, n, value in completed)
    assert len(completed) == sum(300 >> height for height in range(1, 9))


def test_an_empty_tree_has_the_root_of_nothing():
    assert root([]) == EMPTY_ROOT == Frontier().root()


def test_the_module_stands_alone():
    source = Path(merkle.__file__).read_text(encoding="utf-8")
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(source))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported <= sys.stdlib_module_names
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", source + "\nprint(root([]).hex())"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == EMPTY_ROOT.hex()
