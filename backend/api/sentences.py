"""What codes mean, for people, in French and in English. The codes are the contract; the sentences may be reworded."""

from collections.abc import Iterable, Mapping
from typing import Final

from backend.patients.sources.reasons import REASONS as SOURCE_REASONS
from backend.patients.sources.reasons import Why
from backend.policy.contact import Remedy
from backend.policy.vocabulary import Channel, Decision, Language, Method, Reason, Stays


def _both(french: str, english: str) -> Mapping[Language, str]:
    return {Language.FRENCH: french, Language.ENGLISH: english}


REASONS: Final[Mapping[Reason, Mapping[Language, str]]] = {
    Reason.DECEASED: _both("Le patient est décédé.", "The patient has died."),
    Reason.ERASED: _both("Les données du patient ont été effacées.", "The patient’s data was erased."),
    Reason.RESTRICTED: _both("L’utilisation des données est limitée.", "The use of the data is restricted."),
    Reason.OBJECTED: _both("Une opposition a été exprimée.", "There is an objection to this."),
    Reason.PURPOSE_UNKNOWN: _both("La finalité du message n’existe pas.", "The purpose of the message does not exist."),
    Reason.CHANNEL_NOT_OF_PURPOSE: _both(
        "Cette finalité n’est pas proposée sur ce canal.", "This purpose is not offered on this channel."
    ),
    Reason.NO_CONSENT: _both(
        "Aucun accord n’a été donné pour cette finalité sur ce canal.",
        "No consent was given to this purpose on this channel.",
    ),
    Reason.CONSENT_PENDING: _both("L’accord n’est pas encore confirmé.", "The consent is not confirmed yet."),
    Reason.CONSENT_REFUSED: _both(
        "L’accord a été refusé pour cette finalité sur ce canal.",
        "Consent was refused for this purpose on this channel.",
    ),
    Reason.CONSENT_WITHDRAWN: _both(
        "L’accord a été retiré pour cette finalité sur ce canal.",
        "Consent was withdrawn for this purpose on this channel.",
    ),
    Reason.CONSENT_NOT_YET_VALID: _both("L’accord ne vaut pas encore.", "The consent is not valid yet."),
    Reason.CONSENT_EXPIRED: _both("L’accord a expiré.", "The consent has expired."),
    Reason.RECONSENT_REQUIRED: _both("L’accord doit être demandé à nouveau.", "Consent has to be asked for again."),
    Reason.CONSENT_ENDED: _both("L’accord a pris fin.", "The consent has ended."),
    Reason.SUPPRESSED: _both(
        "Plus rien ne doit être envoyé à cette adresse ou à ce numéro.",
        "Nothing may be sent to this address or number any more.",
    ),
    Reason.NO_CONTACT_POINT: _both(
        "Aucune adresse ni aucun numéro n’est connu pour ce canal.", "No address or number is known for this channel."
    ),
    Reason.CONTACT_UNUSABLE: _both(
        "L’adresse ou le numéro n’est pas utilisable.", "The address or number can not be used."
    ),
    Reason.CONTACT_UNVERIFIED: _both(
        "Personne n’a encore vérifié l’adresse ou le numéro.", "Nobody has checked the address or number yet."
    ),
    Reason.REPRESENTATION_ENDED: _both(
        "Cette personne ne représente plus le patient.", "This person no longer represents the patient."
    ),
    Reason.CONFIDENTIAL_FROM_REPRESENTATIVE: _both(
        "Le patient a demandé que son représentant n’en soit pas informé.",
        "The patient asked that their representative is not told.",
    ),
    Reason.PROGRAMME_NOT_RUNNING: _both("Le programme n’est pas en marche.", "The programme is not running."),
    Reason.OCCASION_CHANGED: _both(
        "Le rendez-vous ou l’événement a changé depuis.", "The appointment or event has changed since."
    ),
    Reason.TOO_LATE: _both("Le message arriverait trop tard pour être utile.", "The message would come too late."),
    Reason.LEGAL_WINDOW: _both(
        "La loi ne permet pas cet envoi à cette heure ou ce jour-là.",
        "The law allows no such message at this hour or on this day.",
    ),
    Reason.PURPOSE_SWITCHED_OFF: _both(
        "Cette finalité est désactivée dans les préférences.", "This purpose is switched off in the preferences."
    ),
    Reason.CHANNEL_SWITCHED_OFF: _both(
        "Ce canal est désactivé dans les préférences.", "This channel is switched off in the preferences."
    ),
    Reason.DAILY_LIMIT: _both(
        "Assez de messages sont partis vers cette personne en un jour ; aucun programme ne peut passer outre.",
        "Enough messages went to this person within a day; no programme can go beyond that.",
    ),
    Reason.PAUSED: _both("Une pause a été demandée.", "A pause was asked for."),
    Reason.FREQUENCY_CAP: _both(
        "Le nombre de messages souhaité est déjà atteint.", "As many messages as wanted were sent already."
    ),
    Reason.QUIET_HOURS: _both("Ce sont les heures de silence choisies.", "These are the quiet hours that were chosen."),
    Reason.DIGEST: _both(
        "Les messages sont souhaités ensemble, une fois par jour.", "Messages are wanted together, once a day."
    ),
    Reason.NO_TEMPLATE: _both(
        "L’établissement n’a pas de texte pour ce canal.", "The clinic has no text for this channel."
    ),
}

