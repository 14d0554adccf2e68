"""The chapters about the log: a checkpoint is kept, the log is verified elsewhere, and tampering with it is found."""

import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from django.conf import settings

from backend import clock
from backend.audit.actions import Action
from backend.audit.sequencing import sequence_all
from backend.audit.tree_check import check_trees
from backend.audit.verification import LogCheck, check_entries, stored_entries
from demo.cast import Cast
from demo.client import Client
from demo.officer import VALID, VERIFIER, Officer, ask_verifier, hear_verifier
from demo.tampering import Victim, change_entry, delete_entry, find_victim, flip_bundle, roll_back
from demo.telling import Telling

SHOWN: Final = 12
SHOWN_MESSAGES: Final = 4


@dataclass(slots=True)
class Proving:
    """What the log of this story was put to, and what came of it."""

    telling: Telling
    cast: Cast
    officer: Officer
    victim: Victim = field(init=False)
    kept_size: int = 0
    log: LogCheck = field(default_factory=LogCheck)
    size: int = 0
    verified: bool = False
    tampering_found: bool = False

    @classmethod
    def begin(cls, telling: Telling, cast: Cast, base_url: str) -> "Proving":
        """Before the patient withdraws: the log so far is exported. It comes back in the end."""
        folder = Path(settings.ACCORD_DATA_DIR) / "officer"
        officer = Officer(folder, Client(base_url, cast.dpo_token), cast.slug)
        officer.export_early()
        return cls(telling, cast, officer)

    def keep_checkpoint(self) -> None:
        """The log is signed, and the checkpoint put where this installation can not reach it."""
        say = self.telling
        say.chapter("The data protection officer keeps a checkpoint of the log")
        sequence_all(now=clock.now())
        kept = self.officer.keep_checkpoint()
        self.kept_size = kept["size"]
        self.victim = find_victim(self.cast.clinic_id, Action.CONSENT_WITHDRAWN)
        say.say(
            "The log so far is a tree of hashes. Its size and its root stand for every entry in it, and are signed "
            "(every two seconds, while Accord is served). The officer keeps this checkpoint out of our reach, here in "
            "a folder of its own: change, remove or move one of these entries, and the root is another."
        )
        say.table([["entries", str(kept["size"])], ["root", kept["root_hash"]]])
        say.expect(
            self.victim.place.index < self.kept_size,
            f"the withdrawal, entry {self.victim.place.index}, is among them",
        )

    def verify(self, *, sent: set[UUID]) -> None:
        """The log is exported and verified elsewhere; `sent` are the messages that programmes sent."""
        say = self.telling
        say.chapter("The log is handed over, and verified elsewhere")
        self.officer.export()
        self.log, trees = check_entries(stored_entries()), check_trees()
        say.table([[code, str(count)] for code, count in self.log.actions.most_common(SHOWN)])
        is_whole = self.log.holds and trees.holds and (trees.entries, trees.waiting) == (self.log.entries, 0)
        say.expect(
            is_whole,
            f"all {self.log.entries} entries, the system's own included, are as they were written and in place",
        )
        say.say(
            "That is what we say ourselves. So the officer has the log exported as one file, with the keys of its "
            "entries sealed for a key pair made just now (for real, on the officer's own machine), and runs the "
            "verifier on it: one file of Python, in an empty folder, without our code, database or keys."
        )
        say.command("python verifier.py log.zip --checkpoint checkpoint --keys private-key.pem")
        said, verdict = hear_verifier(*self.officer.arguments), ask_verifier(*self.officer.arguments)
        for line in said:
            say.quote(line)
        self.size = verdict.document["size"]
        is_valid = verdict.exit_code == VALID and any(line.startswith("VALID:") for line in said)
        say.expect(is_valid, "valid, by the file and the kept checkpoint alone")
        has_consents = self._tell_consents(verdict.document["messages"], sent)
        self.verified = is_whole and is_valid and has_consents

    def _tell_consents(self, messages: dict[str, Any], sent: set[UUID]) -> bool:
        say = self.telling
        permitted = [one for one in messages["permitted"] if one["consent_entry"] is not None]
        say.say("Asked for each message (--messages), it names the consent that permitted it:")
        say.table(
            [
                self.cast.person(UUID(one["patient"])).name,
                f"{one['purpose']} by {one['channel']}",
                f"entry {one['entry']}, permitted by entry {one['consent_entry']}",
            ]
            for one in permitted[:SHOWN_MESSAGES]
        )
        more = len(permitted) - SHOWN_MESSAGES
        if more > 0:
            say.say(f"... and {more} more.")
        codes = sum(messages["closed_list"].values())
        if codes:
            say.say(f"The {codes} others are the one-time codes of chapter 2: to check an address needs no consent.")
        holds = {UUID(one["message"]) for one in permitted} == sent
        say.expect(holds, f"every message that left had its consent before, {len(sent)} of {len(permitted)}")
        return holds

    def tamper(self) -> None:
        """Four ways to rewrite the past."""
        say = self.telling
        say.chapter("Whoever rewrites the past is found")
        say.say(
            "Suppose that somebody who can write to our database and files wants the withdrawal, entry "
            f"{self.victim.place.index}, never to have happened. Each way is tried on a copy:"
        )
        attempts = [
            change_entry(self.victim),
            delete_entry(self.victim),
            flip_bundle(self.victim, self.officer),
            roll_back(self.officer),
        ]
        for attempt in attempts:
            say.expect(attempt.found, f"{attempt.tried}: found")
            say.quote(attempt.told)
        self.tampering_found = all(attempt.found for attempt in attempts)

    def report(self) -> dict[str, Any]:
        """For the report: how often each action was taken, and what came of the log."""
        return {
            **self.log.actions,
            "verified": self.verified,
            "tampering_found": self.tampering_found,
            "bundle": str(self.officer.bundle),
            "bundle_size": self.size,
            "checkpoint": str(self.officer.checkpoint),
            "checkpoint_size": self.kept_size,
            "keys": str(self.officer.private_key),
        }

    def end(self) -> None:
        """How to verify the log oneself."""
        bundle, checkpoint, keys = map(
            _from_here, (self.officer.bundle, self.officer.checkpoint, self.officer.private_key)
        )
        self.telling.say(
            f"The exported log, the kept checkpoint and the key are in {_from_here(self.officer.folder)}. "
            "Verify it yourself:"
        )
        self.telling.command(
            f"{_from_here(Path(sys.executable))} {_from_here(VERIFIER)} {bundle}",
            f"--checkpoint {checkpoint}",
            f"--keys {keys} --messages",
        )


def _from_here(path: Path) -> str:
    """As somebody types it who stands where this was started."""
    here = Path.cwd()
    return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))
