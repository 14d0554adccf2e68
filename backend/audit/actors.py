"""Who acts. The log's clear header names an actor by a pseudonym only."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class ActorKind(StrEnum):
    """What kind of actor it is."""

    STAFF = "staff"
    DPO = "dpo"
    PATIENT = "patient"
    REPRESENTATIVE = "representative"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who does something. `pseudonym` is random, and stands for a member of staff in the clear header.

    A patient is named in the encrypted part only: the header says no more than `p` or `r`.
    """

    kind: ActorKind
    id: UUID | None = None
    pseudonym: str = ""

    @property
    def header(self) -> str:
        """How the clear header of an entry names this actor."""
        match self.kind:
            case ActorKind.STAFF | ActorKind.DPO:
                return f"u:{self.pseudonym}"
            case ActorKind.PATIENT:
                return "p"
            case ActorKind.REPRESENTATIVE:
                return "r"
            case ActorKind.SYSTEM:
                return f"svc:{self.pseudonym}" if self.pseudonym else "sys"


def system_actor(service: str = "") -> Actor:
    """Accord itself, optionally which of its services."""
    return Actor(kind=ActorKind.SYSTEM, pseudonym=service)