REMEDIES: Final[Mapping[Remedy, Mapping[Language, str]]] = {
    Remedy.GIVE_CONSENT: _both("Donner son accord.", "Give consent."),
    Remedy.CONFIRM_CONSENT: _both("Confirmer l’accord.", "Confirm the consent."),
    Remedy.RENEW_CONSENT: _both("Renouveler l’accord.", "Renew the consent."),
    Remedy.TAKE_BACK_OBJECTION: _both("Revenir sur l’opposition.", "Take the objection back."),
    Remedy.LIFT_RESTRICTION: _both("Lever la limitation.", "Lift the restriction."),
    Remedy.LIFT_SUPPRESSION: _both(
        "Demander à nouveau des messages à cette adresse ou à ce numéro.",
        "Ask for messages to this address or number again.",
    ),
    Remedy.ADD_CONTACT_POINT: _both(
        "Indiquer une adresse ou un numéro qui fonctionne.", "Give an address or number that works."
    ),
    Remedy.VERIFY_CONTACT_POINT: _both("Vérifier l’adresse ou le numéro.", "Verify the address or number."),
    Remedy.CHOOSE_OTHER_CHANNEL: _both("Choisir un autre canal.", "Choose another channel."),
    Remedy.RUN_PROGRAMME: _both("Mettre le programme en marche.", "Start the programme."),
    Remedy.SWITCH_PURPOSE_ON: _both("Réactiver cette finalité.", "Switch this purpose on again."),
    Remedy.SWITCH_CHANNEL_ON: _both("Réactiver ce canal.", "Switch this channel on again."),
    Remedy.END_PAUSE: _both("Mettre fin à la pause.", "End the pause."),
    Remedy.CHANGE_PREFERENCES: _both("Modifier les préférences.", "Change the preferences."),
    Remedy.WRITE_TEMPLATE: _both("Écrire un texte pour ce canal.", "Write a text for this channel."),
    Remedy.WAIT: _both("Attendre.", "Wait."),
    Remedy.NONE: _both("Rien ne changerait la réponse.", "Nothing would change the answer."),
}

