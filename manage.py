#!/usr/bin/env python
"""Accord's commands: `manage.py help` lists them."""

import os
import sys


def main() -> int:
    """Run one command. What a setting is refused for is told in its sentence, with exit code 2."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backend.config.settings")
    try:
        from django.core.management import execute_from_command_line  # noqa: PLC0415 - settings must be named first
    except ModuleNotFoundError:
        return _refuse("The packages are not here: run bin/serve or bin/test once, or use .venv/bin/python manage.py.")
    from backend.config.env import SettingRefused  # noqa: PLC0415 - beside the packages

    try:
        execute_from_command_line(sys.argv)
    except SettingRefused as refused:
        return _refuse(str(refused))
    except KeyboardInterrupt:
        _refuse("Stopped.")
        return 130
    return 0


def _refuse(sentence: str) -> int:
    sys.stderr.write(f"{sentence}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())
