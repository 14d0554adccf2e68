"""Which language sentences are in: `?language=` first, then `Accept-Language`."""

from django.utils import translation
from rest_framework import serializers
from rest_framework.request import Request

from backend.policy.vocabulary import Language


def spoken_language() -> Language:
    """The language of this request, as the middleware or `choose_language` found it."""
    active = (translation.get_language() or "")[:2]
    return Language.ENGLISH if active == Language.ENGLISH else Language.FRENCH


def choose_language(request: Request) -> None:
    """Let `?language=` win over the header. Raises ValidationError for a language that there is not."""
    asked = request.query_params.get("language")
    if asked is None:
        return
    if asked not in set(Language):
        raise serializers.ValidationError({"language": ["fr | en"]}, code="invalid_choice")
    translation.activate(asked)