PROBLEMS: Final[Mapping[str, Mapping[Language, str]]] = {
    "invalid": _both("Une valeur n’est pas utilisable.", "A value can not be used."),
    "bad_request": _both("La demande n’est pas lisible.", "The request can not be read."),
    "malformed": _both("Le corps de la demande n’est pas du JSON correct.", "The body is not correct JSON."),
    "not_authenticated": _both("Un jeton d’accès est nécessaire.", "An access token is needed."),
    "authentication_failed": _both(
        "Le jeton d’accès est inconnu, révoqué ou expiré.", "The access token is unknown, revoked or expired."
    ),
    "permission_denied": _both("Ce jeton ne permet pas cela.", "This token does not allow this."),
    "wrong_role": _both("Ce jeton ne permet pas cela.", "This token does not allow this."),
    "not_represented": _both(
        "Cette personne ne représente pas le patient, ou pas pour cela.",
        "This person does not represent the patient, or not for this.",
    ),
    "decides_alone": _both("À cet âge, le patient décide seul.", "At this age the patient decides alone."),
    "not_a_member": _both(
        "Le porteur de ce jeton ne travaille plus ici.", "The holder of this token does not work here any more."
    ),
    "not_found": _both("Il n’y a rien à cette adresse.", "There is nothing here under this address."),
    "dpo_key_refused": _both(
        "Ceci n’est pas une clé publique X25519 au format PEM (openssl genpkey -algorithm X25519).",
        "This is no public X25519 key in PEM form (openssl genpkey -algorithm X25519).",
    ),
    "private_key_sent": _both(
        "Ceci est une clé privée : elle ne quitte jamais votre machine. Envoyez la clé publique "
        "(openssl pkey -pubout).",
        "This is a private key: it never leaves your machine. Send the public key (openssl pkey -pubout).",
    ),
    "log_not_at_rest": _both(
        "Le journal n’est pas encore au repos : réessayez dans un instant.",
        "The log did not come to rest in time: try again in a moment.",
    ),
    "log_inconsistent": _both(
        "Le journal ne continue pas ce qui a été signé : plus rien n’est signé.",
        "The log does not continue what was signed before: nothing is signed any more.",
    ),
    "method_not_allowed": _both("Cette méthode n’existe pas ici.", "This method does not exist here."),
    "not_acceptable": _both("Les réponses sont en JSON.", "Answers are JSON."),
    "unsupported_media_type": _both("Le corps doit être en JSON.", "The body must be JSON."),
    "signature_refused": _both(
        "La signature de cet appel est absente ou fausse.", "The signature of this call is missing or wrong."
    ),
    "too_large": _both("Le corps est trop grand.", "The body is too large."),
    "throttled": _both("Trop de demandes : attendez un peu.", "Too many requests: wait a little."),
    "conflict": _both(
        "La même chose vient d’être faite par quelqu’un d’autre : relisez.",
        "Somebody did the same at the same moment: read again.",
    ),
    "precondition_required": _both(
        "Lisez d’abord, puis envoyez l’ETag reçu dans If-Match.", "Read first, then send the ETag in If-Match."
    ),
    "idempotency_key_reused": _both(
        "Cette clé d’idempotence a servi à une autre demande.", "This idempotency key was used for another request."
    ),
    "idempotency_key_in_use": _both(
        "La première demande avec cette clé est encore en cours.", "The first request with this key is still running."
    ),
    "server_error": _both(
        "Une erreur s’est produite ; l’identifiant de la demande aide à la trouver.",
        "Something went wrong; the request id helps to find it.",
    ),
    # What operations refuse.
    "refused": _both("Ce n’est pas possible.", "This can not be done."),
    "no_yes_stands": _both(
        "Cette forme de reçu n’existe que pour un accord qui est en vigueur.",
        "This form of a receipt exists only where a yes stands.",
    ),
    "notice_outdated": _both(
        "La notice a changé : montrez la version actuelle et demandez à nouveau.",
        "The notice has changed: show the current one and ask again.",
    ),
    "age_unknown": _both(
        "La date de naissance n’est pas connue : renseignez-la, ou attestez par écrit ou de vive voix "
        "que cette personne est majeure.",
        "The birth date is not known: enter it, or attest on paper or aloud that this person is of age.",
    ),
    "notice_not_approved": _both(
        "Le délégué à la protection des données n’a pas encore approuvé cette notice.",
        "The data protection officer has not approved this notice yet.",
    ),
    "notice_already_approved": _both(
        "Cette notice est déjà approuvée : rédigez-en une nouvelle.",
        "This notice was approved already: write a new one.",
    ),
    "notice_incomplete": _both(
        "Cette notice ne dit pas tout ce que la loi demande.",
        "This notice does not name everything that the law asks for.",
    ),
    "notice_already_published": _both("Cette notice est déjà publiée.", "This notice was published already."),
    "already_answered": _both("Il y a déjà une réponse.", "This was answered already."),
    "asked_too_often": _both(
        "Cette adresse a déjà été sollicitée plusieurs fois aujourd’hui : attendez un jour.",
        "This address was asked several times today. Wait a day.",
    ),
    "address_suppressed": _both(
        "Cette adresse est sur la liste repoussoir : rien n’y est demandé.",
        "This address is on the suppression list: nothing is asked there.",
    ),
    "processing_restricted": _both(
        "Le traitement des données de ce patient est limité : rien ne lui est demandé pour l’instant.",
        "The processing of this patient’s data is restricted: nothing is asked now.",
    ),
    "link_too_old": _both("Ce lien est trop ancien.", "This link is too old."),
    "officer_needed": _both(
        "La personne déléguée à la protection des données doit confirmer.",
        "The data protection officer has to confirm this.",
    ),
    "second_person_needed": _both("Une autre personne doit confirmer.", "Somebody else has to confirm this."),
    "objection_stands": _both(
        "Une opposition a été exprimée : elle doit d’abord être retirée.",
        "There is an objection to this: it has to be taken back first.",
    ),
    "evidence_missing": _both(
        "Cette façon de recueillir l’accord demande une preuve.", "This way of consenting needs its evidence."
    ),
    "patient_deceased": _both("Ce patient est décédé.", "This patient has died."),
    "preferences_changed": _both(
        "Les préférences ont été modifiées entre-temps : relisez-les.",
        "The preferences were changed meanwhile: read them again.",
    ),
    "programme_exists": _both(
        "Un programme porte déjà ce nom court.", "There is a programme with this short name already."
    ),
    "programme_not_approved": _both(
        "Aucun professionnel de santé n’a encore approuvé cette version.",
        "A health professional has not approved this version yet.",
    ),
    "purpose_not_assessed": _both(
        "Le délégué à la protection des données n’a pas encore enregistré l’analyse d’impact de cette finalité.",
        "The data protection officer has not noted the impact assessment of this purpose yet.",
    ),
    "not_a_health_professional": _both(
        "Seul un professionnel de santé de cet établissement peut approuver un programme.",
        "Only a health professional of this clinic can approve a programme.",
    ),
    "template_refused": _both(
        "Le relecteur refuse quelque chose dans ces mots : lisez ce qu’il a trouvé.",
        "The linter refuses something in these words: read what it found.",
    ),
    "template_not_approved": _both(
        "Un professionnel de santé, autre que l’auteur, n’a pas encore approuvé ces mots.",
        "A health professional other than the writer has not approved these words yet.",
    ),
    "own_words": _both(
        "Les mots que vous avez écrits doivent être approuvés par quelqu’un d’autre.",
        "Somebody else has to approve the words that you wrote.",
    ),
    "template_needs_professional": _both(
        "Seul un professionnel de santé de cet établissement peut approuver un modèle.",
        "Only a health professional of this clinic can approve a template.",
    ),
    "draft_changed": _both(
        "Le brouillon a été modifié entre-temps : relisez-le.", "The draft was changed meanwhile: read it again."
    ),
    "programme_version_changed": _both(
        "Le programme a été modifié entre-temps : relisez-le.", "The programme was changed meanwhile: read it again."
    ),
    "code_refused": _both(
        "Ce code est faux ou trop ancien. Demandez-en un nouveau.",
        "This code is wrong or too old. Ask for a new one.",
    ),
    "code_too_soon": _both(
        "Un code vient d’être envoyé. Attendez une demi-minute avant d’en demander un autre.",
        "A code was sent a moment ago. Wait half a minute before you ask for another.",
    ),
    "contact_point_unusable": _both(
        "Ce moyen de contact n’est pas utilisable : corrigez-le d’abord.",
        "This contact point can not be used: correct it first.",
    ),
    "said_meanwhile": _both(
        "Le patient a dit autre chose depuis : redemandez-lui.",
        "The patient has said something else since then: ask again.",
    ),
    "purpose_exists": _both(
        "Une finalité porte déjà ce nom court.", "There is a purpose with this short name already."
    ),
    "clinic_exists": _both(
        "Un établissement porte déjà ce nom court.", "There is a clinic with this short name already."
    ),
    "source_refused": _both("Il n’y a rien à importer.", "There is nothing here that could be imported."),
    "patient_exists": _both(
        "Un patient porte déjà l’un de ces identifiants.", "A patient already has one of these identifiers."
    ),
    "occasion_exists": _both("Cet événement existe déjà.", "This occasion exists already."),
    "import_refused": _both("Cela n’a pas pu être repris.", "This could not be taken over."),
    "lifting_refused": _both(
        "Seuls un nouvel accord du patient ou le délégué à la protection des données retirent une adresse de la liste.",
        "Only a new consent of the patient, or the data protection officer, takes an address off the list.",
    ),
    "call_not_waiting": _both(
        "Cet appel n’attend pas : quelqu’un d’autre l’a pris, il a été fait, ou ce n’est pas l’heure.",
        "This call is not waiting: somebody else has it, it was made, or it is not due.",
    ),
    "call_not_taken": _both(
        "Personne n’a cet appel en main, ou il a déjà été dit comment il s’est terminé.",
        "Nobody has this call in hand, or it was said already how it ended.",
    ),
    "call_not_allowed": _both(
        "Cet appel ne peut pas être passé, ou pas maintenant.", "This call may not be made, or not now."
    ),
    "nothing_to_print": _both("Il n’y a pas de courrier à imprimer maintenant.", "There is no letter to print now."),
    "not_in_doubt": _both(
        "On sait déjà ce qu’est devenu ce message.", "It is known already what became of this message."
    ),
    "log_memory_damaged": _both(
        "Ce qui a été gardé des points de contrôle signés du journal n’est pas lisible.",
        "What was kept of the log’s signed checkpoints can not be read.",
    ),
}

