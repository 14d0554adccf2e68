"""Telephone numbers and e-mail addresses in one form, or the reason why a message could never arrive there."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal

import phonenumbers
from babel import Locale
from email_validator import EmailNotValidError, validate_email
from email_validator.rfc_constants import EMAIL_MAX_LENGTH
from phonenumbers import (
    CountryCodeSource,
    NumberParseException,
    PhoneNumber,
    PhoneNumberFormat,
    PhoneNumberType,
    ValidationResult,
)

from backend.patients.sources.lines import Unreadable
from backend.patients.sources.reasons import Why
from backend.patients.sources.records import Telecom

# Letters would be turned into digits as on a keypad, and "06... (her daughter)" is somebody else's telephone.
_WRITTEN_AS_A_NUMBER: Final = re.compile(r"(?:t[eé]l[:.\s]*)?[+\d().\-/\s‐-―−]+", re.IGNORECASE)

_LONGEST_PHONE: Final = 100

# Arcep keeps these ranges for films and examples. Demos use them, so they count as usable, whatever the numbering plan
# of the library says of them: 06 39 98 is not assigned to an operator, so the library knows no mobile there.
# Source: Arcep, decision 2018-0881, annex, "numéros à utiliser dans les œuvres audiovisuelles".
_FRENCH_FICTION_MOBILE: Final = ("63998",)
_FRENCH_FICTION_LANDLINE: Final = ("19900", "26191", "35301", "46571", "53649")
_FRENCH_NUMBER_DIGITS: Final = 9
_FRANCE: Final = 33

# 555 is the exchange of American fiction and directory services: no patient answers there (NANPA, 555 line numbers).
# The library takes it for valid in every area that exists; an area 555 does not.
_NORTH_AMERICA: Final = 1
_NORTH_AMERICAN_FICTION: Final = re.compile(r"\d{3}555\d{4}", re.ASCII)

# The overseas departments share the French ten digits, yet each has a country code of its own.
_ALSO_DIALLED_FROM: Final = {"FR": ("GP", "GF", "MQ", "RE", "YT")}

_TAKES_SMS: Final = frozenset({PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE})
_TAKES_CALLS: Final = frozenset({PhoneNumberType.FIXED_LINE, PhoneNumberType.VOIP})
_COSTS_EXTRA: Final = frozenset(
    {PhoneNumberType.PREMIUM_RATE, PhoneNumberType.SHARED_COST, PhoneNumberType.PERSONAL_NUMBER}
)

_COUNTRY_NAMES: Final = {
    "france": "FR", "fra": "FR", "belgique": "BE", "belgium": "BE", "bel": "BE", "suisse": "CH", "switzerland": "CH",
    "che": "CH", "luxembourg": "LU", "lux": "LU", "allemagne": "DE", "germany": "DE", "deu": "DE", "espagne": "ES",
    "spain": "ES", "esp": "ES", "italie": "IT", "italy": "IT", "ita": "IT", "royaume-uni": "GB", "united kingdom": "GB",
    "gbr": "GB", "uk": "GB", "irlande": "IE", "ireland": "IE", "irl": "IE", "portugal": "PT", "prt": "PT",
    "monaco": "MC", "mco": "MC", "canada": "CA", "can": "CA", "usa": "US", "united states": "US", "etats-unis": "US",
    "pays-bas": "NL", "netherlands": "NL", "nld": "NL", "guadeloupe": "GP", "guyane": "GF", "martinique": "MQ",
    "la reunion": "RE", "reunion": "RE", "mayotte": "YT",
}  # fmt: skip


# Codes of CLDR for unions, for the unknown, and for tests.
_NO_COUNTRIES: Final = frozenset({"EU", "EZ", "QO", "UN", "XA", "XB", "ZZ"})


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Normalised:
    """A contact point in one form, or why it has none.

    `value` is what a message is sent to, or the text as it was written when `reason` says why it is unusable. `compare`
    is the same for two spellings of one contact point. `mobile` is None for an address and an unusable number.
    """

    value: str
    compare: str
    reason: Why | None
    mobile: bool | None

    @property
    def usable(self) -> bool:
        """Could a message ever arrive there?"""
        return self.reason is None

    def __repr__(self) -> str:
        return f"Normalised(•••, reason={self.reason})"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Contact:
    """A contact point, where it stood in the source, and what it is recognised by."""

    field: str
    telecom: Telecom
    compare: str


def read_contact(
    text: str,
    *,
    kind: Literal["phone", "email"],
    field: str,
    region: str,
    use: str | None = None,
    rank: int | None = None,
    stopped: Why | None = None,
) -> Contact:
    """One contact point as the source wrote it; `stopped` says why it is not in use although its form may be right."""
    found = normalise_phone(text, region) if kind == "phone" else normalise_email(text)
    reason = stopped or found.reason
    telecom = Telecom(
        kind=kind,
        value=found.value if reason is None else text,
        raw=text,
        usable=reason is None,
        reason=reason,
        mobile=found.mobile if reason is None else None,
        use=use,
        rank=rank,
    )
    return Contact(field=field, telecom=telecom, compare=found.compare)


def keep_once(contacts: Iterable[Contact]) -> tuple[tuple[Telecom, ...], tuple[tuple[str, Why], ...]]:
    """Each contact point once, the usable one of two that are the same; and for each field what there is to report."""
    kept: dict[tuple[str, str], Contact] = {}
    problems: list[tuple[str, Why]] = []
    for contact in contacts:
        key = (contact.telecom.kind, contact.compare)
        before = kept.get(key)
        better = before is None or (contact.telecom.usable and not before.telecom.usable)
        if before is not None:
            problems.append((before.field if better else contact.field, Why.CONTACT_TWICE))
        if better:
            kept[key] = contact
    problems.extend((each.field, Why(each.telecom.reason)) for each in kept.values() if each.telecom.reason is not None)
    return tuple(each.telecom for each in kept.values()), tuple(problems)


def is_country(text: str) -> bool:
    """Whether a country is meant: its name in French or English, or its two letters. No country at all is none."""
    if region_of(text, default=""):
        return True
    plain = _without_accents(text.strip()).casefold().replace("’", "'")
    return plain in _territories()


@cache
def _territories() -> frozenset[str]:
    """Every name and code of a country that Unicode knows (CLDR), which has no entry for what is none."""
    named = {
        name: code
        for language in ("fr", "en")
        for code, name in Locale(language).territories.items()
        if len(code) == len("FR") and code not in _NO_COUNTRIES
    }
    return frozenset(_without_accents(one).casefold().replace("’", "'") for one in [*named, *named.values()])


def region_of(country: str, *, default: str) -> str:
    """The region whose numbering plan is meant by the country of an address; `default` when it is not known."""
    plain = _without_accents(country.strip()).casefold()
    region = plain.upper() if len(plain) == len("FR") and plain != "uk" else _COUNTRY_NAMES.get(plain, "")
    return region if region in phonenumbers.SUPPORTED_REGIONS else default


def normalise_phone(text: str, region: str) -> Normalised:
    """A telephone number as the whole world dials it (E.164), and whether it can take SMS.

    `region` is the two-letter country whose numbers are written without a country code. Numbers that could cost the
    caller extra, that no person answers, or that no operator has assigned are unusable.
    """
    try:
        number = _assigned(_parsed(text, region), region)
        mobile = _takes_sms(number)
    except Unreadable as error:
        return _unusable(text, error.why)
    value = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    return Normalised(value=value, compare=value, reason=None, mobile=mobile)


def normalise_email(text: str) -> Normalised:
    """An e-mail address with its domain in small letters; two that differ only in capitals compare as the same.

    Only the form is checked, nobody is asked. The domains kept for examples (RFC 2606) count as usable: demos and tests
    use them, and their mail goes nowhere. The part before the @ has to be ASCII (SMTPUTF8 is not spoken everywhere).
    """
    if len(text) > EMAIL_MAX_LENGTH:
        return _unusable(text, Why.EMAIL_NOT_VALID)
    written = unicodedata.normalize("NFKC", text).strip()
    if written.lower().startswith("mailto:"):
        written = written[len("mailto:") :]
    try:
        found = validate_email(written, check_deliverability=False, test_environment=True)
    except (EmailNotValidError, UnicodeError):
        return _unusable(text, Why.EMAIL_NOT_VALID)
    if not found.local_part.isascii():
        return _unusable(text, Why.EMAIL_NOT_ASCII)
    if "." not in found.domain:
        return _unusable(text, Why.EMAIL_NOT_VALID)
    return Normalised(value=found.normalized, compare=found.normalized.lower(), reason=None, mobile=None)


_PARSING: Final = {
    NumberParseException.INVALID_COUNTRY_CODE: Why.PHONE_NOT_VALID,
    NumberParseException.NOT_A_NUMBER: Why.PHONE_NOT_A_NUMBER,
    NumberParseException.TOO_SHORT_AFTER_IDD: Why.PHONE_INCOMPLETE,
    NumberParseException.TOO_SHORT_NSN: Why.PHONE_INCOMPLETE,
    NumberParseException.TOO_LONG: Why.PHONE_TOO_LONG,
}
_LENGTHS: Final = {
    ValidationResult.TOO_SHORT: Why.PHONE_INCOMPLETE,
    ValidationResult.IS_POSSIBLE_LOCAL_ONLY: Why.PHONE_INCOMPLETE,
    ValidationResult.TOO_LONG: Why.PHONE_TOO_LONG,
}


def _unusable(text: str, reason: Why) -> Normalised:
    return Normalised(value=text, compare=text.strip().casefold(), reason=reason, mobile=None)


def _parsed(text: str, region: str) -> PhoneNumber:
    if len(text) > _LONGEST_PHONE:
        raise Unreadable(Why.PHONE_TOO_LONG)
    written = unicodedata.normalize("NFKC", text).strip()
    if not _WRITTEN_AS_A_NUMBER.fullmatch(written):
        raise Unreadable(Why.PHONE_NOT_A_NUMBER)
    try:
        return phonenumbers.parse(written, region, keep_raw_input=True)
    except NumberParseException as error:
        raise Unreadable(_PARSING.get(error.error_type, Why.PHONE_NOT_A_NUMBER)) from None


def _assigned(number: PhoneNumber, region: str) -> PhoneNumber:
    """The number if a telephone can have it, perhaps as that of another region that is dialled the same way."""
    if _french_fiction(number) is not None:
        return number
    if _american_fiction(number):
        raise Unreadable(Why.PHONE_FICTITIOUS)
    if phonenumbers.is_valid_number(number):
        return number
    elsewhere = _elsewhere(number, region)
    if elsewhere is None:
        raise Unreadable(_LENGTHS.get(phonenumbers.is_possible_number_with_reason(number), Why.PHONE_NOT_VALID))
    return elsewhere


def _takes_sms(number: PhoneNumber) -> bool:
    fiction = _french_fiction(number)
    if fiction is not None:
        return fiction
    kind = phonenumbers.number_type(number)
    if kind in _COSTS_EXTRA:
        raise Unreadable(Why.PHONE_PREMIUM)
    if kind not in _TAKES_SMS and kind not in _TAKES_CALLS:
        raise Unreadable(Why.PHONE_NOT_PERSONAL)
    return kind in _TAKES_SMS


def _french_fiction(number: PhoneNumber) -> bool | None:
    """Whether a French number kept for fiction is a mobile; None when it is not kept for fiction."""
    digits = phonenumbers.national_significant_number(number)
    if number.country_code != _FRANCE or len(digits) != _FRENCH_NUMBER_DIGITS:
        return None
    if digits.startswith(_FRENCH_FICTION_MOBILE):
        return True
    return False if digits.startswith(_FRENCH_FICTION_LANDLINE) else None


def _american_fiction(number: PhoneNumber) -> bool:
    digits = phonenumbers.national_significant_number(number)
    return number.country_code == _NORTH_AMERICA and _NORTH_AMERICAN_FICTION.fullmatch(digits) is not None


def _elsewhere(number: PhoneNumber, region: str) -> PhoneNumber | None:
    """The number as it is meant in an overseas department, when it was written without a country code."""
    if number.country_code_source != CountryCodeSource.FROM_DEFAULT_COUNTRY:
        return None
    digits = phonenumbers.national_significant_number(number)
    for other in _ALSO_DIALLED_FROM.get(region, ()):
        found = PhoneNumber(country_code=phonenumbers.country_code_for_region(other), national_number=int(digits))
        if phonenumbers.is_valid_number_for_region(found, other):
            return found
    return None


def _without_accents(text: str) -> str:
    return "".join(letter for letter in unicodedata.normalize("NFD", text) if not unicodedata.combining(letter))
