"""How something is said: by whom, by which method, with which evidence; and what is refused."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from backend.errors import DomainError, InvalidInput
from backend.policy.vocabulary import Audience, Method

EVIDENCE_OF: Final = {
    Method.APP: frozenset({"notice_version", "initial_state"}),
    Method.PAPER_FORM: frozenset({"form_reference", "signed_on"}),
    Method.VERBAL: frozenset({"script_version", "spoken_at"}),
    Method.DOUBLE_OPT_IN: frozenset({"notice_version", "initial_state", "requested_at", "confirmed_at"}),
    Method.IMPORT: frozenset({"file_sha256", "proof_reference"}),
}
"""By these methods one can say yes or no; by all others only: no longer. START by SMS never opts in."""
AGE_ATTESTED: Final = "of_age"
NOT_TICKED: Final = "off"
NOT_STATED: Final = "not_stated"
"""How the box stood before it was touched, as the app says; `not_stated` where it did not say (docs/decisions/0015)."""
SERVED: Final = "notice_served"
ATTESTING: Final = frozenset({Method.PAPER_FORM, Method.VERBAL})
"""Where staff see or hear the person, and may attest that one whose birth date is not known is of age."""


class NoticeOutdated(DomainError):
    """A yes or no must be said to the notice that stands now."""

    code = "notice_outdated"
    sentence = "The notice has changed: show the current one and ask again."


class AgeUnknown(DomainError):
    """Nobody concludes from a missing birth date that a person decides alone (docs/decisions/0012)."""

    code = "age_unknown"
    sentence = "The birth date is not known: enter it, or attest on paper or aloud that this person is of age."


class ObjectionStands(DomainError):
    """Against an objection no yes counts, whoever brings it, until the patient takes the objection back (Art. 21)."""

    code = "objection_stands"
    sentence = "There is an objection to this: it has to be taken back first."


class EvidenceMissing(InvalidInput):
    """A way of taking a consent down asks for its evidence."""

    code = "evidence_missing"
    sentence = "This way of consenting needs its evidence."


class PatientHasDied(DomainError):
    """Nobody can consent for the dead."""

    code = "patient_deceased"
    sentence = "This patient has died."


class SaidMeanwhile(DomainError):
    """Something that is entered late does not undo what the patient said after it."""

    code = "said_meanwhile"
    sentence = "The patient has said something else since then: ask again."


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """How it was said: the method, its evidence (sealed), when, and by which representatives besides the patient.

    `by_patient` is False where only a representative spoke. `answers` is the event of the question that this answers,
    where a link asked it: it can be answered once. `shown_to` is for whom the notice was that was shown, where that is
    not told by the patient's age now.
    """

    method: Method
    occurred_at: datetime
    evidence: dict[str, Any] = field(default_factory=dict)
    by_patient: bool = True
    representatives: tuple[UUID, ...] = ()
    answers: UUID | None = None
    shown_to: Audience | None = None

    def speakers(self) -> list[dict[str, str]]:
        """Who said it, as it is stored: roles, and the ids of representatives."""
        own = [{"role": "patient"}] if self.by_patient else []
        return own + [{"role": "representative", "id": str(one)} for one in self.representatives]


class AlreadyAnswered(DomainError):
    """A link is good for one answer."""

    code = "already_answered"
    sentence = "This was answered already."


def refuse_missing_evidence(expression: Expression) -> None:
    """Raises EvidenceMissing, or InvalidInput for a method by which nobody consents and a box ticked beforehand."""
    if expression.method not in EVIDENCE_OF:
        raise InvalidInput("By this method one can only withdraw.", field="method")
    missing = EVIDENCE_OF[expression.method] - expression.evidence.keys()
    if missing:
        raise EvidenceMissing(field=f"evidence.{min(missing)}", missing=sorted(missing))
    unticked = {NOT_TICKED, NOT_STATED} if expression.method is Method.APP else {NOT_TICKED}
    if expression.evidence.get("initial_state", NOT_TICKED) not in unticked:
        raise InvalidInput("A box that was ticked beforehand is no consent.", field="evidence.initial_state")
    if AGE_ATTESTED in expression.evidence and expression.method not in ATTESTING:
        raise InvalidInput("Only staff who see or hear the person attest their age.", field=f"evidence.{AGE_ATTESTED}")
