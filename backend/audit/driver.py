"""Statements that go straight to the driver, where Django's cursor costs more than what they do.

Whoever listens to the statements that Django sends (a test that counts them, a debugging page) hears these too.
"""

from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Any, Final

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

POSTGRESQL: Final = "postgresql"


def is_watched(connection: BaseDatabaseWrapper) -> bool:
    """Does somebody count or change the statements that Django sends?"""
    return connection.queries_logged or bool(connection.execute_wrappers)


def rows_of(connection: BaseDatabaseWrapper, statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Run a statement on PostgreSQL, prepared, and hand out the rows it gives back.

    Prepared: the server takes longer to plan it than to carry it out; and lists travel as arrays, in binary.
    """
    connection.validate_no_broken_transaction()
    if is_watched(connection):
        with connection.cursor() as watched:
            watched.execute(statement, values)
            heard: list[tuple[Any, ...]] = watched.fetchall()
            return heard
    from psycopg import Cursor  # noqa: PLC0415 - slow to load, and SQLite never needs it

    connection.ensure_connection()
    with connection.wrap_database_errors, Cursor(connection.connection) as cursor:
        return cursor.execute(statement, values, prepare=True).fetchall()


def update_rows(
    connection: BaseDatabaseWrapper,
    model: type[models.Model],
    *,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    only_if: str = "",
) -> None:
    """Give many rows values of their own with one statement. Each row is its id, and a value for each column.

    `only_if` is a condition in our own words, in which `t` is the table.
    """
    meta = model._meta  # noqa: SLF001 - Django's public-by-convention name
    fields: list[Any] = [meta.pk, *(meta.get_field(name) for name in columns)]
    given = [
        [field.get_db_prep_save(value, connection) for field, value in zip(fields, row, strict=True)] for row in rows
    ]
    if not given:
        return
    names: list[str] = [field.column for field in fields]
    also = f" AND {only_if}" if only_if else ""
    if connection.vendor == POSTGRESQL:
        arrays, casts = zip(*(_array_of(field.db_type(connection)) for field in fields), strict=True)
        settings = ", ".join(f"{name} = v.{name}{cast}" for name, cast in zip(names[1:], casts[1:], strict=True))
        statement = (
            f"UPDATE {meta.db_table} AS t SET {settings} "  # noqa: S608 - our own words
            f"FROM unnest({', '.join(arrays)}) AS v({', '.join(names)}) WHERE t.{names[0]} = v.{names[0]}{also} "
            "RETURNING 1"
        )
        lists = [[_plain(value) for value in column] for column in zip(*given, strict=True)]
        rows_of(connection, statement, lists)
        return
    settings = ", ".join(f"{name} = %s" for name in names[1:])
    with connection.cursor() as cursor:
        cursor.executemany(
            f"UPDATE {meta.db_table} AS t SET {settings} WHERE {names[0]} = %s{also}",  # noqa: S608 - our own words
            [[*row[1:], row[0]] for row in given],
        )


def _array_of(column_type: str) -> tuple[str, str]:
    """How a column of this type travels: as which array, and what each of its values is then taken for."""
    base = column_type.partition("(")[0]
    if base in {"varchar", "text"}:
        return "%s::text[]", ""
    if base == "jsonb":
        return "%s::text[]", "::jsonb"
    return f"%s::{base}[]", ""


def _plain(value: Any) -> Any:
    """As the driver takes it in an array: a code without its enumeration, JSON as the text it stands for."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, bytes):
        return bytes(value)
    if hasattr(value, "obj") and hasattr(value, "dumps"):
        return value.dumps(value.obj)
    return value
