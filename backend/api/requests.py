"""Gives every request an id, which the answer, the log lines and the audit entries share."""

import re
from collections.abc import Callable
from typing import Final
from uuid import uuid4

from django.http import HttpRequest, HttpResponse

from backend.audit.recording import request_id

HEADER: Final = "X-Request-ID"
GIVEN: Final = re.compile(r"^[0-9a-f]{32}$")


class RequestIdMiddleware:
    """Takes over an id of 32 hexadecimal digits from a proxy, or makes one."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Name the request while it is answered."""
        given = request.headers.get(HEADER, "")
        mine = given if GIVEN.match(given) else uuid4().hex
        token = request_id.set(mine)
        try:
            response = self.get_response(request)
        finally:
            request_id.reset(token)
        response[HEADER] = mine
        return response
