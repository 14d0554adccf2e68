"""The data protection officer: keeps a checkpoint of the log, has the log handed over, and verifies it elsewhere."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from backend.config import env
from demo.client import Client

VERIFIER: Final = env.BASE_DIR / "backend" / "audit" / "verifier.py"
SECONDS: Final = 120
VALID: Final = 0
INVALID: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the verifier answered about a bundle."""

    exit_code: int
    document: dict[str, Any]

    @property
    def first_finding(self) -> str:
        """What it says is wrong first; empty where nothing is."""
        return next((str(finding["sentence"]) for finding in self.document["findings"]), "")


class Officer:
    """One officer, with a folder of their own; it is private, as the key in it has to be."""

    def __init__(self, folder: Path, client: Client, slug: str) -> None:
        self._client, self._log = client, f"/clinics/{slug}/audit"
        self.folder = folder
        self.private_key = folder / "private-key.pem"
        self.checkpoint = folder / "checkpoint"
        self.bundle = folder / "log.zip"
        self.earlier_bundle = folder / "before-the-withdrawal.zip"
        folder.mkdir(mode=0o700)

    def export_early(self) -> None:
        """Have the log handed over as it is now, its entries closed."""
        self.earlier_bundle.write_bytes(self._client.download(f"{self._log}/export", {}))

    def keep_checkpoint(self) -> dict[str, Any]:
        """Ask for the newest checkpoint and put it away; what was answered."""
        answer: dict[str, Any] = self._client.get(f"{self._log}/checkpoint")
        self.checkpoint.write_text(answer["note"], encoding="utf-8")
        return answer

    def export(self) -> None:
        """Make a key pair, and have the log handed over with the keys of its entries for that pair alone."""
        private = X25519PrivateKey.generate()
        pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        with os.fdopen(os.open(self.private_key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "wb") as file:
            file.write(pem)
        public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        self.bundle.write_bytes(self._client.download(f"{self._log}/export", {"dpo_key": public.decode()}))

    @property
    def arguments(self) -> list[str | Path]:
        """What the verifier is given to verify all that can be verified."""
        return [self.bundle, "--checkpoint", self.checkpoint, "--keys", self.private_key]


def ask_verifier(*arguments: str | Path) -> Verdict:
    """What the verifier answers about these files: with the private key, every message and its consent included."""
    ended = _run([*arguments, *(["--messages"] if "--keys" in arguments else []), "--json"])
    return Verdict(exit_code=ended.returncode, document=json.loads(ended.stdout))


def hear_verifier(*arguments: str | Path) -> list[str]:
    """What the verifier says to people about these files."""
    return _run(arguments).stdout.splitlines()


def _run(arguments: Sequence[str | Path]) -> "subprocess.CompletedProcess[str]":
    """Run it as a program of its own, on copies of these files in a folder with nothing else in it."""
    with tempfile.TemporaryDirectory() as elsewhere:
        for one in (VERIFIER, *arguments):
            if isinstance(one, Path):
                shutil.copy(one, elsewhere)
        # -I, and no environment: nothing of this project, and no setting, is at hand there.
        command = [
            sys.executable,
            "-I",
            *(one.name if isinstance(one, Path) else one for one in (VERIFIER, *arguments)),
        ]
        return subprocess.run(  # noqa: S603 - our own file
            command, cwd=elsewhere, env={}, capture_output=True, encoding="utf-8", timeout=SECONDS, check=False
        )