# What is wrong with one value. Never what was sent: it may be personal, and an answer is copied into logs.
FIELDS: Final[Mapping[str, Mapping[Language, str]]] = {
    "required": _both("Ce champ est obligatoire.", "This field is required."),
    "null": _both("Ce champ ne peut pas être nul.", "This field may not be null."),
    "blank": _both("Ce champ ne peut pas être vide.", "This field may not be blank."),
    "empty": _both("Cette liste ne peut pas être vide.", "This list may not be empty."),
    "not_a_list": _both("Ce doit être une liste.", "This must be a list."),
    "not_a_dict": _both("Ce doit être un objet avec des champs nommés.", "This must be an object with named fields."),
    "text": _both("Ce doit être un texte.", "This must be a text."),
    "line": _both(
        "Ce texte doit tenir sur une ligne, sans caractère de contrôle.",
        "This text must be one line, without control characters.",
    ),
    "bad_character": SOURCE_REASONS[Why.BAD_CHARACTER],
    "slug": _both(
        "Seuls de petites lettres sans accent, des chiffres, - et _ sont possibles, avec une lettre ou un chiffre au "
        "début et à la fin.",
        "Only small letters, digits, - and _ are possible, with a letter or a digit at the beginning and the end.",
    ),
    "whole": _both("Ce doit être un nombre entier.", "This must be a whole number."),
    "yes_no": _both("Ce doit être true ou false.", "This must be true or false."),
    "id": _both("Ce doit être un id de 36 caractères.", "This must be an id of 36 characters."),
    "choice": _both("Les valeurs possibles sont : {words}.", "The possible values are: {words}."),
    "moment": _both(
        "Ce doit être une heure avec son fuseau, comme 2026-03-09T14:30:00+01:00.",
        "This must be a time with its offset, such as 2026-03-09T14:30:00+01:00.",
    ),
    "day": _both(
        "Ce doit être un jour du calendrier, comme 2026-03-09.",
        "This must be a day of the calendar, such as 2026-03-09.",
    ),
    "hour": _both("Ce doit être une heure, comme 22:00.", "This must be a time of day, such as 22:00."),
    "range": _both("L’année doit être entre 1900 et 2199.", "The year must be between 1900 and 2199."),
    "same_hours": _both(
        "Le début et la fin sont la même heure. Pour ne plus avoir d’heures de silence, envoyez null.",
        "From and to are the same hour. To have no quiet hours, send null.",
    ),
    "country": _both(
        "Ce pays n’est pas connu : écrivez son nom en français ou en anglais, ou ses deux lettres.",
        "This country is not known: write its name in French or English, or its two letters.",
    ),
    "date_in_future": SOURCE_REASONS[Why.DATE_IN_FUTURE],
    "date_out_of_range": SOURCE_REASONS[Why.DATE_OUT_OF_RANGE],
    "end_before_start": SOURCE_REASONS[Why.END_BEFORE_START],
    "unknown_field": _both("Ce champ n’est pas connu.", "This field is not known."),
    "unknown_parameter": _both(
        "Ce paramètre n’est pas connu ici. Sont connus : {words}.",
        "This parameter is not known here. Known are: {words}.",
    ),
    "limit": _both("Ce doit être un nombre entier de 1 à 100.", "This must be a whole number from 1 to 100."),
    "cursor": _both(
        "Ce curseur n’est pas le « next » d’une page précédente.", "This cursor is not the “next” of a page before."
    ),
    "idempotency_key": _both(
        "La clé doit avoir de 1 à 255 caractères visibles.", "The key must have 1 to 255 visible characters."
    ),
    "exactly_one": _both("Il en faut exactement un : {words}.", "Exactly one is needed: {words}."),
    "topic_of_immunisations_only": _both(
        "Un vaccin demande un sujet, le reste n’en a pas. Les valeurs possibles sont : {words}.",
        "An immunisation needs a topic, and nothing else has one. The possible values are: {words}.",
    ),
    "variant_twice": _both(
        "Deux textes sont pour le même canal, la même langue et le même ton.",
        "Two texts are for the same channel, language and tone.",
    ),
    "evidence_of_another_method": _both(
        "Cette preuve appartient à une autre façon de recueillir l’accord.",
        "This evidence belongs to another way of consenting.",
    ),
}
# For these the framework has a sentence too: ours says the same without words of Python.
OURS_BY_CODE: Final = frozenset({"required", "null", "blank", "empty", "not_a_list", "not_a_dict"})

