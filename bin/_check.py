"""What bin/check runs: every check that needs no running product, one line each, all of them even when one fails.

Arguments name checks to run alone, as they are named in the output: `bin/check lint types`.
"""

import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
PYTHON: Final = sys.executable
BIN: Final = Path(PYTHON).parent
PACKAGES: Final = ("backend", "benchmarks", "demo", "sandbox", "tests")
SHELL_SCRIPTS: Final = ("bin/*", ".ci/run", "deploy/*")


@dataclass(frozen=True)
class Outcome:
    """What a check said: nothing when all is well, else the lines to show."""

    name: str
    complaint: str
    seconds: float


Check = Callable[[Path], str]


def run(command: Sequence[str | Path], environment: dict[str, str] | None = None) -> str:
    """Run a tool in the project's folder; its output when it failed, nothing when it did not."""
    done = subprocess.run(
        command, cwd=ROOT, env=environment, text=True, capture_output=True, check=False, stdin=subprocess.DEVNULL
    )
    return "" if done.returncode == 0 else f"{done.stdout}{done.stderr}".strip() or f"exit code {done.returncode}"


def present_packages() -> list[str]:
    """The folders with Python that are there."""
    return [name for name in PACKAGES if (ROOT / name).is_dir()]


def clean_environment(**settings: str) -> dict[str, str]:
    """The environment of whoever calls, without their settings of Accord."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ACCORD_", "DJANGO_"))}
    return kept | settings


def embedded(folder: Path) -> dict[str, str]:
    """The settings of a machine where nothing was set, with its data in a folder of its own."""
    return clean_environment(ACCORD_DATA_DIR=str(folder))


def production(folder: Path) -> dict[str, str]:
    """The settings of a careful installation. The names are made up and nothing is called."""
    key = folder / "root.key"
    key.write_bytes(secrets.token_bytes(32))
    key.chmod(0o400)
    return clean_environment(
        ACCORD_DATA_DIR=str(folder),
        ACCORD_SECRET_KEY=secrets.token_urlsafe(64),
        ACCORD_PUBLIC_URL="https://accord.example",
        ACCORD_ALLOWED_HOSTS="accord.example",
        ACCORD_DATABASE_URL=f"postgres://accord:{secrets.token_hex(8)}@database.example:5432/accord",
        ACCORD_BROKER_URL="redis://broker.example:6379/0",
        ACCORD_KEY_PROVIDER="file",
        ACCORD_KEY_FILE=str(key),
        ACCORD_EMAIL_URL=f"smtp://accord:{secrets.token_hex(8)}@smtp.example:587?tls=starttls",
        ACCORD_EMAIL_FROM="clinic@accord.example",
        ACCORD_ANCHOR_EMAIL="dpo@accord.example",
    )


def with_vault(folder: Path) -> dict[str, str]:
    """The same, with the topmost key in Vault."""
    return production(folder) | {
        "ACCORD_KEY_PROVIDER": "vault",
        "ACCORD_VAULT_URL": "https://vault.example:8200",
        "ACCORD_VAULT_TOKEN": f"hvs.{secrets.token_hex(12)}",
    }


def manage(*arguments: str, environment: dict[str, str]) -> str:
    """Run one command of manage.py."""
    return run([PYTHON, "manage.py", *arguments], environment)


# -------------------------------------------------------------------------------------------------------- the checks


def check_format(_: Path) -> str:
    """Every Python file looks as the formatter writes it."""
    return run([BIN / "ruff", "format", "--check", "."])


def check_lint(_: Path) -> str:
    """The linter has nothing to say."""
    return run([BIN / "ruff", "check", "--quiet", "--output-format", "concise", "."])


def check_types(_: Path) -> str:
    """The types hold, strictly."""
    return run([PYTHON, "-m", "mypy", "--no-error-summary", *present_packages()], clean_environment())


def check_imports(_: Path) -> str:
    """Imports go downwards only."""
    return run([BIN / "lint-imports"], clean_environment())


def check_shell(_: Path) -> str:
    """The scripts are read by a POSIX shell without complaint; by shellcheck too, where it is installed."""
    scripts = [
        path
        for pattern in SHELL_SCRIPTS
        for path in sorted(ROOT.glob(pattern))
        if path.is_file() and (path.name == "_prepare" or path.read_bytes().startswith(b"#!/bin/sh"))
    ]
    complaints = [run(["sh", "-n", str(path)]) for path in scripts]
    if checker := shutil.which("shellcheck"):
        complaints.append(run([checker, "--exclude", "SC1091", *map(str, scripts)]))
    return "\n".join(filter(None, complaints))


def check_migrations(folder: Path) -> str:
    """The models and their migrations say the same."""
    return manage("makemigrations", "--check", "--dry-run", environment=embedded(folder))


def check_deployment(folder: Path) -> str:
    """Django's deployment checks and ours find nothing in a careful installation."""
    deploy = ("check", "--deploy", "--fail-level", "WARNING")
    return manage(*deploy, environment=production(folder)) or manage(*deploy, environment=with_vault(folder))


