"""Short names of what a clinic sets up: they stand in addresses and, as codes, in the log."""

import re
from typing import Final

from backend.errors import InvalidInput

SLUG: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,59}")


def checked_slug(slug: str, *, field: str = "slug") -> str:
    """The short name, if it is one. Raises InvalidInput: the log takes small letters, digits, - and _ only."""
    if not SLUG.fullmatch(slug):
        raise InvalidInput("A short name has up to 60 small letters, digits, - and _.", field=field)
    return slug
