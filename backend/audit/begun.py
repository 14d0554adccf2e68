"""Which topmost key was begun last, by the log: so that no machine takes another one, made there, for it.

Between `rotate_keys --begin` and the second step nothing is wrapped under the new key yet: only the entry tells which
key it is. A machine that lacks it, and made one of its own, would destroy the old key and leave the backed-up one to
open nothing.
"""

from dataclasses import dataclass
from typing import Final

from django.db import connection

from backend.audit.actions import Action
from backend.audit.leaf import open_part, parse_leaf
from backend.audit.models import AuditEntry, AuditLog
from backend.vault.ciphers import Tampered
from backend.vault.keyring import SYSTEM, KeyDestroyed, KeyUnavailable, keyring

HEADER: Final = b'"a":"' + Action.PROVIDER_EPOCH_BEGUN.spec.code.encode() + b'"'


class AnotherTopmostKey(Exception):
    """The topmost key that was begun is not on this machine; the sentence says what to bring."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A topmost key, as its entry pins it."""

    epoch: int
    # None in entries of earlier versions.
    fingerprint: str | None


def last_begun() -> Begun | None:
    """The topmost key that was begun last with the provider that is set; None where the log tells of none."""
    provider = keyring().provider
    logs = AuditLog.objects.filter(clinic_id=SYSTEM).values_list("id", flat=True)
    holds = "position(%s::bytea in leaf) > 0" if connection.vendor == "postgresql" else "instr(leaf, %s) > 0"
    entries = AuditEntry.objects.filter(log_id__in=list(logs)).extra(where=[holds], params=[HEADER])  # noqa: S610 - our own words
    for entry in entries.order_by("-seq"):
        leaf = parse_leaf(bytes(entry.leaf))
        try:
            told = open_part(leaf, 0, keyring().by_id(leaf.parts[0].key_id)).get("d")
        except (KeyDestroyed, KeyUnavailable, Tampered):
            continue
        if isinstance(told, dict) and told.get("provider") == provider.name:
            fingerprint = told.get("fingerprint")
            return Begun(int(str(told["epoch"])), None if fingerprint is None else str(fingerprint))
    return None


def require_begun_key(*, used: int, may_be_lost: bool) -> None:
    """Is the topmost key here that was begun last, and that keys are wrapped under already (epoch `used`)?

    `may_be_lost`: one that was begun, and that nothing is wrapped under, may be missing. Raises AnotherTopmostKey.
    """
    provider = keyring().provider
    newest = provider.epochs()[-1]
    if used > newest:
        raise AnotherTopmostKey(
            f"Keys are wrapped under {_within(provider.name_of(used))}, which is not on this machine: bring it from "
            "the machine that made it, or from its backup. Another one would open nothing of theirs."
        )
    begun = last_begun()
    if begun is None:
        return
    if begun.epoch > newest and not may_be_lost:
        raise AnotherTopmostKey(
            f"{provider.name_of(begun.epoch)} was begun, and is not on this machine: bring it from the machine that "
            "made it, or from its backup. Only if it is lost everywhere: rotate_keys --begin --again makes another."
        )
    if begun.epoch in provider.epochs() and begun.fingerprint not in {None, provider.fingerprint(begun.epoch)}:
        raise AnotherTopmostKey(
            f"{provider.name_of(begun.epoch)} is another key on this machine than the one that was begun (fingerprint "
            f"{begun.fingerprint}): put that one in its place, from the machine that made it or from its backup."
        )


def _within(name: str) -> str:
    """The same name, within a sentence."""
    return name[:1].lower() + name[1:]
