"""Merkle trees as Certificate Transparency has them (RFC 6962, section 2.1): hashes, roots, proofs, and their check.

Standard library only, and alone: whoever holds proofs can check them with this file. A tree is a sequence of leaf
hashes; a subtree is a half-open range `(start, end)` of them.
"""

import hashlib
import hmac
from collections.abc import Iterator, Sequence
from typing import Final

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()

Range = tuple[int, int]


class InvalidProof(ValueError):
    """A proof does not show what it is said to show."""


def leaf_hash(leaf: bytes) -> bytes:
    """The hash of a leaf's bytes."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two neighbours."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(leaf_hashes: Sequence[bytes]) -> bytes:
    """The root of a tree of these leaf hashes; of none at all, the hash of nothing."""
    if not leaf_hashes:
        return EMPTY_ROOT
    level = list(leaf_hashes)
    # Pairs from the left, the odd one handed up as it is: the same tree as RFC 6962's split at a power of two.
    while len(level) > 1:
        paired = [node_hash(level[at], level[at + 1]) for at in range(0, len(level) - 1, 2)]
        level = paired + level[len(paired) * 2 :]
    return level[0]


def inclusion_ranges(index: int, size: int) -> list[Range]:
    """The subtrees whose roots prove that leaf `index` is in the first `size`, from the leaf upwards (2.1.1)."""
    if not 0 <= index < size:
        raise ValueError("The leaf is not in the tree.")
    ranges: list[Range] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    return ranges[::-1]


def consistency_ranges(size1: int, size2: int) -> list[Range]:
    """The subtrees whose roots prove that the first `size1` leaves are the start of the first `size2` (2.1.2)."""
    if not 0 <= size1 <= size2:
        raise ValueError("The earlier tree is the larger one.")
    if size1 in {0, size2}:
        return []
    ranges: list[Range] = []
    start, end, known = 0, size2, True
    while end != size1:
        middle = start + _split(end - start)
        if size1 <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start, known = middle, False
    # What remains is the last whole subtree of the earlier tree; the verifier knows it only if it is all of it.
    return ([] if known else [(start, end)]) + ranges[::-1]


def inclusion_proof(leaf_hashes: Sequence[bytes], index: int) -> list[bytes]:
    """The proof that leaf `index` is in this tree."""
    return [root(leaf_hashes[start:end]) for start, end in inclusion_ranges(index, len(leaf_hashes))]


def consistency_proof(leaf_hashes: Sequence[bytes], size1: int) -> list[bytes]:
    """The proof that this tree began with its first `size1` leaves."""
    return [root(leaf_hashes[start:end]) for start, end in consistency_ranges(size1, len(leaf_hashes))]


def verify_inclusion(leaf_hash: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """See that a leaf stands at `index` in the tree of `size` leaves with this root. Raises InvalidProof (2.1.1)."""
    _require_hashes(leaf_hash, root, *proof)
    if not 0 <= index < size:
        raise InvalidProof("The leaf would not be in the tree.")
    if len(proof) != len(inclusion_ranges(index, size)):
        raise InvalidProof("The proof is not as long as it has to be.")
    computed = leaf_hash
    for (start, _end), sibling in zip(inclusion_ranges(index, size), proof, strict=True):
        computed = node_hash(computed, sibling) if start > index else node_hash(sibling, computed)
    if not hmac.compare_digest(computed, root):
        raise InvalidProof("The proof leads to another root.")


def verify_consistency(size1: int, size2: int, proof: Sequence[bytes], root1: bytes, root2: bytes) -> None:
    """See that the tree with `root2` begins with the whole tree that had `root1`. Raises InvalidProof (2.1.2).

    Nothing can be proved about an empty earlier tree, so `size1 = 0` is refused unless both are empty.
    """
    _require_hashes(root1, root2, *proof)
    if not 0 <= size1 <= size2:
        raise InvalidProof("The earlier tree would be the larger one.")
    if size1 == size2:
        if proof or not hmac.compare_digest(root1, root2):
            raise InvalidProof("Trees of one size are consistent only where their roots are equal.")
        return
    if size1 == 0:
        raise InvalidProof("An empty tree is no evidence of anything.")
    earlier, later = _both_roots(size1, size2, list(proof), root1)
    if not (hmac.compare_digest(earlier, root1) and hmac.compare_digest(later, root2)):
        raise InvalidProof("The proof leads to other roots.")


def _both_roots(size1: int, size2: int, proof: list[bytes], root1: bytes) -> tuple[bytes, bytes]:
    ranges = consistency_ranges(size1, size2)
    if len(proof) != len(ranges):
        raise InvalidProof("The proof is not as long as it has to be.")
    steps: Iterator[tuple[Range, bytes]] = zip(ranges, proof, strict=True)
    if size1 & (size1 - 1):
        _range, seed = next(steps)
    else:
        # The earlier tree is one whole subtree of the later one: its root starts both computations.
        seed = root1
    earlier = later = seed
    for (start, _end), sibling in steps:
        if start >= size1:
            later = node_hash(later, sibling)
        else:
            earlier, later = node_hash(sibling, earlier), node_hash(sibling, later)
    return earlier, later


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1


def _require_hashes(*hashes: bytes) -> None:
    if any(len(value) != HASH_BYTES for value in hashes):
        raise InvalidProof("A hash has 32 bytes.")


class Frontier:
    """The right edge of a growing tree: the roots of its whole subtrees, largest first. O(log n) memory.

    `append` says which whole subtrees a leaf completed, so that whoever stores the tree can keep them.
    """

    __slots__ = ("peaks", "size")

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        if len(peaks) != size.bit_count():
            raise ValueError("The peaks do not belong to a tree of this size.")
        self.size, self.peaks = size, list(peaks)

    def append(self, leaf: bytes) -> list[tuple[int, int, bytes]]:
        """Add a leaf hash; the subtrees that it completed, as (height, index at that height, root)."""
        completed: list[tuple[int, int, bytes]] = []
        current, number, height = leaf, self.size, 0
        while number & 1:
            current = node_hash(self.peaks.pop(), current)
            number, height = number >> 1, height + 1
            completed.append((height, number, current))
        self.peaks.append(current)
        self.size += 1
        return completed

    def root(self) -> bytes:
        """The root of the tree as it stands."""
        if not self.peaks:
            return EMPTY_ROOT
        current = self.peaks[-1]
        for peak in self.peaks[-2::-1]:
            current = node_hash(peak, current)
        return current