# A body names something that is not there; by the field that names it.
NAMED: Final[Mapping[str, Mapping[Language, str]]] = {
    "purpose": _both("Cette finalité n’existe pas ici.", "This purpose does not exist here."),
    "notice_version": _both("Cette version de la notice n’existe pas.", "This version of the notice does not exist."),
    "patient": _both("Ce patient n’existe pas ici.", "This patient does not exist here."),
}
NAMED_ELSEWHERE: Final = _both("Ce qui est désigné n’existe pas ici.", "What is named does not exist here.")

CHANNELS: Final[Mapping[Channel, Mapping[Language, str]]] = {
    Channel.PUSH: _both("notification", "push notification"),
    Channel.SMS: _both("SMS", "SMS"),
    Channel.EMAIL: _both("courriel", "e-mail"),
    Channel.LETTER: _both("courrier", "letter"),
    Channel.CALL: _both("appel", "call"),
}

METHODS: Final[Mapping[Method, Mapping[Language, str]]] = {
    Method.APP: _both("dans l’application", "in the app"),
    Method.PAPER_FORM: _both("sur un formulaire papier", "on a paper form"),
    Method.VERBAL: _both("de vive voix", "by word of mouth"),
    Method.STAFF_WITHDRAWAL: _both("auprès du personnel", "to the staff"),
    Method.WEB: _both("sur le site", "on the website"),
    Method.DOUBLE_OPT_IN: _both("par un lien de confirmation", "by a confirmation link"),
    Method.IMPORT: _both("dans un logiciel précédent", "in an earlier system"),
    Method.SMS_KEYWORD: _both("par SMS", "by text message"),
    Method.ONE_CLICK: _both("par un lien de désabonnement", "by an unsubscribe link"),
    Method.CARRIER_FEEDBACK: _both("par un signalement à l’opérateur", "by a complaint to the carrier"),
    Method.SYSTEM: _both("par application d’une règle", "by a rule"),
}

