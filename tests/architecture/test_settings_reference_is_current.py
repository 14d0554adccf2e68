"""docs/reference/settings.md lists what the settings read."""

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError


def test_the_list_that_is_written_is_what_the_settings_read() -> None:
    call_command("settings_reference", "--check")


def test_a_list_that_is_old_is_told_with_a_hint(settings, tmp_path) -> None:
    settings.BASE_DIR = tmp_path

    with pytest.raises(CommandError, match=r"manage\.py settings_reference"):
        call_command("settings_reference", "--check")
