"""Which language sentences are in: `?language=` first, then `Accept-Language`."""

from collections.abc import Iterable

from django.utils import translation
from rest_framework import serializers
from rest_framework.request import Request

from backend.api.sentences import field_sentence
from backend.policy.vocabulary import Language


def spoken_language() -> Language:
    """The language of this request, as the middleware or `choose_language` found it."""
    active = (translation.get_language() or "")[:2]
    return Language.ENGLISH if active == Language.ENGLISH else Language.FRENCH


def said(key: str, words: Iterable[str] = ()) -> str:
    """What is wrong with one value, in the language of this request."""
    return field_sentence(key, spoken_language(), words=words)


def choose_language(request: Request) -> None:
    """Let `?language=` win over the header. Raises ValidationError for a language that there is not."""
    asked = request.query_params.get("language")
    if asked is None:
        return
    if asked not in set(Language):
        raise serializers.ValidationError({"language": [said("choice", Language)]}, code="invalid_choice")
    translation.activate(asked)