def check_guards(folder: Path) -> str:
    """On a database that was just migrated, every guard and constraint is in place."""
    environment = embedded(folder)
    return manage("migrate", "--verbosity", "0", environment=environment) or manage(
        "check", "--database", "default", "--fail-level", "WARNING", environment=environment
    )


def check_openapi(folder: Path) -> str:
    """docs/reference/openapi.json is what the code serves."""
    return manage("openapi", "--check", environment=embedded(folder))


def check_settings_reference(folder: Path) -> str:
    """docs/reference/settings.md lists what the settings read."""
    return manage("settings_reference", "--check", environment=embedded(folder))


def check_compliance(_: Path) -> str:
    """docs/reference/compliance.md says what the tests of the obligations say."""
    return run([PYTHON, "bin/_compliance.py", "--check"])


def check_dockerfile(_: Path) -> str:
    """The Dockerfile follows good practice."""
    return run([BIN / "hadolint", "Dockerfile"])


def _pins(name: str) -> dict[str, str]:
    """The packages that one of the requirements files pins, by their normal name."""
    text = (ROOT / "requirements" / name).read_text("utf-8")
    found = re.findall(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^]]*\])?==([^\s;\\]+)", text, re.MULTILINE)
    return {re.sub(r"[-_.]+", "-", package).lower(): version for package, version in found}


def _not_locked(wanted: str, lock: str) -> Iterable[str]:
    """The pins of one file that another file does not hold."""
    held = _pins(lock)
    for package, version in _pins(wanted).items():
        if held.get(package) != version:
            yield f"{wanted} says {package}=={version}, {lock} says {held.get(package, 'nothing')}"


def _not_pure(lock: str) -> Iterable[str]:
    """What a lock may not hold: an option, an address, a package without hashes."""
    lines = (ROOT / "requirements" / lock).read_text("utf-8").splitlines()
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if "://" in line or re.match(r"\s*--(?!hash=sha256:)", line):
            yield f"{lock} holds an option or an address: {line.strip()}"
        if re.match(r"\S+==", line) and "--hash=sha256:" not in following:
            yield f"{lock} holds no hash for {line}"


def check_lock(_: Path) -> str:
    """The locks hold what the .in files ask for (no network is needed to tell)."""
    complaint = "\n".join(
        [
            *_not_locked("runtime.in", "runtime.txt"),
            *_not_locked("dev.in", "dev.txt"),
            *_not_locked("bench.in", "bench.txt"),
            *_not_locked("runtime.txt", "dev.txt"),
            *_not_locked("runtime.txt", "bench.txt"),
            *_not_pure("runtime.txt"),
            *_not_pure("dev.txt"),
            *_not_pure("bench.txt"),
        ]
    )
    return f"{complaint}\nRun bin/lock." if complaint else ""


def check_tree(_: Path) -> str:
    """No tracked file names an index host or a place on somebody's machine, or is very large."""
    tests = [f"tests/architecture/test_{name}.py" for name in ("tree", "decisions")]
    return run([PYTHON, "-m", "pytest", "-q", "-p", "no:randomly", *tests], clean_environment())


CHECKS: Final[dict[str, Check]] = {
    "types": check_types,
    "format": check_format,
    "lint": check_lint,
    "imports": check_imports,
    "shell": check_shell,
    "migrations": check_migrations,
    "deployment": check_deployment,
    "guards": check_guards,
    "openapi": check_openapi,
    "settings": check_settings_reference,
    "compliance": check_compliance,
    "dockerfile": check_dockerfile,
    "lock": check_lock,
    "tree": check_tree,
}


def carry_out(name: str) -> Outcome:
    """Run one check in a folder of its own, and time it."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="accord-check-") as folder:
        complaint = CHECKS[name](Path(folder))
    return Outcome(name, complaint, time.monotonic() - started)


def main(asked: Sequence[str]) -> int:
    """Run the checks that were asked for, or all, as many at once as there are processors."""
    if unknown := set(asked) - CHECKS.keys():
        print(f"There is no check {', '.join(sorted(unknown))}. There are: {', '.join(CHECKS)}.", file=sys.stderr)
        return 2
    failed = 0
    # The slow one comes first in the table, so that the others run beside it.
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        for outcome in pool.map(carry_out, asked or CHECKS):
            if outcome.complaint:
                failed += 1
                print(f"FAILED  {outcome.name} ({outcome.seconds:.1f} s)")
                print("\n".join(f"    {line}" for line in outcome.complaint.splitlines()))
            else:
                print(f"ok      {outcome.name} ({outcome.seconds:.1f} s)")
            sys.stdout.flush()
    if failed:
        print(f"{failed} of {len(asked or CHECKS)} checks failed.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
