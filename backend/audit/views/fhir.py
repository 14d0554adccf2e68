"""The log for other systems: each opened entry as one FHIR R4 AuditEvent, after IHE BALP 1.1.3 as far as that fits.

Nothing is asked and no clock is read here. A profile of BALP is claimed (`meta.profile`) only where the entry meets it;
what the log never records (the client's device and address) is marked as absent, as FHIR wants it marked. The mapping,
and where it is a judgement, is in docs/reference/audit-views.md.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC
from typing import Final
from uuid import UUID

import orjson

from backend.audit.queries import OpenedEntry, OpenedPart
from backend.audit.recording import Outcome
from backend.audit.views.mapping import (
    APPLICATION,
    APPLICATION_SERVER,
    AUTHOR,
    AUTHORIZER,
    CONSENT,
    DESTINATION_ROLE,
    FAILED,
    HUMAN,
    ILLEGIBLE,
    NEVER_A_PATIENT,
    PATIENT_ROLE,
    PERSON,
    PROVIDER,
    RECIPIENT,
    REQUEST,
    SOURCE_ROLE,
    SUCCESS,
    SYSTEM_OBJECT,
    Coding,
    Mapped,
    Pattern,
    mapped,
)

Json = dict[str, object]

ILLEGIBLE_CODE: Final = "unreadable"
PROFILES: Final = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."
ABSENT: Final = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
# Codes of http://terminology.hl7.org/CodeSystem/data-absent-reason.
WHY_ABSENT: Final[Mapping[str, str]] = {"key_destroyed": "masked", "key_missing": "unknown", "tampered": "error"}
UNSUPPORTED: Final = "unsupported"
NONE_ON_FILE: Final = "none on file"
NOT_NAMED: Final = "not named in the entry"
PEOPLE: Final = frozenset({"staff", "patient", "representative"})


def audit_event(opened: OpenedEntry, *, index: int | None, clinic_id: UUID, origin: str) -> Json:
    """One entry as a FHIR R4 AuditEvent.

    `index` is its place in the log, None where it has none yet; `origin` is the name of the log in its checkpoints.
    """
    row = ILLEGIBLE if opened.code == ILLEGIBLE_CODE else mapped(opened.code)
    details = next((part.details for part in opened.parts if not part.unreadable_because), {})
    outcome = _outcome(opened, row, details)
    observer: Json = {"type": "Device", "identifier": {"value": origin}, "display": "Accord"}
    event: Json = {
        "resourceType": "AuditEvent",
        "id": str(opened.id),
        "type": row.type,
        "action": row.action,
        "outcome": outcome,
        "agent": _agents(opened, row, clinic_id=clinic_id, observer=observer),
        "source": {"site": str(clinic_id), "observer": observer, "type": [APPLICATION_SERVER]},
        "entity": _entities(opened, row, details, index=index),
    }
    if opened.code == ILLEGIBLE_CODE:
        event["_recorded"] = _absent("error")
    else:
        moment = opened.at.astimezone(UTC).replace(tzinfo=None)
        event["recorded"] = f"{moment.isoformat(timespec='microseconds')}Z"
    if row.subtype:
        event["subtype"] = list(row.subtype)
    if row.purpose:
        event["purposeOfEvent"] = [_concept(row.purpose)]
    if outcome != SUCCESS and (why := _why(opened, row, details)):
        event["outcomeDesc"] = why
    if profile := _profile(opened, row, outcome):
        event["meta"] = {"profile": [PROFILES + profile]}
    return event


def audit_event_lines(
    entries: Iterable[tuple[int | None, OpenedEntry]], *, clinic_id: UUID, origin: str
) -> Iterator[bytes]:
    """Entries with their places in the log as NDJSON: one AuditEvent a line, keys in alphabetical order, UTF-8."""
    for index, opened in entries:
        event = audit_event(opened, index=index, clinic_id=clinic_id, origin=origin)
        yield orjson.dumps(event, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)


def _outcome(opened: OpenedEntry, row: Mapped, details: Mapping[str, object]) -> str:
    if opened.outcome is not Outcome.OK:
        return FAILED
    if row.outcome_by is None:
        return row.outcome
    name, by_value = row.outcome_by
    return by_value.get(str(details.get(name)), row.outcome)


def _why(opened: OpenedEntry, row: Mapped, details: Mapping[str, object]) -> str:
    codes = [code for name in row.reasons for code in _texts(details.get(name, []))]
    # An entry that says `ok` and can not be read does not say why: "ok" would be no reason.
    return ", ".join(codes) or ("" if opened.outcome is Outcome.OK else opened.outcome.value)


def _profile(opened: OpenedEntry, row: Mapped, outcome: str) -> str:
    """The profile that this event meets, or nothing: BALP has none for failures, nor for several patients at once."""
    if any(part.unreadable_because for part in opened.parts):
        return ""
    patients = sum(part.subject_id is not None for part in opened.parts)
    if row.pattern is Pattern.DECISION:
        return row.pattern.value if patients == 1 else ""
    if row.pattern not in {Pattern.CREATE, Pattern.READ, Pattern.UPDATE} or outcome != SUCCESS or patients > 1:
        return ""
    return f"Patient{row.pattern.value}" if patients else row.pattern.value


# ------------------------------------------------------------------------------------------------------------ agents


def _agents(opened: OpenedEntry, row: Mapped, *, clinic_id: UUID, observer: Json) -> list[Json]:
    is_person = opened.actor_kind in PEOPLE
    is_system = opened.actor_kind == "system"
    service = _service(opened, observer)
    who = _person(opened) if is_person else service
    client = {"type": "Device", **_absent(UNSUPPORTED)} if is_person else service
    match row.pattern:
        case Pattern.CREATE | Pattern.UPDATE | Pattern.SEARCH:
            agents = [
                _machine(SOURCE_ROLE, client, requestor=is_system),
                _machine(DESTINATION_ROLE, observer, requestor=False),
            ]
            role = RECIPIENT if row.pattern is Pattern.SEARCH else AUTHOR
        case Pattern.READ:
            agents = [
                _machine(DESTINATION_ROLE, client, requestor=is_system),
                _machine(SOURCE_ROLE, observer, requestor=False),
            ]
            role = RECIPIENT
        case Pattern.DISCLOSURE:
            # Who takes an export away is the person who asked for it; to which machine, the log does not know.
            agents = [
                _machine(SOURCE_ROLE, observer, requestor=is_system),
                _machine(DESTINATION_ROLE, _absent(UNSUPPORTED), requestor=False),
            ]
            role = HUMAN
        case Pattern.DECISION:
            return [
                _machine(APPLICATION, client, requestor=False),
                _agent(RECIPIENT, who, requestor=True),
                _agent(PROVIDER, {"type": "Organization", "identifier": _uuid(clinic_id)}, requestor=False),
                _agent(AUTHORIZER, observer, requestor=False),
            ]
        case Pattern.OTHER:
            agents, role = [_agent(APPLICATION, service, requestor=is_system)], HUMAN
    return [*agents, _agent(role, who, requestor=True)] if is_person else agents


def _agent(role: Coding, who: Json, *, requestor: bool) -> Json:
    return {"type": _concept(role), "who": who, "requestor": requestor}


def _machine(role: Coding, who: Json, *, requestor: bool) -> Json:
    # BALP wants to know the network; the log holds no address of anybody's machine, on purpose.
    return {**_agent(role, who, requestor=requestor), "network": _absent(UNSUPPORTED)}


def _person(opened: OpenedEntry) -> Json:
    if opened.actor_kind == "staff":
        return {"type": "Practitioner", "identifier": {"value": opened.pseudonym}}
    resource = "Patient" if opened.actor_kind == "patient" else "RelatedPerson"
    for part in opened.parts:
        if part.actor_id is not None:
            return {"reference": f"{resource}/{part.actor_id}"}
    why = next((part.unreadable_because for part in opened.parts if part.unreadable_because), "")
    return {"type": resource, **_absent(WHY_ABSENT.get(why, "unknown"))}


def _service(opened: OpenedEntry, observer: Json) -> Json:
    if opened.actor_kind != "system" or not opened.pseudonym:
        return observer
    return {"type": "Device", "identifier": {"value": opened.pseudonym}, "display": "Accord"}


# ---------------------------------------------------------------------------------------------------------- entities


def _entities(opened: OpenedEntry, row: Mapped, details: Mapping[str, object], *, index: int | None) -> list[Json]:
    patients = [entity for part in opened.parts if (entity := _concerned(opened, part, details))]
    facts: list[Json] = [_detail("action", opened.code)]
    if index is not None:
        facts.append(_detail("log_index", str(index)))
    if not patients:
        facts += [_why_unreadable(part) for part in opened.parts if part.unreadable_because]
    told = [_detail(name, text) for name in sorted(details) for text in _texts(details[name])]
    what = _what(opened, row, details)
    if row.pattern is Pattern.DECISION:
        if opened.request_id:
            facts.append(_detail("request_id", opened.request_id))
        return [*patients, {"type": CONSENT, "what": what, "detail": [*facts, *told]}]
    thing: Json = {"type": SYSTEM_OBJECT, "role": row.role, "what": what, "detail": [*facts, *told]}
    if row.lifecycle:
        thing["lifecycle"] = row.lifecycle
    if not opened.request_id:
        return [*patients, thing]
    return [*patients, thing, {"type": REQUEST, "what": {"identifier": {"value": opened.request_id}}}]


def _concerned(opened: OpenedEntry, part: OpenedPart, shared: Mapping[str, object]) -> Json | None:
    """The patient whom a part is about; one without an id where nobody can read it any more."""
    person: Json = {"type": PERSON, "role": PATIENT_ROLE}
    if part.unreadable_because:
        if opened.happened_to in NEVER_A_PATIENT:
            return None
        absent = {"type": "Patient", **_absent(WHY_ABSENT.get(part.unreadable_because, "unknown"))}
        return {**person, "what": absent, "detail": [_why_unreadable(part)]}
    if part.subject_id is None:
        return None
    person["what"] = {"reference": f"Patient/{part.subject_id}"}
    if part.details != shared:
        # Accord writes the same into every part of an entry; what some other hand wrote is not dropped either.
        person["detail"] = [_detail(name, text) for name in sorted(part.details) for text in _texts(part.details[name])]
    return person


def _what(opened: OpenedEntry, row: Mapped, details: Mapping[str, object]) -> Json:
    """The thing it happened to: by id or code where the entry names one, else by its kind."""
    named = details.get(row.object_in)
    kind: Json = {"type": row.object_type} if row.object_type else {}
    if opened.code == ILLEGIBLE_CODE:
        return {"identifier": _uuid(opened.id), "display": "entry of the log"}
    if row.pattern is Pattern.DECISION and named in {"none", None}:
        return _no_consent(opened, kind, is_named=named == "none")
    if isinstance(named, str) and named:
        if row.object_type == "RelatedPerson":
            return {"reference": f"RelatedPerson/{named}"}
        return {**kind, "identifier": _identifier(named), "display": opened.happened_to}
    subjects = [part.subject_id for part in opened.parts]
    if row.object_type == "Patient" and len(subjects) == 1 and subjects[0] is not None:
        return {"reference": f"Patient/{subjects[0]}"}
    return {**kind, "display": opened.happened_to}


def _no_consent(opened: OpenedEntry, kind: Json, *, is_named: bool) -> Json:
    if is_named:
        return {**kind, "display": NONE_ON_FILE}
    why = next((part.unreadable_because for part in opened.parts if part.unreadable_because), "")
    return {**kind, **_absent(WHY_ABSENT.get(why, "unknown"))} if why else {**kind, "display": NOT_NAMED}


def _identifier(value: str) -> Json:
    try:
        return _uuid(UUID(value))
    except ValueError:
        return {"value": value}


def _uuid(value: UUID) -> Json:
    return {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{value}"}


def _why_unreadable(part: OpenedPart) -> Json:
    return _detail("unreadable_because", part.unreadable_because)


def _detail(name: str, value: str) -> Json:
    return {"type": name, "valueString": value}


def _texts(value: object) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [text for one in values if (text := str(one))]


def _concept(coding: Coding) -> Json:
    return {"coding": [coding]}


def _absent(why: str) -> Json:
    return {"extension": [{"url": ABSENT, "valueCode": why}]}
