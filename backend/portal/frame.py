"""What every page needs that patients reach without signing in: see templates/portal/public.html."""

from collections.abc import Callable
from typing import Any, Final

from backend.policy.vocabulary import Language
from backend.portal.start import NAMES

NO_BREAK: Final = "\N{NO-BREAK SPACE}"


def in_place(language: Language) -> str:
    """The same address in another language."""
    return f"?language={language.value}"


def framed(
    language: Language,
    *,
    title: str,
    clinic: str = "",
    telephone: str = "",
    address: Callable[[Language], str] = in_place,
) -> dict[str, Any]:
    """The values of the frame; `clinic` is empty where none may be named."""
    return {
        "language": language.value,
        "title": title,
        "clinic": clinic,
        "telephone": telephone.replace(" ", NO_BREAK),
        "languages": [
            {"code": one.value, "name": NAMES[one], "is_this": one is language, "address": address(one)}
            for one in Language
        ],
    }
