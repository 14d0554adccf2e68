"""Is this process of use? Asked by whatever starts, stops and balances processes; says nothing else."""

from http import HTTPStatus

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponseBase, JsonResponse

from backend import clock
from backend.api.problems import answer
from backend.audit.watching import log_keeps_up
from backend.vault.ciphers import Tampered
from backend.vault.keyring import SYSTEM, KeyDestroyed, Keyring, KeyUnavailable, Scope, keyring
from backend.vault.providers import KeysUnavailable


def health(request: HttpRequest) -> HttpResponseBase:
    """200 when the database answers, is up to date, and its keys open; else 503. Needs no token and no https."""
    if request.method not in {"GET", "HEAD"}:
        response = answer(request, HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed")
        response["Allow"] = "GET, HEAD"
        return response
    reachable = _is_reachable()
    up_to_date = reachable and _is_up_to_date()
    keys_open = up_to_date and _keys_open()
    found = {
        "status": "ok" if keys_open else "unavailable",
        "database": reachable,
        "migrations": up_to_date,
        "keys": keys_open,
        # A log that lags behind needs a worker, not another web process: it is told, and stops nothing.
        "log": keys_open and _log_keeps_up(),
    }
    status = HTTPStatus.OK if keys_open else HTTPStatus.SERVICE_UNAVAILABLE
    response = JsonResponse(found, status=status)
    response["Cache-Control"] = "no-store"
    return response


def _is_reachable() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            return bool(cursor.fetchone() == (1,))
    except DatabaseError:
        return False


def _is_up_to_date() -> bool:
    try:
        executor = MigrationExecutor(connection)
        return not executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError:
        return False


def _log_keeps_up() -> bool:
    try:
        return log_keeps_up(now=clock.now())
    except DatabaseError:
        return False


def _keys_open() -> bool:
    # Without what the process remembers: a database that was restored beside another key file is found out.
    fresh = Keyring(provider=keyring().provider, store=keyring().store)
    try:
        fresh.current(clinic_id=SYSTEM, scope=Scope.WRITER_MAC)
    except (KeysUnavailable, KeyUnavailable, KeyDestroyed, Tampered, DatabaseError):
        return False
    return True
