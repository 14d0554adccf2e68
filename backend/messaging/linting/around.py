"""What a template belongs to."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from backend.policy.vocabulary import Channel, Language, Nature


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What its purpose is for, by which channels, and what Accord adds to each message.

    `way_out` is the line that an SMS gets; `clinic_names` are the discreet name and the full one; `hosts` are ours.
    """

    nature: Nature
    channels: tuple[Channel, ...] = ()
    hosts: frozenset[str] = frozenset()
    way_out: Mapping[Language, str] = field(default_factory=dict)
    clinic_names: tuple[str, ...] = ()

    @property
    def requires_consent(self) -> bool:
        """All but the closed list."""
        return self.nature is not Nature.CLOSED_LIST
