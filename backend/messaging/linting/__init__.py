"""Reads what staff write before a patient does: what is wrong in a template, where, and what would put it right.

Rules only: no row, no clock, no network. A finding refuses (it can not be published so) or warns.
"""

from backend.messaging.linting.findings import Code, Finding, Severity
from backend.messaging.linting.reader import Around, lint

__all__ = ["Around", "Code", "Finding", "Severity", "lint"]
