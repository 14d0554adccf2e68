"""The same request twice does what it does once: a client that lost the answer asks again with the same key.

After draft-ietf-httpapi-idempotency-key-header: the same key with another body is 422, while the first request still
runs 409. Kept for 24 hours. Only answers of success are kept: what was refused may be asked again.
"""

import functools
import hashlib
import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final

import orjson
from django.db import IntegrityError, transaction
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from backend import clock
from backend.accounts.queries import Bearer
from backend.api.endpoints import Endpoint
from backend.api.languages import said
from backend.api.models import IdempotencyKey
from backend.errors import DomainError
from backend.vault.blind import Indexed, blind_index

HEADER: Final = "Idempotency-Key"
KEPT: Final = timedelta(hours=24)
# Longer than any request runs: what is still open then was cut off, and may be done again.
CUT_OFF: Final = timedelta(minutes=2)
FORM: Final = re.compile(r"[\x21-\x7e]{1,255}")
FORGOTTEN_AT_ONCE: Final = 100

Post = Callable[..., Response]


class IdempotencyKeyReused(DomainError):
    """The key was used for another request."""

    code = "idempotency_key_reused"
    sentence = "This idempotency key was used for another request."
    status = 422


class IdempotencyKeyInUse(DomainError):
    """The first request with this key has not been answered yet."""

    code = "idempotency_key_in_use"
    sentence = "The first request with this key is still running."


def idempotent(post: Post) -> Post:
    """Make a POST answer a repeated request as it answered the first one, where the client sends a key."""

    @functools.wraps(post)
    def wrapped(view: Endpoint, request: Request, *args: Any, **kwargs: Any) -> Response:
        key = request.headers.get(HEADER)
        if key is None:
            return post(view, request, *args, **kwargs)
        if not FORM.fullmatch(key):
            detail = serializers.ErrorDetail(said("idempotency_key"), code="invalid")
            raise serializers.ValidationError({HEADER: [detail]})
        now = clock.now()
        row, is_first = _claim(view.bearer, key, _fingerprint(view.bearer, request), now)
        if not is_first:
            return _replay(row)
        try:
            response = post(view, request, *args, **kwargs)
        except BaseException:
            row.delete()
            raise
        _keep(row, response)
        return response

    wrapped.takes_idempotency_key = True  # type: ignore[attr-defined] # read by the description of the API
    return wrapped


def _fingerprint(bearer: Bearer, request: Request) -> bytes:
    # Not by orjson: a body may hold whole numbers of any size until a field refuses them.
    content = json.dumps([request.method, request.path, request.data], sort_keys=True).encode()
    # Keyed: a plain hash of a body with a telephone number in it is quickly guessed.
    return blind_index(Indexed.SOURCE, hashlib.sha256(content).hexdigest(), clinic_id=bearer.clinic_id)


def _claim(bearer: Bearer, key: str, fingerprint: bytes, now: datetime) -> tuple[IdempotencyKey, bool]:
    """The row of this key, and whether this request is the one that has to do the work."""
    holder = bearer.representative_id or bearer.patient_id or bearer.account_id
    digest = hashlib.sha256(f"{bearer.clinic_id}|{holder}|{key}".encode()).digest()
    _forget_old(now)
    fresh = IdempotencyKey(clinic_id=bearer.clinic_id, key_digest=digest, fingerprint=fingerprint, created_at=now)
    try:
        with transaction.atomic():
            fresh.save(force_insert=True)
    except IntegrityError:
        pass
    else:
        return fresh, True
    row = IdempotencyKey.objects.filter(key_digest=digest).first()
    if row is None:
        raise IdempotencyKeyInUse
    if bytes(row.fingerprint) != fingerprint:
        raise IdempotencyKeyReused
    if row.status is None:
        taken_over = IdempotencyKey.objects.filter(id=row.id, status=None, created_at__lt=now - CUT_OFF)
        if not taken_over.update(created_at=now):
            raise IdempotencyKeyInUse
        return row, True
    return row, False


def _forget_old(now: datetime) -> None:
    old = IdempotencyKey.objects.filter(created_at__lt=now - KEPT).values_list("id", flat=True)[:FORGOTTEN_AT_ONCE]
    if ids := list(old):
        IdempotencyKey.objects.filter(id__in=ids).delete()


def _keep(row: IdempotencyKey, response: Response) -> None:
    answer: Any = orjson.loads(orjson.dumps(response.data, default=str))
    IdempotencyKey.objects.filter(id=row.id).update(
        status=response.status_code, answer=answer, location=response.headers.get("Location", "")
    )


def _replay(row: IdempotencyKey) -> Response:
    headers = {"Idempotency-Replayed": "true"}
    if row.location:
        headers["Location"] = row.location
    return Response(row.answer, status=row.status or HTTPStatus.OK, headers=headers)
