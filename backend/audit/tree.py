"""The stored tree of one log: roots of earlier sizes, and proofs, from the rows that the sequencer wrote."""

from collections import OrderedDict
from typing import Final

from django.db import connections

from backend.audit.merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_ranges,
    inclusion_ranges,
    node_hash,
)
from backend.audit.merkle import root as root_of

TILE_HEIGHT: Final = 8
TILE_WIDTH: Final = 1 << TILE_HEIGHT
TILES_KEPT: Final = 64

# By hand: a proof reads a few hundred rows, and making the query would cost as much as reading them.
_LEAVES: Final = "SELECT idx, h FROM audit_leaf WHERE log_id = %s AND idx >= %s AND idx < %s"
_NODES: Final = "SELECT n, h FROM audit_node WHERE log_id = %s AND lvl = %s AND n >= %s AND n < %s"


class TreeBroken(Exception):
    """Rows of a tree are missing: somebody took them away."""


class StoredTree:
    """Reads one log's tree in tiles of 256 hashes; keeps the last few, so that many proofs share them.

    For sizes that were there when it was made: a tile is read once.
    """

    def __init__(self, log_id: int, *, using: str) -> None:
        self._log_id, self._using = log_id, using
        self._tiles: OrderedDict[tuple[int, int], dict[int, bytes]] = OrderedDict()

    def root(self, size: int) -> bytes:
        """The root that the tree had when it was of this size."""
        return self.subtree(0, size) if size else EMPTY_ROOT

    def peaks(self, size: int) -> list[bytes]:
        """The roots of the whole subtrees of the tree of this size, largest first."""
        return [self._whole(start, height) for start, height in _whole_parts(0, size)]

    def inclusion_proof(self, index: int, size: int) -> list[bytes]:
        """That the leaf at `index` is in the tree of this size."""
        return [self.subtree(*part) for part in inclusion_ranges(index, size)]

    def consistency_proof(self, size1: int, size2: int) -> list[bytes]:
        """That the tree of size 2 begins with the tree of size 1."""
        return [self.subtree(*part) for part in consistency_ranges(size1, size2)]

    def subtree(self, start: int, end: int) -> bytes:
        """The root of a range of leaves, as ranges occur in proofs. Raises TreeBroken."""
        roots = [self._whole(first, height) for first, height in _whole_parts(start, end)]
        current = roots[-1]
        for peak in roots[-2::-1]:
            current = node_hash(peak, current)
        return current

    def _whole(self, start: int, height: int) -> bytes:
        level, added = divmod(height, TILE_HEIGHT)
        number = start >> (level * TILE_HEIGHT)
        hashes = self._tile(level, number // TILE_WIDTH)
        try:
            return root_of([hashes[at] for at in range(number, number + (1 << added))])
        except KeyError as error:
            raise TreeBroken from error

    def _tile(self, level: int, number: int) -> dict[int, bytes]:
        held = self._tiles.get((level, number))
        if held is not None:
            self._tiles.move_to_end((level, number))
            return held
        first = number * TILE_WIDTH
        with connections[self._using].cursor() as cursor:
            if level == 0:
                cursor.execute(_LEAVES, [self._log_id, first, first + TILE_WIDTH])
            else:
                cursor.execute(_NODES, [self._log_id, level, first, first + TILE_WIDTH])
            hashes = {at: bytes(value) for at, value in cursor.fetchall()}
        self._tiles[level, number] = hashes
        while len(self._tiles) > TILES_KEPT:
            self._tiles.popitem(last=False)
        return hashes


def frontier_of(tree: StoredTree, size: int) -> Frontier:
    """The edge from which a tree of this size grows on."""
    return Frontier(size, tree.peaks(size))


def _whole_parts(start: int, end: int) -> list[tuple[int, int]]:
    """A range of leaves as whole subtrees from the left, each (first leaf, height)."""
    parts: list[tuple[int, int]] = []
    while start < end:
        height = (end - start).bit_length() - 1
        if start:
            # A subtree stands on a multiple of its own width.
            height = min(height, (start & -start).bit_length() - 1)
        parts.append((start, height))
        start += 1 << height
    return parts
