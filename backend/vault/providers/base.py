"""What a key provider does. It wraps and unwraps clinic keys; it is never asked once per record.

The topmost key has epochs, counted from 1. What was wrapped says under which; a new one is begun, everything is wrapped
anew, and the old one is destroyed: after that, copies of what was wrapped under it can be opened by nobody.
"""

from collections.abc import Sequence
from typing import Protocol


class KeysUnavailable(Exception):
    """The topmost key can not be used: the sentence says which file or service, and why."""


class EpochDestroyed(KeysUnavailable):
    """What is to be unwrapped was wrapped under an epoch that was destroyed since."""

    def __init__(self, place: str) -> None:
        super().__init__(
            f"These keys were wrapped under {place} destroyed when the keys were rotated. A copy of the database from "
            "before can not be opened any more: bring back, with manage.py restore, a backup of the data and one of "
            "the keys that is newer than the rotation."
        )


class KeyProvider(Protocol):
    """Wraps clinic keys under a key that never enters the database. `context` is authenticated."""

    name: str

    def wrap(self, key: bytes, *, context: bytes) -> bytes:
        """The key, encrypted under the newest epoch."""
        ...

    def unwrap(self, blob: bytes, *, context: bytes) -> bytes:
        """The key again.

        Raises Tampered for another context, EpochDestroyed, and KeysUnavailable where the provider can not answer.
        """
        ...

    def epoch_of(self, blob: bytes) -> int:
        """Under which epoch something was wrapped. Raises KeysUnavailable where another provider wrapped it."""
        ...

    def epochs(self) -> Sequence[int]:
        """The epochs that are there, ascending; `wrap` wraps under the last. Raises KeysUnavailable."""
        ...

    def begin_epoch(self) -> int:
        """Make a new topmost key, under which everything is wrapped from now on; its number."""
        ...

    def destroy(self, epoch: int) -> None:
        """Destroy one epoch's key and those before it, for good; well if they are gone. Refuses the newest."""
        ...

    def prepare(self, *, has_keys: bool) -> None:
        """At start: make the first epoch where there is none; see that it can be used.

        `has_keys` says that something was wrapped already: then a key that is gone is never made anew. Raises
        KeysUnavailable.
        """
        ...

    def fingerprint(self, epoch: int) -> str:
        """What tells one epoch's key from any other, and tells nothing of it: a short code. Raises KeysUnavailable."""
        ...

    def name_of(self, epoch: int) -> str:
        """What holds one epoch's key, to begin a sentence with: `The key file root.key.2`."""
        ...

    def describe(self) -> str:
        """What holds the topmost key, for a sentence: `The key file root.key`."""
        ...
