"""The one family of errors that product code raises on purpose."""

from collections.abc import Mapping
from typing import ClassVar


class DomainError(Exception):
    """Something that was asked for can not be done, for a reason that has a stable code.

    `code` is part of the API and never changes; `sentence` is English, holds no personal data, and may be reworded.
    `status` is the HTTP status an edge answers with; `extra` holds further codes, ids and counts for the answer.
    """

    code: ClassVar[str] = "refused"
    sentence: ClassVar[str] = "This can not be done."
    status: ClassVar[int] = 409

    def __init__(self, sentence: str | None = None, /, *, field: str | None = None, **extra: object) -> None:
        super().__init__(sentence or self.sentence)
        self.field = field
        self.extra: Mapping[str, object] = extra


class NotFound(DomainError):
    """What was asked for does not exist, or not for this clinic or patient: the two are not told apart."""

    code = "not_found"
    sentence = "There is nothing here under this address."
    status = 404


class SecondPersonNeeded(DomainError):
    """What can not be undone takes two people: whoever asks for it does not confirm it too."""

    code = "second_person_needed"
    sentence = "Somebody else has to confirm this."


class InvalidInput(DomainError):
    """A value that was sent can not be used; `field` names it."""

    code = "invalid"
    sentence = "A value can not be used."
    status = 400
