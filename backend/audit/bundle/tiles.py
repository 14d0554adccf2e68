"""A log as tiles (C2SP tlog-tiles): bundles of entries and hash tiles of every level, in the order they fill."""

from collections.abc import Iterable, Iterator
from typing import Final

from backend.audit.merkle import leaf_hash, root
from backend.audit.tree import TILE_WIDTH

Member = tuple[str, bytes]
LENGTH_BYTES: Final = 2


def tiles(leaves: Iterable[bytes]) -> Iterator[Member]:
    """The members of the archive for these leaves, in their order; memory for one tile of each level."""
    growing = _Levels()
    bundle: list[bytes] = []
    number = 0
    for leaf in leaves:
        bundle.append(leaf)
        if len(bundle) == TILE_WIDTH:
            yield f"tile/entries/{numbered(number)}", entry_bundle(bundle)
            yield from growing.add(bundle)
            bundle, number = [], number + 1
    if bundle:
        yield f"tile/entries/{numbered(number, len(bundle))}", entry_bundle(bundle)
        yield from growing.add(bundle)
    yield from growing.rest()


def hash_tiles(prefix: str, hashes: Iterable[bytes]) -> Iterator[Member]:
    """Tiles of level 0 only."""
    tile: list[bytes] = []
    number = 0
    for value in hashes:
        tile.append(value)
        if len(tile) == TILE_WIDTH:
            yield f"{prefix}/{numbered(number)}", b"".join(tile)
            tile, number = [], number + 1
    if tile:
        yield f"{prefix}/{numbered(number, len(tile))}", b"".join(tile)


def entry_bundle(leaves: Iterable[bytes]) -> bytes:
    """Leaves, each behind its length."""
    return b"".join(len(leaf).to_bytes(LENGTH_BYTES, "big") + leaf for leaf in leaves)


def numbered(number: int, width: int = TILE_WIDTH) -> str:
    """The number of a tile as a path: `x001/x234/067`, with `.p/<width>` where the tile is incomplete."""
    groups = [f"{number % 1000:03d}"]
    while number >= 1000:  # noqa: PLR2004 - three digits at a time
        number //= 1000
        groups.append(f"x{number % 1000:03d}")
    path = "/".join(reversed(groups))
    return path if width == TILE_WIDTH else f"{path}.p/{width}"


class _Levels:
    """The tile of each level that is being filled."""

    def __init__(self) -> None:
        self._filling: list[list[bytes]] = [[]]
        self._numbers = [0]

    def add(self, leaves: Iterable[bytes]) -> Iterator[Member]:
        for leaf in leaves:
            self._filling[0].append(leaf_hash(leaf))
        level = 0
        while len(self._filling[level]) == TILE_WIDTH:
            tile = self._filling[level]
            yield f"tile/{level}/{numbered(self._numbers[level])}", b"".join(tile)
            if level + 1 == len(self._filling):
                self._filling.append([])
                self._numbers.append(0)
            self._filling[level + 1].append(root(tile))
            self._filling[level], self._numbers[level] = [], self._numbers[level] + 1
            level += 1

    def rest(self) -> Iterator[Member]:
        for level, tile in enumerate(self._filling):
            if tile:
                yield f"tile/{level}/{numbered(self._numbers[level], len(tile))}", b"".join(tile)
