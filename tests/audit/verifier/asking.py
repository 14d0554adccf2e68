"""Ask the verifier as its command line does, in this process."""

import contextlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.audit import verifier


@dataclass(frozen=True, slots=True)
class Answer:
    """Exit code, JSON document, and what was written beside it."""

    code: int
    document: dict[str, Any]
    errors: str

    @property
    def findings(self) -> set[str]:
        return {finding["code"] for finding in self.document["findings"]}

    @property
    def first_wrong(self) -> tuple[int, str | None]:
        """The first entry that is named as wrong, and its id."""
        named = [one for one in self.document["findings"] if one["entry"] is not None]
        first = min(named, key=lambda one: one["entry"])
        return first["entry"], first["id"]


class Desk:
    """A folder in which bundles are verified."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, name: str, content: bytes) -> str:
        """A file in the folder; its path."""
        path = self.folder / name
        path.write_bytes(content)
        return str(path)

    def ask(
        self,
        bundle: bytes,
        *,
        pins: Mapping[str, bytes] | None = None,
        keys: bytes | None = None,
        messages: bool = False,
    ) -> Answer:
        """The answer about a bundle."""
        options = [self.put("bundle.zip", bundle), "--json"]
        for name, content in (pins or {}).items():
            options += ["--checkpoint", self.put(name, content)]
        if keys is not None:
            options += ["--keys", self.put("dpo.pem", keys)]
        return self.run(*options, *(["--messages"] if messages else []))

    def run(self, *options: str) -> Answer:
        """The answer to any command line."""
        code, out, errors = self.say(*options)
        return Answer(code, json.loads(out), errors)

    def say(self, *options: str) -> tuple[int, str, str]:
        """Exit code, standard output and standard error of any command line."""
        out, errors = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
            code = verifier.main(list(options))
        return code, out.getvalue(), errors.getvalue()
