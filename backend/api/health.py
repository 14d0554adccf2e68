"""Is this process of use? Asked by whatever starts, stops and balances processes; says nothing else."""

from http import HTTPStatus

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponseBase, JsonResponse

from backend.api.problems import answer


def health(request: HttpRequest) -> HttpResponseBase:
    """200 when the database answers and is up to date, else 503. Needs no token and no https."""
    if request.method not in {"GET", "HEAD"}:
        response = answer(request, HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed")
        response["Allow"] = "GET, HEAD"
        return response
    reachable = _is_reachable()
    up_to_date = reachable and _is_up_to_date()
    found = {"status": "ok" if up_to_date else "unavailable", "database": reachable, "migrations": up_to_date}
    status = HTTPStatus.OK if up_to_date else HTTPStatus.SERVICE_UNAVAILABLE
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
