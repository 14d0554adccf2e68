"""Entries about patients, some of whom may have been erased meanwhile."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from backend.audit.actors import Actor
from backend.audit.recording import Draft, Entry, record_many
from backend.vault.keyring import DataKey, KeyUnavailable, Scope, keyring, keys_at_hand


@contextmanager
def record_about_patients(
    drafts: Sequence[Draft], *, by: Actor, now: datetime, writes_sealed: bool = False
) -> Iterator[Entry]:
    """Like `record_many`, but a patient whose keys were destroyed stops nobody else's batch.

    What happens to the leftovers of an erased patient goes into the clinic's own part of the log: ids only, and nobody
    is named by them any more. `writes_sealed` has the keys of the patients' data at hand too, for a batch that seals.
    """
    with ExitStack() as stack:
        entry = None if writes_sealed or not _all_remembered(drafts) else _recorded_from_memory(stack, drafts, by, now)
        if entry is None:
            keys = _keys_of(drafts, Scope.AUDIT)
            known = {(key.clinic_id, key.subject_id) for key in keys}
            told = [
                draft
                if all((draft.clinic_id, subject) in known for subject in draft.about)
                else replace(draft, about=())
                for draft in drafts
            ]
            if writes_sealed:
                keys += _keys_of(told, Scope.PROFILE)
            stack.enter_context(keys_at_hand(keys))
            entry = stack.enter_context(record_many(told, by=by, now=now))
        yield entry


def _all_remembered(drafts: Sequence[Draft]) -> bool:
    ring = keyring()
    return all(
        ring.remembered(clinic_id=draft.clinic_id, scope=Scope.AUDIT, subject_id=subject) is not None
        for draft in drafts
        for subject in draft.about
    )


def _recorded_from_memory(stack: ExitStack, drafts: Sequence[Draft], by: Actor, now: datetime) -> Entry | None:
    """With the keys as this process last saw them, if the database says that all of them still live."""
    try:
        return stack.enter_context(record_many(drafts, by=by, now=now))
    except KeyUnavailable:
        return None


def _keys_of(drafts: Sequence[Draft], scope: Scope) -> list[DataKey]:
    wanted: dict[UUID, set[UUID]] = {}
    for draft in drafts:
        wanted.setdefault(draft.clinic_id, set()).update(draft.about)
    return [
        key
        for clinic_id, subjects in wanted.items()
        if subjects
        for key in keyring().current_of(clinic_id=clinic_id, scope=scope, subject_ids=subjects)
    ]