DECISIONS: Final[Mapping[Decision, Mapping[Language, str]]] = {
    Decision.GIVEN: _both("L’accord a été donné", "Consent was given"),
    Decision.REFUSED: _both("L’accord a été refusé", "Consent was refused"),
    Decision.WITHDRAWN: _both("L’accord a été retiré", "Consent was withdrawn"),
}


STAYS: Final[Mapping[Stays, Mapping[Language, str]]] = {
    Stays.SUPPRESSION: _both(
        "Une empreinte de chaque adresse, pour que rien n’y soit plus envoyé (règlement européen, article 21, "
        "paragraphe 3).",
        "A keyed hash of each address, so that nothing is sent there any more (GDPR Art. 21(3)).",
    ),
    Stays.PROOF_OF_CONSENT: _both(
        "Ce qui a été accepté, refusé ou retiré, quand et devant quelle notice, sans nom ni preuve lisible "
        "(article 17, paragraphe 3, points b et e).",
        "What was agreed to, refused or withdrawn, when and to which notice, without a name or readable evidence (Art. "
        "17(3)(b) and (e)).",
    ),
    Stays.PROOF_OF_MESSAGES: _both(
        "Quand un message est parti ou a été retenu et pourquoi, sans son texte (article 17, paragraphe 3, point e).",
        "When a message left or was withheld and why, without its text (Art. 17(3)(e)).",
    ),
    Stays.IDENTIFIERS: _both(
        "Une empreinte du numéro de dossier, pour que le prochain fichier ne fasse pas revenir le patient (article 17, "
        "paragraphe 1).",
        "A keyed hash of the file number, so that the next file does not bring the patient back (Art. 17(1)).",
    ),
    Stays.LOG: _both(
        "Les entrées du journal, devenues illisibles : l’intégrité du journal reste prouvée (article 5, paragraphe 2).",
        "The entries of the log, unreadable now: that the log is whole can still be proved (Art. 5(2)).",
    ),
    Stays.CARE_RECORD: _both(
        "Le dossier médical, dans le logiciel de la clinique : il n’est pas ici et suit ses propres règles "
        "(article 17, paragraphe 3, point c).",
        "The medical file, in the clinic’s own software: it is not here, and follows rules of its own (Art. 17(3)(c)).",
    ),
}


def stays_sentence(one: Stays, language: Language) -> str:
    """What an erasure leaves, and why it may."""
    return STAYS[one][language]


def reason_sentence(reason: Reason, language: Language) -> str:
    """Why a contact is deferred or denied."""
    return REASONS[reason][language]


def remedy_sentence(remedy: Remedy, language: Language) -> str:
    """What would change the answer."""
    return REMEDIES[remedy][language]


def problem_sentence(code: str, language: Language) -> str:
    """What a problem's code means; nothing where it is not known here."""
    sentences = PROBLEMS.get(code)
    return "" if sentences is None else sentences[language]


def field_sentence(key: str, language: Language, *, words: Iterable[str] = ()) -> str:
    """What is wrong with one value; `words` are those that it could be."""
    return FIELDS[key][language].format(words=", ".join(words))


def named_sentence(field: str, language: Language) -> str:
    """That what a field names does not exist."""
    return NAMED.get(field, NAMED_ELSEWHERE)[language]
