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
    KEY_REPLACED = _spec(
        "key.replaced",
        "key",
        "A key of the installation was replaced; the old one was destroyed ({scope}).",
        "Une clé de l’installation a été remplacée ; l’ancienne a été détruite ({scope}).",
        keys=IDS,
        scope=C,
    )
    RECEIPT_KEY_PUBLISHED = _spec(
        "key.receipts_published",
        "key",
        "The public half of the key that signs receipts was published; those of earlier keys stay.",
        "La partie publique de la clé qui signe les reçus a été publiée ; celles des clés précédentes restent.",
        key=ID,
        thumbprint=H,
    )
    CLINIC_KEY_BEGUN = _spec(
        "key.epoch_begun",
        "key",
        "A new clinic key was made (epoch {epoch}, wrapped under epoch {provider_epoch} of the topmost key).",
        "Une nouvelle clé d’établissement a été créée (époque {epoch}, enveloppée sous l’époque {provider_epoch} de la "
        "clé maîtresse).",
        epoch=N,
        provider_epoch=N,
        commitment=H,
    )
    KEYS_REWRAPPED = _spec(
        "key.rewrapped",
        "key",
        "{count} keys were wrapped anew under the clinic key of epoch {epoch}; they themselves did not change.",
        "{count} clés ont été enveloppées à nouveau sous la clé d’établissement de l’époque {epoch} ; elles-mêmes "
        "n’ont pas changé.",
        count=N,
        epoch=N,
    )
    CLINIC_KEY_DESTROYED = _spec(
        "key.epoch_destroyed",
        "key",
        "The clinic key of epoch {epoch} was destroyed.",
        "La clé d’établissement de l’époque {epoch} a été détruite.",
        epoch=N,
    )
    PROVIDER_EPOCH_BEGUN = _spec(
        "key.provider_epoch_begun",
        "key",
        "A new topmost key was made ({provider}, epoch {epoch}, fingerprint {fingerprint}).",
        "Une nouvelle clé maîtresse a été créée ({provider}, époque {epoch}, empreinte {fingerprint}).",
        provider=C,
        epoch=N,
        fingerprint=C,
    )
    PROVIDER_EPOCH_DESTROYED = _spec(
        "key.provider_epoch_destroyed",
        "key",
        "The topmost key of epoch {epoch} was destroyed ({provider}): what old backups hold of keys opens nothing.",
        "La clé maîtresse de l’époque {epoch} a été détruite ({provider}) : les clés des anciennes sauvegardes "
        "n’ouvrent plus rien.",
        provider=C,
        epoch=N,
    )
    BACKUP_TAKEN = _spec(
        "backup.taken",
        "backup",
        "A backup was taken ({contents}).",
        "Une sauvegarde a été faite ({contents}).",
        contents=C,
    )
    LOG_RESTORED = _spec(
        "log.restored",
        "log",
        "The database was restored from a backup (epoch {epoch}): this log has {size} entries, {lost} signed ones are "
        "lost.",
        "La base a été restaurée depuis une sauvegarde (époque {epoch}) : ce journal compte {size} entrées, {lost} "
        "entrées signées sont perdues.",
        epoch=N,
        size=N,
        lost=N,
    )
    CLINIC_CREATED = _spec(
        "clinic.created", "clinic", "The clinic was set up.", "L’établissement a été créé.", clinic=ID
    )
    ACCOUNT_CREATED = _spec(
        "account.created", "account", "An account was created.", "Un compte a été créé.", account=ID
    )
    MEMBER_ADDED = _spec(
        "clinic.member_added",
        "clinic",
        "Somebody was made a member of the clinic ({role}).",
        "Une personne est devenue membre de l’établissement ({role}).",
        account=ID,
        role=C,
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
    PATIENT_ERASED = _spec(
        "patient.erased",
        "patient",
        "A patient was erased: what found them by name and by their {contact_points} addresses is gone.",
        "Un patient a été effacé : ce qui le retrouvait par son nom et ses {contact_points} adresses a disparu.",
        contact_points=N,
    )
    PATIENT_ERASURE_ASKED = _spec(
        "patient.erasure_asked",
        "patient",
        "The erasure of a patient was asked for ({ground}).",
        "L’effacement d’un patient a été demandé ({ground}).",
        request=ID,
        ground=C,
    )
    PATIENT_ERASURE_TAKEN_BACK = _spec(
        "patient.erasure_taken_back",
        "patient",
        "The request to erase a patient was taken back.",
        "La demande d’effacement d’un patient a été retirée.",
        request=ID,
    )
    PATIENT_RESTRICTED = _spec(
        "patient.restricted",
        "patient",
        "The use of the patient’s data was restricted ({ground}); nothing is sent any more.",
        "L’utilisation des données du patient a été limitée ({ground}) ; plus rien n’est envoyé.",
        restriction=ID,
        ground=C,
    )
    PATIENT_RESTRICTION_LIFTED = _spec(
        "patient.restriction_lifted",
        "patient",
        "The use of the patient’s data is no longer restricted ({because}).",
        "L’utilisation des données du patient n’est plus limitée ({because}).",
        because=C,
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
    REPRESENTATION_CHANGED = _spec(
        "representative.changed",
        "representative",
        "What a representative may do was changed ({fields}).",
        "Les droits d’un représentant ont été modifiés ({fields}).",
        representative=ID,
        fields=CS,
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
    CONTACT_POINT_BOUNCED = _spec(
        "contact_point.bounced",
        "contact_point",
        "A carrier says that an address is no more ({reason}): it has to be checked anew.",
        "Un transporteur signale une adresse qui n’existe plus ({reason}) : elle doit être vérifiée de nouveau.",
        contact_point=ID,
        reason=C,
    )
    CONTACT_POINT_REMOVED = _spec(
        "contact_point.removed",
        "contact_point",
        "A contact point was removed ({reason}).",
        "Un moyen de contact a été retiré ({reason}).",
        contact_point=ID,
        reason=C,
    )
    CONTACT_SUPPRESSED = _spec(
        "contact_point.suppressed",
        "contact_point",
        "An address was put on the suppression list ({channels}, {source}): nothing is sent there any more.",
        "Une adresse a été inscrite sur la liste repoussoir ({channels}, {source}) : plus rien n’y est envoyé.",
        channels=CS,
        source=C,
    )
    SUPPRESSION_LIFTED = _spec(
        "contact_point.suppression_lifted",
        "contact_point",
        "An address was taken off the suppression list ({channel}, {reason}).",
        "Une adresse a été retirée de la liste repoussoir ({channel}, {reason}).",
        contact_point=ID,
        channel=C,
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
    PURPOSE_ASSESSED = _spec(
        "purpose.assessed",
        "purpose",
        "The impact assessment of the purpose {purpose} was noted.",
        "L’analyse d’impact de la finalité {purpose} a été enregistrée.",
        purpose=C,
    )
    PURPOSE_REMINDS = _spec(
        "purpose.reminds",
        "purpose",
        "Reminders that a consent to the purpose {purpose} ends soon were switched {switched}.",
        "Rappels de fin prochaine d’un consentement à la finalité {purpose} : {switched}.",
        purpose=C,
        switched=C,
    )
    PURPOSE_BASIS_CORRECTED = _spec(
        "purpose.basis_corrected",
        "purpose",
        "The legal basis of the purpose {purpose} was put right: {basis}.",
        "La base légale de la finalité {purpose} a été rectifiée : {basis}.",
        purpose=C,
        basis=C,
    )
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
    NOTICE_DRAFTED = _spec(
        "notice.drafted",
        "notice",
        "A notice was written.",
        "Une notice a été rédigée.",
        notice=ID,
    )
    NOTICE_APPROVED = _spec(
        "notice.approved",
        "notice",
        "The data protection officer approved a notice ({materiality}).",
        "Le délégué à la protection des données a approuvé une notice ({materiality}).",
        notice=ID,
        materiality=C,
    )
    NOTICE_SERVED = _spec(
        "consent.notice_served",
        "consent",
        "Version {version} of the notice was shown to the patient ({language}).",
        "La version {version} de la notice a été montrée au patient ({language}).",
        served=ID,
        version=N,
        language=C,
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
    RECEIPT_ISSUED = _spec(
        "receipt.issued",
        "receipt",
        "A receipt of what was said about {purpose} by {channel} was issued ({form}).",
        "Un reçu de ce qui a été dit au sujet de {purpose} par {channel} a été délivré ({form}).",
        receipt=ID,
        event=ID,
        purpose=C,
        channel=C,
        form=C,
        sha256=H,
    )
    CONSENT_RENEWED = _spec(
        "consent.renewed",
        "consent",
        "Consent was renewed for {purpose} by {channel} ({method}).",
        "Un consentement a été renouvelé pour {purpose} par {channel} ({method}).",
        purpose=C,
        channel=C,
        method=C,
        event=ID,
        notice_version=N,
    )
    CONSENT_PENDING = _spec(
        "consent.pending",
        "consent",
        "Consent for {purpose} by {channel} waits to be confirmed ({method}).",
        "Un consentement pour {purpose} par {channel} attend d’être confirmé ({method}).",
        purpose=C,
        channel=C,
        method=C,
        event=ID,
        notice_version=N,
    )
    CONSENT_REQUESTED = _spec(
        "consent.requested",
        "consent",
        "The patient was asked for consent for {purpose} by {channel}.",
        "Un consentement a été demandé pour {purpose} par {channel}.",
        purpose=C,
        channel=C,
        event=ID,
    )
    CONSENT_DEFERRED = _spec(
        "consent.deferred",
        "consent",
        "The patient put off the question about {purpose} by {channel}.",
        "Le patient a remis à plus tard la question sur {purpose} par {channel}.",
        purpose=C,
        channel=C,
        event=ID,
    )
    CONSENT_UNKNOWN = _spec(
        "consent.unknown",
        "consent",
        "A consent for {purpose} by {channel} was claimed without proof; it counts as none.",
        "Un consentement pour {purpose} par {channel} a été allégué sans preuve ; il ne compte pas.",
        purpose=C,
        channel=C,
        event=ID,
    )
    CONSENT_OBJECTED = _spec(
        "consent.objected",
        "consent",
        "The patient objected to {purpose} by {channel}.",
        "Le patient s’est opposé à {purpose} par {channel}.",
        purpose=C,
        channel=C,
        event=ID,
    )
    CONSENT_OBJECTION_LIFTED = _spec(
        "consent.objection_lifted",
        "consent",
        "No objection to {purpose} by {channel} stands any more; nothing is consented to.",
        "Plus aucune opposition ne vise {purpose} par {channel} ; rien n’est consenti.",
        purpose=C,
        channel=C,
        event=ID,
    )
    CONSENT_EXPIRED = _spec(
        "consent.expired",
        "consent",
        "Consent for {purpose} by {channel} ran out.",
        "Le consentement pour {purpose} par {channel} a expiré.",
        purpose=C,
        channel=C,
        event=ID,
    )
    CONSENT_RECONSENT_REQUIRED = _spec(
        "consent.reconsent_required",
        "consent",
        "The notice has changed: consent for {purpose} by {channel} has to be asked for again.",
        "La notice a changé : le consentement pour {purpose} par {channel} doit être redemandé.",
        purpose=C,
        channel=C,
        event=ID,
    )
    CONSENT_ENDED = _spec(
        "consent.ended",
        "consent",
        "The patient is of age: a guardian’s consent for {purpose} by {channel} ended.",
        "Le patient est majeur : le consentement d’un représentant pour {purpose} par {channel} a pris fin.",
        purpose=C,
        channel=C,
        event=ID,
    )
    CONSENT_AGE_CORRECTED = _spec(
        "consent.age_corrected",
        "consent",
        "The birth date was put right: a guardian’s consent for {purpose} by {channel} ends on another day.",
        "La date de naissance a été corrigée : le consentement d’un représentant pour {purpose} par {channel} "
        "prend fin à une autre date.",
        purpose=C,
        channel=C,
        event=ID,
    )
    AGES_JUDGED = _spec(
        "consent.age_judged",
        "consent",
        "The birth date was put right: what was said is judged by it.",
        "La date de naissance a été corrigée : ce qui a été dit est réexaminé.",
    )
    CONSENT_REVOKED = _spec(
        "consent.revoked",
        "consent",
        "The clinic gave up a consent for {purpose} by {channel}.",
        "L’établissement a renoncé à un consentement pour {purpose} par {channel}.",
        purpose=C,
        channel=C,
        event=ID,
    )
    CONSENT_INVALIDATED = _spec(
        "consent.invalidated",
        "consent",
        "A consent for {purpose} by {channel} was found not to have been properly collected; it ended.",
        "Un consentement pour {purpose} par {channel}, mal recueilli, a été invalidé.",
        purpose=C,
        channel=C,
        event=ID,
    )
    CONSENT_ENTERED_IN_ERROR = _spec(
        "consent.entered_in_error",
        "consent",
        "Two people agreed that something was entered by mistake for {purpose} by {channel}.",
        "Deux personnes ont constaté une erreur de saisie pour {purpose} par {channel}.",
        purpose=C,
        channel=C,
        event=ID,
    )
    CONSENT_ERROR_REPORTED = _spec(
        "consent.error_reported",
        "consent",
        "Somebody reported that a consent was entered by mistake ({reason}).",
        "Une erreur de saisie d’un consentement a été signalée ({reason}).",
        event=ID,
        reason=C,
    )
    OBJECTION_MADE = _spec(
        "objection.made",
        "objection",
        "The patient objected ({scope}, {purpose}).",
        "Le patient a exprimé une opposition ({scope}, {purpose}).",
        objection=ID,
        purpose=C,
        scope=C,
    )
    OBJECTION_TAKEN_BACK = _spec(
        "objection.taken_back",
        "objection",
        "The patient took an objection back ({scope}, {purpose}).",
        "Le patient a retiré une opposition ({scope}, {purpose}).",
        objection=ID,
        purpose=C,
        scope=C,
    )
    LINKS_MADE = _spec(
        "link.made",
        "link",
        "A link was made by which messages ({purpose}, {channel}) are stopped without signing in.",
        "Un lien a été créé, qui permet d’arrêter les messages ({purpose}, {channel}) sans se connecter.",
        link=ID,
        purpose=C,
        channel=C,
    )
    STOP_RECEIVED = _spec(
        "stop.received",
        "stop",
        "STOP came by SMS from a number that {patients} patients have: nothing more is sent to it.",
        "Un STOP est arrivé par SMS d’un numéro que {patients} patients ont : plus rien n’y est envoyé.",
        stop=ID,
        patients=N,
    )
    STOPS_READ = _spec(
        "stop.read",
        "stop",
        "The list of STOPs received was looked at ({count}).",
        "La liste des STOP reçus a été consultée ({count}).",
        count=N,
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
    PREFERENCES_PREVIEWED = _spec(
        "preference.previewed",
        "preference",
        "Somebody looked at what other preferences ({fields}) would have changed in the last {days} days; nothing was "
        "changed.",
        "On a regardé ce que d’autres préférences ({fields}) auraient changé sur les {days} derniers jours ; rien n’a "
        "été modifié.",
        fields=CS,
        days=N,
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
        "message.planning",
        "message",
        "It was worked out which of {candidates} messages may go to whom; birth dates were looked at.",
        "Il a été établi lesquels des {candidates} messages peuvent partir, et à qui ; "
        "des dates de naissance ont été lues.",
        candidates=N,
    )
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
    LETTERS_PRINTED = _spec(
        "message.printed",
        "message",
        "The letters of a print batch were made into a PDF ({count}); addresses and words are read.",
        "Les courriers d’un lot d’impression ont été mis en PDF ({count}) ; adresses et textes sont lus.",
        batch=ID,
        count=N,
    )
    CALL_TAKEN = _spec(
        "call.taken",
        "message",
        "Somebody of the staff took a call from the list; the number and the words are shown.",
        "Une personne de l’établissement prend un appel de la liste ; le numéro et les mots lui sont montrés.",
        message=ID,
        attempt=ID,
    )
    CALL_ENDED = _spec(
        "call.ended",
        "message",
        "It was said how a call ended ({result}).",
        "Il a été dit comment un appel s’est terminé ({result}).",
        message=ID,
        attempt=ID,
        result=C,
    )
    MESSAGE_SOUGHT = _spec(
        "message.sought",
        "message",
        "The carrier {carrier} was asked whether it has a message that is in doubt; the data to compare is read.",
        "Il a été demandé à {carrier} s’il a un message dont l’envoi est incertain ; les données à comparer sont lues.",
        message=ID,
        carrier=C,
    )
    MESSAGE_DOUBT_SETTLED = _spec(
        "message.doubt_settled",
        "message",
        "It is known now whether a message that was in doubt left: {left} (by {how}).",
        "On sait désormais si un message incertain est parti : {left} (par {how}).",
        message=ID,
        attempt=ID,
        left=C,
        how=C,
    )
    MESSAGE_REPORT_KEPT = _spec(
        "message.report_kept",
        "message",
        "A report of {carrier} about a message was put down, to be acted upon ({state}, {code}).",
        "Un compte rendu de {carrier} sur un message a été noté, pour être traité ({state}, {code}).",
        message=ID,
        carrier=C,
        state=C,
        code=C,
    )
    MESSAGE_REPORTED = _spec(
        "message.reported",
        "message",
        "The carrier {carrier} says what became of a message: {state} ({code}).",
        "Le transporteur {carrier} indique ce qu’un message est devenu : {state} ({code}).",
        message=ID,
        carrier=C,
        state=C,
        code=C,
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
    TEMPLATE_DRAFTED = _spec(
        "template.drafted",
        "template",
        "Revision {revision} of the draft of the template {template} was saved; the linter refuses {refused} points.",
        "Révision {revision} du brouillon du modèle {template} enregistrée\u00a0; {refused} points y sont refusés.",
        template=C,
        revision=N,
        refused=N,
    )
    TEMPLATE_DISCARDED = _spec(
        "template.discarded",
        "template",
        "The draft of the template {template} was thrown away.",
        "Le brouillon du modèle {template} a été abandonné.",
        template=C,
        revision=N,
    )
    TEMPLATE_APPROVED = _spec(
        "template.approved",
        "template",
        "A health professional approved revision {revision} of the draft of the template {template}.",
        "Un professionnel de santé a approuvé la révision {revision} du brouillon du modèle {template}.",
        template=C,
        revision=N,
    )
    MESSAGE_REWORDED = _spec(
        "message.reworded",
        "message",
        "A planned message takes its words from version {version} of the template {template}.",
        "Un message prévu prend ses mots de la version {version} du modèle {template}.",
        message=ID,
        template=C,
        version=N,
    )
    ENTRIES_REFUSED = _spec(
        "log.entries_refused",
        "log",
        "{count} rows among the entries were not written by Accord and got no place in any log ({reason}).",
        "{count} lignes parmi les entrées n’ont pas été écrites par Accord et n’ont leur place dans aucun journal "
        "({reason}).",
        count=N,
        reason=C,
    )
    CHECKPOINTS_SENT = _spec(
        "log.checkpoints_sent",
        "log",
        "The signed checkpoints of {count} logs were put where the data protection officer keeps them ({place}).",
        "Les points de contrôle signés de {count} journaux ont été remis à la personne déléguée à la protection des "
        "données ({place}).",
        count=N,
        place=C,
    )
    CONSENTS_EXPORTED = _spec(
        "consent.exported",
        "consent",
        "Consents and their events were exported ({forms}{first_day:, from §|}{last_day:, until §|}, "
        "{purposes:for §|for all purposes}).",
        "Des consentements et leurs événements ont été exportés ({forms}{first_day:, à partir du §|}"
        "{last_day:, jusqu’au §|}, {purposes:pour §|pour toutes les finalités}).",
        export=ID,
        forms=CS,
        purposes=CS,
        first_day=C,
        last_day=C,
    )
    OWN_DATA_EXPORTED = _spec(
        "patient.data_exported",
        "patient",
        "What a patient gave was handed out in a form that other programs read ({form}: {parts}).",
        "Ce qu’un patient avait fourni a été remis sous une forme que d’autres programmes lisent ({form} : {parts}).",
        form=C,
        parts=CS,
    )
    LOG_EXPORTED = _spec(
        "log.exported",
        "log",
        "The log was exported ({contents}).",
        "Le journal a été exporté ({contents}).",
        export=ID,
        contents=CS,
    )
    LOG_VERIFIED = _spec(
        "log.verified",
        "log",
        "The log was verified, {count} entries: {result}.",
        "Le journal a été vérifié, {count} entrées : {result}.",
        count=N,
        result=C,
    )
    LOG_READ = _spec("log.read", "log", "The log was looked at.", "Le journal a été consulté.", count=N)

    @property
    def spec(self) -> ActionSpec:
        """What the list says of this action."""
        return self._value_  # `value` is a slower way to the same

    def checked(self, details: Mapping[str, object]) -> dict[str, object]:
        """The details as they are stored. Raises DetailRefused."""
        spec = self.spec
        if details.keys() != spec.details.keys():
            wrong = ", ".join(sorted(details.keys() ^ spec.details.keys()))
            raise DetailRefused(f"{spec.code}: details that do not fit: {wrong}")
        return {name: _checked(kind, details[name]) for name, kind in spec.details.items()}

    def sentence(self, language: Language, details: Mapping[str, object]) -> str:
        """What happened, for people."""
        template = self.spec.french if language is Language.FRENCH else self.spec.english
        shown = {
            name: _Word(", ".join(map(str, value)) if isinstance(value, list) else str(value))
            for name, value in details.items()
        }
        return template.format_map(_Shown(shown))


UNSAID: Final = frozenset({"", "any"})
"""Nothing was asked for in particular: a sentence does not say that by a code."""


class _Word(str):
    """A detail in a sentence. `{first_day:from §|at any time}`: the former where a day was said, else the latter."""

    __slots__ = ()

    def __format__(self, wanted: str) -> str:
        if not wanted:
            return str(self)
        said, _bar, unsaid = wanted.partition("|")
        return unsaid if self in UNSAID else said.replace("§", self)


class _Shown(dict[str, _Word]):
    def __missing__(self, name: str) -> _Word:
        return _Word("•••")


BY_CODE: Final[Mapping[str, Action]] = {action.spec.code: action for action in Action}


def _checked(kind: Kind, value: object) -> object:
    # The two kinds that nearly all details are come first: this runs for every detail of every entry.
    if kind is C and isinstance(value, str) and CODE.fullmatch(value):
        return str(value)
    if kind is ID and isinstance(value, UUID):
        return str(value)
    match kind, value:
        case Kind.COUNT, int() if not isinstance(value, bool) and 0 <= value < 2**53:
            return int(value)
        case Kind.HASH, str() if HASH.fullmatch(value):
            return str(value)
        case Kind.CODES, list() | tuple() | frozenset() | set():
            return [_checked(C, item) for item in (value if isinstance(value, list | tuple) else sorted(value))]
        case Kind.IDS, list() | tuple():
            return [_checked(ID, item) for item in value]
    raise DetailRefused(f"a detail is no {kind}")
