"""The closed list of everything that can be recorded.

Each action has a code, the kind of thing it happens to, typed details (codes, ids, counts; never free text) and a
sentence for people in French and in English. Codes in the clear header are coarse on purpose.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Final
from uuid import UUID

from backend.policy.vocabulary import Language

CODE: Final = re.compile(r"[a-z0-9][a-z0-9_.:+-]{0,79}")
HASH: Final = re.compile(r"[0-9a-f]{32,64}")


class Kind(StrEnum):
    """What a detail may hold."""

    CODE = "code"
    CODES = "codes"
    ID = "id"
    IDS = "ids"
    COUNT = "count"
    HASH = "hash"


class DetailRefused(ValueError):
    """A detail is unknown to its action, missing, or of the wrong kind: the log takes no free text."""


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """What the list says of one action."""

    code: str
    happens_to: str
    english: str
    french: str
    details: Mapping[str, Kind] = field(default_factory=dict)


def _spec(code: str, happens_to: str, english: str, french: str, /, **details: Kind) -> ActionSpec:
    return ActionSpec(code, happens_to, english, french, details)


C, CS, ID, IDS, N, H = Kind.CODE, Kind.CODES, Kind.ID, Kind.IDS, Kind.COUNT, Kind.HASH


class Action(Enum):
    """Everything that can be recorded."""

    KEYS_CREATED = _spec(
        "key.created",
        "key",
        "{count} keys were created.",
        "{count} clés ont été créées.",
        count=N,
        keys=IDS,
        scopes=CS,
        commitments=CS,
    )
    KEY_DESTROYED = _spec(
        "key.destroyed",
        "key",
        "The keys of a person were destroyed ({reason}).",
        "Les clés d’une personne ont été détruites ({reason}).",
        keys=IDS,
        reason=C,
    )
    CLINIC_CREATED = _spec(
        "clinic.created", "clinic", "The clinic was set up.", "L’établissement a été créé.", clinic=ID
    )
    ACCOUNT_CREATED = _spec(
        "account.created", "account", "An account was created.", "Un compte a été créé.", account=ID, role=C
    )
    TOKEN_ISSUED = _spec(
        "token.issued",
        "token",
        "An access token was issued ({role}).",
        "Un jeton d’accès a été émis ({role}).",
        token=ID,
        role=C,
    )
    TOKEN_REVOKED = _spec(
        "token.revoked", "token", "An access token was revoked.", "Un jeton d’accès a été révoqué.", token=ID
    )
    ACCESS_REFUSED = _spec(
        "access.refused",
        "access",
        "A request was refused ({reason}).",
        "Une demande a été refusée ({reason}).",
        reason=C,
        request=C,
    )
    PATIENT_CREATED = _spec(
        "patient.created",
        "patient",
        "The patient was entered ({source}).",
        "Le patient a été inscrit ({source}).",
        source=C,
    )
    PATIENT_UPDATED = _spec(
        "patient.updated",
        "patient",
        "The patient’s details were changed ({fields}).",
        "Les coordonnées du patient ont été modifiées ({fields}).",
        source=C,
        fields=CS,
    )
    PATIENT_DECEASED = _spec(
        "patient.deceased",
        "patient",
        "The death of the patient was noted; nothing is sent any more.",
        "Le décès du patient a été noté ; plus rien n’est envoyé.",
        source=C,
    )
    PATIENT_READ = _spec(
        "patient.read",
        "patient",
        "The patient’s data was looked at ({reason}).",
        "Les données du patient ont été consultées ({reason}).",
        reason=C,
    )
    PATIENTS_LISTED = _spec(
        "patient.listed",
        "patient",
        "A list of {count} patients was looked at ({reason}).",
        "Une liste de {count} patients a été consultée ({reason}).",
        reason=C,
        count=N,
    )
    REPRESENTATIVE_RECORDED = _spec(
        "representative.recorded",
        "representative",
        "A representative was recorded ({relationship}).",
        "Un représentant a été enregistré ({relationship}).",
        representative=ID,
        relationship=C,
    )
    CONTACT_POINT_ADDED = _spec(
        "contact_point.added",
        "contact_point",
        "A contact point was added ({kind}).",
        "Un moyen de contact a été ajouté ({kind}).",
        contact_point=ID,
        kind=C,
    )
    CONTACT_POINT_ATTESTED = _spec(
        "contact_point.attested",
        "contact_point",
        "Staff attested a contact point ({how}).",
        "Le personnel a attesté un moyen de contact ({how}).",
        contact_point=ID,
        how=C,
    )
    CONTACT_POINT_CODE_SENT = _spec(
        "contact_point.code_sent",
        "contact_point",
        "A one-time code was prepared to check a contact point.",
        "Un code à usage unique a été préparé pour vérifier un moyen de contact.",
        contact_point=ID,
    )
    CONTACT_POINT_VERIFIED = _spec(
        "contact_point.verified",
        "contact_point",
        "The patient verified a contact point.",
        "Le patient a vérifié un moyen de contact.",
        contact_point=ID,
        how=C,
    )
    CONTACT_POINT_REMOVED = _spec(
        "contact_point.removed",
        "contact_point",
        "A contact point was removed ({reason}).",
        "Un moyen de contact a été retiré ({reason}).",
        contact_point=ID,
        reason=C,
    )
    OCCASION_RECORDED = _spec(
        "occasion.recorded",
        "occasion",
        "An occasion was recorded ({kind}, {status}).",
        "Un événement a été enregistré ({kind}, {status}).",
        occasion=ID,
        kind=C,
        status=C,
    )
    OCCASION_CHANGED = _spec(
        "occasion.changed",
        "occasion",
        "An occasion was changed ({kind}, {status}).",
        "Un événement a été modifié ({kind}, {status}).",
        occasion=ID,
        kind=C,
        status=C,
    )
    IMPORT_STARTED = _spec(
        "import.started", "import", "An import was started ({source}).", "Un import a commencé ({source}).",
        run=ID, source=C,
    )  # fmt: skip
    IMPORT_FINISHED = _spec(
        "import.finished",
        "import",
        "An import ended: {created} created, {updated} updated, {unchanged} unchanged, {refused} refused.",
        "Un import s’est terminé : {created} créés, {updated} modifiés, {unchanged} inchangés, {refused} refusés.",
        run=ID,
        created=N,
        updated=N,
        unchanged=N,
        refused=N,
        unusable=N,
    )
    PURPOSE_DEFINED = _spec(
        "purpose.defined", "purpose", "The purpose {purpose} was defined.", "La finalité {purpose} a été définie.",
        purpose=C, nature=C,
    )  # fmt: skip
    NOTICE_PUBLISHED = _spec(
        "notice.published",
        "notice",
        "Version {version} of the notice {notice} was published.",
        "La version {version} de la notice {notice} a été publiée.",
        notice=C,
        version=N,
        language=C,
        sha256=H,
    )
    CONSENT_GIVEN = _spec(
        "consent.given",
        "consent",
        "Consent was given for {purpose} by {channel} ({method}).",
        "Un consentement a été donné pour {purpose} par {channel} ({method}).",
        purpose=C,
        channel=C,
        method=C,
        event=ID,
        notice_version=N,
    )
    CONSENT_REFUSED = _spec(
        "consent.refused",
        "consent",
        "Consent was refused for {purpose} by {channel} ({method}).",
        "Un consentement a été refusé pour {purpose} par {channel} ({method}).",
        purpose=C,
        channel=C,
        method=C,
        event=ID,
        notice_version=N,
    )
    CONSENT_WITHDRAWN = _spec(
        "consent.withdrawn",
        "consent",
        "Consent was withdrawn for {purpose} by {channel} ({method}).",
        "Un consentement a été retiré pour {purpose} par {channel} ({method}).",
        purpose=C,
        channel=C,
        method=C,
        event=ID,
    )
    CONSENTS_READ = _spec("consent.read", "consent", "Consents were looked at.", "Des consentements ont été consultés.")
    STATES_REBUILT = _spec(
        "consent.rebuilt",
        "consent",
        "Consent states were rebuilt from their events: {count} states, {different} different.",
        "Les états de consentement ont été reconstruits : {count} états, {different} différents.",
        count=N,
        different=N,
    )
    PREFERENCES_CHANGED = _spec(
        "preference.changed",
        "preference",
        "Preferences were changed ({fields}).",
        "Des préférences ont été modifiées ({fields}).",
        fields=CS,
        version=N,
    )
    PROGRAMME_CREATED = _spec(
        "programme.created",
        "programme",
        "The programme {programme} was written (version {version}).",
        "Le programme {programme} a été rédigé (version {version}).",
        programme=C,
        version=N,
    )
    PROGRAMME_APPROVED = _spec(
        "programme.approved",
        "programme",
        "A health professional approved the programme {programme} (version {version}).",
        "Un professionnel de santé a approuvé le programme {programme} (version {version}).",
        programme=C,
        version=N,
    )
    PROGRAMME_STARTED = _spec(
        "programme.started",
        "programme",
        "The programme {programme} was started.",
        "Le programme {programme} a démarré.",
        programme=C,
    )
    PROGRAMME_PAUSED = _spec(
        "programme.paused",
        "programme",
        "The programme {programme} was paused.",
        "Le programme {programme} a été suspendu.",
        programme=C,
    )
    PATIENT_ENROLLED = _spec(
        "programme.enrolled",
        "programme",
        "The patient was enrolled in the programme {programme}.",
        "Le patient a été inscrit au programme {programme}.",
        programme=C,
        enrolment=ID,
    )
    REACH_COMPUTED = _spec(
        "programme.reach",
        "programme",
        "It was computed whom the programme {programme} would reach: {would} yes, {would_not} no.",
        "La portée du programme {programme} a été calculée : {would} oui, {would_not} non.",
        programme=C,
        would=N,
        would_not=N,
    )
    PLANNING_STARTED = _spec(
        "message.planning", "message", "Messages are being planned.", "Des messages sont en cours de planification.",
        candidates=N,
    )  # fmt: skip
    MESSAGE_PLANNED = _spec(
        "message.planned",
        "message",
        "A message was planned ({purpose}, {channel}).",
        "Un message a été planifié ({purpose}, {channel}).",
        message=ID,
        purpose=C,
        channel=C,
        step=C,
    )
    MESSAGE_WITHHELD = _spec(
        "message.withheld",
        "message",
        "A message was withheld ({purpose}, {channel}): {reasons}.",
        "Un message a été retenu ({purpose}, {channel}) : {reasons}.",
        message=ID,
        purpose=C,
        channel=C,
        reasons=CS,
        rules=C,
        consent_event=C,
    )
    MESSAGE_DEFERRED = _spec(
        "message.deferred",
        "message",
        "A message was put off ({purpose}, {channel}): {reasons}.",
        "Un message a été différé ({purpose}, {channel}) : {reasons}.",
        message=ID,
        purpose=C,
        channel=C,
        reasons=CS,
        rules=C,
    )
    MESSAGE_CANCELLED = _spec(
        "message.cancelled",
        "message",
        "A planned message was cancelled ({reason}).",
        "Un message planifié a été annulé ({reason}).",
        message=ID,
        reason=C,
    )
    MESSAGE_EXPIRED = _spec(
        "message.expired",
        "message",
        "A message came too late and was dropped.",
        "Un message devenu inutile a été abandonné.",
        message=ID,
    )
    MESSAGE_CLAIMED = _spec(
        "message.claimed",
        "message",
        "A message was taken up for sending ({purpose}, {channel}); the data it needs is read.",
        "Un message a été pris en charge ({purpose}, {channel}) ; les données nécessaires sont lues.",
        message=ID,
        attempt=ID,
        purpose=C,
        channel=C,
    )
    MESSAGE_HANDED_OVER = _spec(
        "message.handed_over",
        "message",
        "A message was handed over to {carrier} ({purpose}, {channel}).",
        "Un message a été remis à {carrier} ({purpose}, {channel}).",
        message=ID,
        attempt=ID,
        purpose=C,
        channel=C,
        carrier=C,
        consent_event=C,
        template_version=ID,
        rules=C,
    )
    MESSAGE_FAILED = _spec(
        "message.failed",
        "message",
        "A message was not taken by {carrier} ({code}).",
        "Un message n’a pas été accepté par {carrier} ({code}).",
        message=ID,
        attempt=ID,
        carrier=C,
        code=C,
        final=C,
    )
    MESSAGE_IN_DOUBT = _spec(
        "message.in_doubt",
        "message",
        "It is not known whether a message left ({reason}).",
        "On ne sait pas si un message est parti ({reason}).",
        message=ID,
        attempt=ID,
        reason=C,
    )
    MESSAGES_READ = _spec("message.read", "message", "Messages were looked at.", "Des messages ont été consultés.")
    TEMPLATE_PUBLISHED = _spec(
        "template.published",
        "template",
        "Version {version} of the template {template} was published.",
        "La version {version} du modèle {template} a été publiée.",
        template=C,
        version=N,
        variants=N,
    )
    LOG_READ = _spec("log.read", "log", "The log was looked at.", "Le journal a été consulté.", count=N)

    @property
    def spec(self) -> ActionSpec:
        """What the list says of this action."""
        return self.value

    def checked(self, details: Mapping[str, object]) -> dict[str, object]:
        """The details as they are stored. Raises DetailRefused."""
        if details.keys() != self.spec.details.keys():
            wrong = ", ".join(sorted(details.keys() ^ self.spec.details.keys()))
            raise DetailRefused(f"{self.spec.code}: details that do not fit: {wrong}")
        return {name: _checked(kind, details[name]) for name, kind in self.spec.details.items()}

    def sentence(self, language: Language, details: Mapping[str, object]) -> str:
        """What happened, for people."""
        template = self.spec.french if language is Language.FRENCH else self.spec.english
        shown = {
            name: ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            for name, value in details.items()
        }
        return template.format_map(_Shown(shown))


class _Shown(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return "•••"


BY_CODE: Final[Mapping[str, Action]] = {action.spec.code: action for action in Action}


def _checked(kind: Kind, value: object) -> object:
    match kind, value:
        case Kind.COUNT, int() if not isinstance(value, bool) and 0 <= value < 2**53:
            return int(value)
        case Kind.CODE, str() if CODE.fullmatch(value):
            return str(value)
        case Kind.HASH, str() if HASH.fullmatch(value):
            return str(value)
        case Kind.ID, UUID():
            return str(value)
        case Kind.CODES, list() | tuple() | frozenset() | set():
            return [_checked(Kind.CODE, item) for item in (value if isinstance(value, list | tuple) else sorted(value))]
        case Kind.IDS, list() | tuple():
            return [_checked(Kind.ID, item) for item in value]
    raise DetailRefused(f"a detail is no {kind}")
