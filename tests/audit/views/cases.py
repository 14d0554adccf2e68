"""Opened entries for the tests of the views: every action, outcome, actor, and every way in which a part looks."""

from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import UUID

from backend.audit.actions import Action, Kind
from backend.audit.queries import OpenedEntry, OpenedPart
from backend.audit.recording import Outcome

CLINIC = UUID("01890a5d-ac96-774b-bcce-b302099a8058")
ORIGIN = "accord/audit/01890a5d-ac96-774b-bcce-b302099a8051"
ENTRY = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
PATIENT = UUID("01890a5d-ac96-774b-bcce-b302099a8001")
NEIGHBOUR = UUID("01890a5d-ac96-774b-bcce-b302099a8002")
THING = UUID("01890a5d-ac96-774b-bcce-b302099a8003")
PARENT = UUID("01890a5d-ac96-774b-bcce-b302099a8004")
REQUEST = "0123456789abcdef0123456789abcdef"
AT = datetime(2026, 10, 14, 8, 0, 0, 7, tzinfo=UTC)

EXAMPLES: dict[Kind, object] = {
    Kind.CODE: "a_code",
    Kind.CODES: ["one", "two"],
    Kind.ID: str(THING),
    Kind.IDS: [str(THING), str(NEIGHBOUR)],
    Kind.COUNT: 3,
    Kind.HASH: "0" * 64,
}
ACTORS = {
    "staff": ("staff", "5f0c9a3e"),
    "patient": ("patient", ""),
    "representative": ("representative", ""),
    "service": ("system", "planner"),
    "Accord": ("system", ""),
}
ILLEGIBLE = OpenedEntry(
    seq=9,
    id=ENTRY,
    at=datetime(1970, 1, 1, tzinfo=UTC),
    code="unreadable",
    outcome=Outcome.ERROR,
    happened_to="log",
    actor_kind="",
    pseudonym="",
    request_id="",
    parts=(OpenedPart(unreadable_because="tampered"),),
)


def details_of(action: Action, **changed: object) -> dict[str, object]:
    """Details that fit an action."""
    return {name: EXAMPLES[kind] for name, kind in action.spec.details.items()} | changed


def part_of(
    action: Action, *, subject: UUID | None = PATIENT, actor: UUID | None = None, **changed: object
) -> OpenedPart:
    """A part that could be read."""
    return OpenedPart(subject_id=subject, actor_id=actor, details=details_of(action, **changed))


def opened(
    action: Action,
    *parts: OpenedPart,
    outcome: Outcome = Outcome.OK,
    actor: str = "staff",
    request: str = REQUEST,
    at: datetime = AT,
) -> OpenedEntry:
    """An entry; about one patient where nothing else is said."""
    kind, pseudonym = ACTORS[actor]
    acting = {"patient": PATIENT, "representative": PARENT}.get(actor)
    return OpenedEntry(
        seq=42,
        id=ENTRY,
        at=at,
        code=action.spec.code,
        outcome=outcome,
        happened_to=action.spec.happens_to,
        actor_kind=kind,
        pseudonym=pseudonym,
        request_id=request,
        parts=parts or (part_of(action, actor=acting),),
    )


def every_case() -> Iterator[tuple[str, OpenedEntry]]:
    """Every action by every actor and with every outcome, about nobody, one or two, readable and not."""
    for action in Action:
        code = action.spec.code
        for actor in ACTORS:
            yield f"{code} ok by {actor}", opened(action, actor=actor)
        for outcome in (Outcome.DENIED, Outcome.ERROR):
            yield f"{code} {outcome}", opened(action, outcome=outcome)
        clinic, one, two = (part_of(action, subject=who) for who in (None, PATIENT, NEIGHBOUR))
        yield f"{code} of the clinic", opened(action, clinic, request="")
        yield f"{code} about two", opened(action, one, two)
        for why in ("key_destroyed", "key_missing", "tampered"):
            hidden = OpenedPart(unreadable_because=why)
            yield f"{code} {why}", opened(action, hidden, actor="patient")
            yield f"{code} about two, one {why}", opened(action, hidden, two, actor="representative")
        yield (
            f"{code} in parts that differ",
            opened(action, one, OpenedPart(subject_id=NEIGHBOUR, details={"more": "x"})),
        )
        yield f"{code} without parts", opened(action, OpenedPart())
    for final in ("yes", "no"):
        yield f"failed, final {final}", opened(Action.MESSAGE_FAILED, part_of(Action.MESSAGE_FAILED, final=final))
    for action in (Action.MESSAGE_HANDED_OVER, Action.MESSAGE_WITHHELD):
        yield f"{action.spec.code} without consent", opened(action, part_of(action, consent_event="none"))
        yield f"{action.spec.code} with consent", opened(action, part_of(action, consent_event=str(THING)))
    yield "illegible", ILLEGIBLE
