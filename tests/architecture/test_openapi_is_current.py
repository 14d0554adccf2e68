"""docs/reference/openapi.json is what the code serves."""

import json
from io import StringIO

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from backend.api.urls import urlpatterns
from backend.config.management.commands import openapi


def test_the_description_that_is_written_is_the_one_that_is_served() -> None:
    call_command("openapi", "--check")


def test_a_description_that_is_old_is_told_with_a_hint(settings, tmp_path) -> None:
    settings.BASE_DIR = tmp_path

    with pytest.raises(CommandError, match=r"manage\.py openapi"):
        call_command("openapi", "--check")
    call_command("openapi", stdout=StringIO())
    call_command("openapi", "--check")


def test_every_operation_says_who_may_ask_and_how_it_refuses() -> None:
    described = json.loads(openapi.described())
    routes = urlpatterns

    assert described["openapi"] == "3.1.1"
    assert len(described["paths"]) == len(routes)
    assert "nullable" not in json.dumps(described)
    identifiers = []
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            where = f"{method} {path}"
            identifiers.append(operation["operationId"])
            assert operation["security"] == [{"bearer": []}], where
            assert operation["summary"], where
            assert len(operation["tags"]) == 1, where
            assert {"401", "403", "404", "429"} <= operation["responses"].keys(), where
            for status, answer in operation["responses"].items():
                assert answer["description"], where
                if status >= "400":
                    assert list(answer["content"]) == ["application/problem+json"], where
    assert len(set(identifiers)) == len(identifiers)
