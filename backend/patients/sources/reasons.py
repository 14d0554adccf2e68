"""Why something was refused or is unusable: one stable code each, with a sentence in French and English."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from backend.policy.vocabulary import Language


class Why(StrEnum):
    """Every reason that a source can give. The codes are stored and shown; they never change."""

    # The file and its lines.
    FILE_UNREADABLE = "file_unreadable"
    FILE_NOT_REGULAR = "file_not_regular"
    FILE_COMPRESSED = "file_compressed"
    FILE_NOT_NDJSON = "file_not_ndjson"
    ENCODING_NOT_SUPPORTED = "encoding_not_supported"
    ENCODING_CP1252 = "encoding_cp1252"
    LINE_TOO_LONG = "line_too_long"
    LINE_TRUNCATED = "line_truncated"
    BAD_UTF8 = "bad_utf8"
    NUL_BYTE = "nul_byte"
    NOT_JSON = "not_json"
    NOT_AN_OBJECT = "not_an_object"
    NESTED_TOO_DEEP = "nested_too_deep"
    NUMBER_NOT_FINITE = "number_not_finite"
    DUPLICATE_KEY = "duplicate_key"
    # The record as a whole.
    WRONG_RESOURCE_TYPE = "wrong_resource_type"
    RESOURCE_NOT_READ = "resource_not_read"
    BUNDLE_TYPE_NOT_READ = "bundle_type_not_read"
    METHOD_NOT_READ = "method_not_read"
    MODIFIER_NOT_UNDERSTOOD = "modifier_not_understood"
    NO_IDENTIFIER = "no_identifier"
    RECORD_TWICE = "record_twice"
    PATIENT_REPLACED = "patient_replaced"
    PATIENT_UNKNOWN = "patient_unknown"
    PATIENT_AMBIGUOUS = "patient_ambiguous"
    PATIENT_REFUSED = "patient_refused"
    SEVERAL_PATIENTS = "several_patients"
    # Any field.
    MISSING = "missing"
    WRONG_TYPE = "wrong_type"
    TOO_LONG = "too_long"
    TOO_MANY = "too_many"
    BAD_CHARACTER = "bad_character"
    CODE_NOT_UNDERSTOOD = "code_not_understood"
    NUMBER_OUT_OF_RANGE = "number_out_of_range"
    ID_NOT_VALID = "id_not_valid"
    IDENTIFIER_INCOMPLETE = "identifier_incomplete"
    REFERENCE_NOT_UNDERSTOOD = "reference_not_understood"
    REFERENCE_NOT_PATIENT = "reference_not_patient"
    NAME_MISSING = "name_missing"
    LANGUAGE_NOT_AVAILABLE = "language_not_available"
    # Dates and times.
    DATE_NOT_UNDERSTOOD = "date_not_understood"
    DATE_IMPOSSIBLE = "date_impossible"
    DATE_INCOMPLETE = "date_incomplete"
    DATE_OUT_OF_RANGE = "date_out_of_range"
    DATE_IN_FUTURE = "date_in_future"
    OFFSET_MISSING = "offset_missing"
    END_BEFORE_START = "end_before_start"
    # Contact points.
    CONTACT_EMPTY = "contact_empty"
    CONTACT_ENDED = "contact_ended"
    CONTACT_NOT_STARTED = "contact_not_started"
    CONTACT_TWICE = "contact_twice"
    CONTACT_SUPPRESSED = "contact_suppressed"
    CONTACT_SYSTEM_MISSING = "contact_system_missing"
    CONTACT_SYSTEM_NOT_USED = "contact_system_not_used"
    PHONE_NOT_A_NUMBER = "phone_not_a_number"
    PHONE_INCOMPLETE = "phone_incomplete"
    PHONE_TOO_LONG = "phone_too_long"
    PHONE_NOT_VALID = "phone_not_valid"
    PHONE_FICTITIOUS = "phone_fictitious"
    PHONE_PREMIUM = "phone_premium"
    PHONE_NOT_PERSONAL = "phone_not_personal"
    EMAIL_NOT_VALID = "email_not_valid"
    EMAIL_NOT_ASCII = "email_not_ascii"
    # CSV.
    HEADER_MISSING = "header_missing"
    COLUMN_UNKNOWN = "column_unknown"
    COLUMN_MISSING = "column_missing"
    COLUMN_TWICE = "column_twice"
    CELL_COUNT = "cell_count"
    QUOTES_NOT_UNDERSTOOD = "quotes_not_understood"


def _both(french: str, english: str) -> Mapping[Language, str]:
    return {Language.FRENCH: french, Language.ENGLISH: english}


REASONS: Final[Mapping[str, Mapping[Language, str]]] = {
    Why.FILE_UNREADABLE: _both("Le fichier ne peut pas être lu jusqu’au bout.", "The file can not be read to its end."),
    Why.FILE_NOT_REGULAR: _both(
        "Ce n’est pas un fichier : un dossier, un tube, ou un lien qui ne mène nulle part.",
        "This is no file: a folder, a pipe, or a link that leads nowhere.",
    ),
    Why.FILE_COMPRESSED: _both(
        "Le fichier est compressé : décompressez-le d’abord.", "The file is compressed: unpack it first."
    ),
    Why.FILE_NOT_NDJSON: _both(
        "Le nom ne finit ni par .ndjson ni par .jsonl.", "The name ends in neither .ndjson nor .jsonl."
    ),
    Why.ENCODING_NOT_SUPPORTED: _both(
        "Le fichier n’est ni en UTF-8 ni en Windows-1252. Enregistrez-le en UTF-8.",
        "The file is neither UTF-8 nor Windows-1252. Save it as UTF-8.",
    ),
    Why.ENCODING_CP1252: _both(
        "Le fichier n’est pas en UTF-8 ; il a été lu en Windows-1252. Vérifiez les accents.",
        "The file is not UTF-8; it was read as Windows-1252. Check the accents.",
    ),
    Why.LINE_TOO_LONG: _both("La ligne est trop longue.", "The line is too long."),
    Why.LINE_TRUNCATED: _both(
        "La dernière ligne est coupée : le fichier est sans doute incomplet.",
        "The last line is cut off: the file is probably not complete.",
    ),
    Why.BAD_UTF8: _both("La ligne n’est pas en UTF-8.", "The line is not UTF-8."),
    Why.NUL_BYTE: _both("La ligne contient un octet nul.", "The line holds a NUL byte."),
    Why.NOT_JSON: _both("La ligne n’est pas du JSON.", "The line is not JSON."),
    Why.NOT_AN_OBJECT: _both("Ce n’est pas un objet JSON.", "This is not a JSON object."),
    Why.NESTED_TOO_DEEP: _both("Les éléments sont imbriqués trop profondément.", "Elements are nested too deeply."),
    Why.NUMBER_NOT_FINITE: _both(
        "Un nombre n’est pas fini (NaN, infini, trop grand).", "A number is not finite (NaN, infinity, too large)."
    ),
    Why.DUPLICATE_KEY: _both("Le même élément est présent deux fois.", "The same element is there twice."),
    Why.WRONG_RESOURCE_TYPE: _both(
        "Le type de ressource n’est pas celui attendu ici.", "The type of resource is not the one expected here."
    ),
    Why.RESOURCE_NOT_READ: _both("Ce type de ressource n’est pas importé.", "This type of resource is not imported."),
    Why.BUNDLE_TYPE_NOT_READ: _both(
        "Ce type de Bundle n’est pas importé : seuls transaction, batch, collection et searchset le sont.",
        "This type of Bundle is not imported: only transaction, batch, collection and searchset are.",
    ),
    Why.METHOD_NOT_READ: _both(
        "Cette action n’est pas prise en charge : seules la création et la mise à jour le sont.",
        "This action is not supported: only create and update are.",
    ),
    Why.MODIFIER_NOT_UNDERSTOOD: _both(
        "Une extension change le sens de la ressource et n’est pas comprise.",
        "An extension changes the meaning of the resource and is not understood.",
    ),
    Why.NO_IDENTIFIER: _both(
        "Ni identifiant ni id : la fiche ne pourrait pas être reconnue.",
        "Neither an identifier nor an id: the record could not be recognised again.",
    ),
    Why.RECORD_TWICE: _both(
        "Cette fiche est déjà dans l’import ; la première est gardée.",
        "This record is already in the import; the first one is kept.",
    ),
    Why.PATIENT_REPLACED: _both(
        "Ce patient a été remplacé par une autre fiche.", "This patient was replaced by another record."
    ),
    Why.PATIENT_UNKNOWN: _both("Le patient désigné n’existe pas ici.", "The patient referred to does not exist here."),
    Why.PATIENT_AMBIGUOUS: _both(
        "Les identifiants désignent plusieurs patients différents.",
        "The identifiers point to several different patients.",
    ),
    Why.PATIENT_REFUSED: _both(
        "Le patient désigné a été refusé dans cet import.", "The patient referred to was refused in this import."
    ),
    Why.SEVERAL_PATIENTS: _both(
        "Plusieurs patients participent : les rendez-vous de groupe ne sont pas importés.",
        "Several patients take part: group appointments are not imported.",
    ),
    Why.MISSING: _both("Une valeur obligatoire manque.", "A value that is needed is missing."),
    Why.WRONG_TYPE: _both("La valeur n’est pas du type attendu.", "The value is not of the expected type."),
    Why.TOO_LONG: _both("La valeur est trop longue.", "The value is too long."),
    Why.TOO_MANY: _both("Il y a trop de valeurs.", "There are too many values."),
    Why.BAD_CHARACTER: _both(
        "Le texte contient un caractère interdit.", "The text holds a character that is not allowed."
    ),
    Why.CODE_NOT_UNDERSTOOD: _both("Le code n’est pas reconnu.", "The code is not understood."),
    Why.NUMBER_OUT_OF_RANGE: _both("Le nombre est trop petit ou trop grand.", "The number is too small or too large."),
    Why.ID_NOT_VALID: _both("L’id n’est pas valide.", "The id is not valid."),
    Why.IDENTIFIER_INCOMPLETE: _both(
        "L’identifiant n’a pas de système ou pas de valeur ; il n’est pas utilisé.",
        "The identifier has no system or no value; it is not used.",
    ),
    Why.REFERENCE_NOT_UNDERSTOOD: _both(
        "La référence au patient n’est pas comprise.", "The reference to the patient is not understood."
    ),
    Why.REFERENCE_NOT_PATIENT: _both(
        "La référence désigne autre chose qu’un patient.", "The reference points to something other than a patient."
    ),
    Why.NAME_MISSING: _both("Le nom manque.", "The name is missing."),
    Why.LANGUAGE_NOT_AVAILABLE: _both(
        "Aucune des langues indiquées n’est disponible.", "None of the languages given is available."
    ),
    Why.DATE_NOT_UNDERSTOOD: _both("La date n’est pas comprise.", "The date is not understood."),
    Why.DATE_IMPOSSIBLE: _both("Cette date n’existe pas.", "This date does not exist."),
    Why.DATE_INCOMPLETE: _both("La date est incomplète.", "The date is incomplete."),
    Why.DATE_OUT_OF_RANGE: _both(
        "La date est trop loin dans le passé ou dans le futur.", "The date is too far in the past or the future."
    ),
    Why.DATE_IN_FUTURE: _both("La date est dans le futur.", "The date is in the future."),
    Why.OFFSET_MISSING: _both("L’heure est donnée sans fuseau horaire.", "The time is given without its offset."),
    Why.END_BEFORE_START: _both("La fin précède le début.", "The end is before the start."),
    Why.CONTACT_EMPTY: _both("Le moyen de contact est vide.", "The contact point is empty."),
    Why.CONTACT_ENDED: _both("Le moyen de contact n’est plus valable.", "The contact point is no longer in use."),
    Why.CONTACT_NOT_STARTED: _both(
        "Le moyen de contact n’est pas encore valable.", "The contact point is not in use yet."
    ),
    Why.CONTACT_TWICE: _both(
        "Le même moyen de contact est donné deux fois ; il est gardé une fois.",
        "The same contact point is given twice; it is kept once.",
    ),
    Why.CONTACT_SUPPRESSED: _both(
        "Rien n’est envoyé à cette adresse ou à ce numéro : il est sur la liste repoussoir.",
        "Nothing is sent to this address or number: it is on the suppression list.",
    ),
    Why.CONTACT_SYSTEM_MISSING: _both(
        "Il n’est pas dit si c’est un téléphone ou une adresse électronique ; ce n’est pas repris.",
        "It does not say whether it is a telephone or an e-mail address; it is left out.",
    ),
    Why.CONTACT_SYSTEM_NOT_USED: _both(
        "Ce moyen de contact (fax, site, récepteur…) n’est pas utilisé ; il n’est pas repris.",
        "This kind of contact point (fax, site, pager, ...) is not used; it is left out.",
    ),
    Why.PHONE_NOT_A_NUMBER: _both("Ce n’est pas un numéro de téléphone.", "This is not a telephone number."),
    Why.PHONE_INCOMPLETE: _both("Le numéro de téléphone est incomplet.", "The telephone number is incomplete."),
    Why.PHONE_TOO_LONG: _both("Le numéro de téléphone est trop long.", "The telephone number is too long."),
    Why.PHONE_NOT_VALID: _both("Ce numéro de téléphone n’est pas attribuable.", "No telephone can have this number."),
    Why.PHONE_FICTITIOUS: _both(
        "Ce numéro est réservé à la fiction.", "This telephone number is reserved for fiction."
    ),
    Why.PHONE_PREMIUM: _both("Ce numéro est surtaxé.", "This telephone number costs the caller extra."),
    Why.PHONE_NOT_PERSONAL: _both(
        "Ce numéro n’est pas celui d’une personne (numéro vert, messagerie, service).",
        "This telephone number is not that of a person (free number, voice mail, service).",
    ),
    Why.EMAIL_NOT_VALID: _both("L’adresse électronique n’est pas valide.", "The e-mail address is not valid."),
    Why.EMAIL_NOT_ASCII: _both(
        "Le nom avant le @ a des caractères que beaucoup de serveurs refusent.",
        "The name before the @ has characters that many servers refuse.",
    ),
    Why.HEADER_MISSING: _both("La première ligne doit nommer les colonnes.", "The first line has to name the columns."),
    Why.COLUMN_UNKNOWN: _both(
        "Cette colonne n’est pas connue ; elle n’est pas lue.", "This column is not known; it is not read."
    ),
    Why.COLUMN_MISSING: _both("Une colonne obligatoire manque.", "A column that is needed is missing."),
    Why.COLUMN_TWICE: _both("La même colonne est présente deux fois.", "The same column is there twice."),
    Why.CELL_COUNT: _both(
        "La ligne n’a pas autant de cellules que la première.", "The row has not as many cells as the first line."
    ),
    Why.QUOTES_NOT_UNDERSTOOD: _both(
        "Les guillemets de la ligne ne sont pas fermés ou sont mal placés.",
        "The quotes of the row are not closed, or misplaced.",
    ),
}
