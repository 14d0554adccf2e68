"""Writes the FHIR files of the demo clinic: the same bytes each time, for nothing in them is left to chance.

Everybody here is invented, and so is the town. Telephone numbers are from the ranges that Arcep keeps for fiction,
e-mail addresses from domains that nobody can own (RFC 2606). Who each patient is, and what they show: README.md.

    python -m demo.clinic.build
"""

import json
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Literal, TypeAlias
from zoneinfo import ZoneInfo

Json: TypeAlias = dict[str, object]

HERE = Path(__file__).parent
PARIS = ZoneInfo("Europe/Paris")
STORY_DAY = date(2026, 10, 12)

IDENTIFIERS = "https://tilleuls.example.org/fhir/ipp"
TOWN = "Brévigny-sur-Orme"
POSTAL_CODE = "00250"

ORGANISATION = {"reference": "Organization/tilleuls", "display": "Cabinet médical des Tilleuls"}
PLACE = {"reference": "Location/tilleuls", "display": "Cabinet médical des Tilleuls"}
VASSEUR = {"reference": "Practitioner/vasseur", "display": "Dr Hélène Vasseur"}
BENALI = {"reference": "Practitioner/benali", "display": "Dr Karim Benali"}
LE_BIHAN = {"reference": "Practitioner/le-bihan", "display": "Solène Le Bihan, infirmière"}


# ---- People


def patient_id(number: int) -> str:
    """The id of a patient in this export."""
    return f"tilleuls-{number:02}"


def record_number(number: int) -> str:
    """The clinic's own number of a patient (IPP): the one that other systems know."""
    return f"T{4000 + 37 * number:06}"


def to_patient(number: int, *, by_identifier: bool = False) -> Json:
    """A reference by id, or the search reference that some practice software writes in its place."""
    if by_identifier:
        return {"reference": f"Patient?identifier={IDENTIFIERS}|{record_number(number)}"}
    return {"reference": f"Patient/{patient_id(number)}"}


def mobile(value: str, *, use: str = "mobile", **more: object) -> Json:
    """A mobile number, as somebody typed it."""
    return {"system": "phone", "value": value, "use": use, **more}


def landline(value: str, **more: object) -> Json:
    """A telephone at home."""
    return {"system": "phone", "value": value, "use": "home", **more}


def email(value: str, **more: object) -> Json:
    """An e-mail address, as somebody typed it."""
    return {"system": "email", "value": value, **more}


def coded(system: str, code: str, display: str = "", *, text: str = "") -> Json:
    """A CodeableConcept with one code."""
    coding: Json = {"system": system, "code": code}
    if display:
        coding["display"] = display
    return {"coding": [coding]} | ({"text": text} if text else {})


def speaks(*languages: str) -> list[Json]:
    """The languages of a patient, the preferred one first."""
    spoken: list[Json] = [{"language": coded("urn:ietf:bcp:47", language)} for language in languages]
    spoken[0]["preferred"] = True
    return spoken


def in_town(line: str) -> Json:
    """An address in the town of the clinic."""
    return {"use": "home", "line": [line], "city": TOWN, "postalCode": POSTAL_CODE, "country": "FR"}


def patient(
    number: int,
    *given: str,
    family: str,
    gender: Literal["female", "male", "other", "unknown"],
    born: str,
    telecom: Iterable[Json] = (),
    address: Json | str = "",
    languages: tuple[str, ...] = ("fr",),
    maiden: str = "",
    **more: object,
) -> Json:
    """One patient."""
    names: list[Json] = [{"use": "official", "family": family, "given": list(given)}]
    if maiden:
        names.append({"use": "maiden", "family": maiden})
    resource: Json = {
        "resourceType": "Patient",
        "id": patient_id(number),
        "identifier": [
            {
                "use": "usual",
                "type": coded("http://terminology.hl7.org/CodeSystem/v2-0203", "MR", text="IPP"),
                "system": IDENTIFIERS,
                "value": record_number(number),
                "assigner": {"display": ORGANISATION["display"]},
            }
        ],
        "active": True,
        "name": names,
        "telecom": list(telecom),
        "gender": gender,
        "birthDate": born,
        **more,
        "address": [in_town(address) if isinstance(address, str) else address],
        "communication": speaks(*languages),
        "managingOrganization": ORGANISATION,
    }
    if not resource["telecom"]:
        del resource["telecom"]
    return resource


SHARED_MOBILE = "06 39 98 07 07"

PATIENTS: tuple[Json, ...] = (
    patient(
        1, "Aïcha", family="N'Diaye", gender="female", born="1988-04-17", address="3 rue des Lavandières",
        telecom=[mobile("06 39 98 01 01"), email("aicha.ndiaye@example.org")],
    ),
    patient(
        2, "Anne-Laure", "Marie", family="de La Tour", gender="female", born="1957-11-02", maiden="Quéméneur",
        address="Château de la Garenne", telecom=[landline("01 99 00 45 12"), email("anne-laure.delatour@example.com")],
    ),
    patient(
        3, "Zoë", family="L'Hostis", gender="female", born="2010-03-09", address="18 allée des Érables",
        telecom=[mobile("06.39.98.03.03")],
    ),
    patient(
        4, "Gaël", family="Œuvrard", gender="male", born="1979-07-30", address="2 bis impasse du Puits",
        telecom=[mobile("+33 6 39 98 04 04")],
    ),
    patient(
        5, "Lina", "Inès", family="Moreau-Haddad", gender="female", born="2017-05-21", address="41 rue du Marché",
    ),
    patient(
        6, "Nadia", family="Haddad", gender="female", born="1985-09-12", address="41 rue du Marché",
        telecom=[mobile("0033 6 39 98 06 06"), email("nadia.haddad@exemple.example")],
    ),
    patient(
        7, "Bernard", "Louis", family="Lefèvre", gender="male", born="1948-01-14", address="9 place de l'Église",
        telecom=[mobile(SHARED_MOBILE)],
    ),
    patient(
        8, "Monique", family="Lefèvre", gender="female", born="1950-06-03", address="9 place de l'Église",
        telecom=[mobile(SHARED_MOBILE), landline("02 61 91 08 08")],
    ),
    patient(
        9, "Roger", family="Estève", gender="male", born="1939-12-24", address="27 avenue de la Gare",
        telecom=[mobile("06 39 98 09 09")], deceasedDateTime="2026-09-28T04:10:00+02:00",
    ),
    patient(
        10, "Suzanne", family="Ballandier", gender="female", born="1931-08-19", address="Résidence Les Glycines",
        telecom=[landline("04 65 71 10 10")], deceasedBoolean=True,
    ),
    patient(
        11, "Marcel", family="Prigent", gender="male", born="1944-03-05", address="Ferme du Haut-Chemin",
    ),
    patient(
        12, "Odette", family="Vanhoutte", gender="female", born="1936-10-01", address="5 rue des Tanneurs",
        telecom=[landline("03 53 01 22 18")],
    ),
    patient(
        13, "Emily", "Rose", family="Carter", gender="female", born="1991-02-26", address="12 quai de l'Orme",
        telecom=[mobile("06 39 98 13 13"), email("emily.carter@example.com")], languages=("en", "fr"),
    ),
    patient(
        14, "James", family="O'Connor", gender="male", born="1962-05-08", address="1 chemin des Vignes",
        telecom=[mobile("+33639981414")], languages=("en-GB",),
    ),
    patient(
        15, "Priya", family="Raman", gender="female", born="1975-11-30", address="33 rue Haute",
        telecom=[email("priya.raman@example.org")], languages=("en",),
    ),
    patient(
        16, "Théo", family="Brun", gender="male", born="1996-06-21", address="8 rue des Lavandières",
        telecom=[mobile("06 12")],
    ),
    patient(
        17, "Sandrine", family="Pouget", gender="female", born="1969-09-15", address="14 rue du Moulin",
        telecom=[mobile("06 39 98 dix-sept"), email("sandrine.pouget.example.org")],
    ),
    patient(
        18, "Marie", family="Durand", gender="female", born="1958-02-11", address="22 rue Haute",
        telecom=[email("marie.durand58@example.org")],
    ),
    patient(
        19, "Marie", family="Durand", gender="female", born="1990-08-25", address="6 allée des Érables",
        telecom=[mobile("06 39 98 19 19"), email("m.durand@example.com")],
    ),
    patient(
        20, "Jeanne", "Augustine", family="Castaing", gender="female", born="1921-11-11",
        address="Résidence Les Glycines", telecom=[landline("05 36 49 10 20")],
    ),
    patient(
        21, "Nicolas", family="Fabre", gender="male", born="1983-01-07", address="17 rue du Marché",
        telecom=[
            mobile("06 39 98 99 21", use="old", period={"start": "2016-02-01", "end": "2024-06-30"}),
            mobile("06-39-98-21-21", period={"start": "2024-07-01"}, rank=1),
        ],
    ),
    patient(
        22, "Ingrid", family="Lindqvist", gender="female", born="1954-04-03",
        telecom=[mobile("+33 6 39 98 22 22"), email("ingrid.lindqvist@exemple.example")],
        address={"use": "home", "line": ["4 rue du Lac"], "city": "Genève", "postalCode": "1207", "country": "CH"},
    ),
    patient(
        23, "Yann", family="Kerbrat", gender="male", born="1972-12-12", address="30 rue des Tanneurs",
        telecom=[mobile("06 39 98 23 23")],
    ),
    patient(
        24, "Fatoumata", family="Sow", gender="female", born="1967-03-28", address="11 square des Acacias",
        telecom=[mobile("06 39 98 24 24"), email("fatoumata.sow@example.org")],
    ),
    patient(
        25, "Louis-Philippe", family="Garnier de Fontanges", gender="male", born="1951-07-14",
        address="Le Prieuré", telecom=[email("lp.garnier@example.com"), landline("01 99 00 25 25")],
    ),
    patient(
        26, "Margaux", family="Delaunay-Roy", gender="female", born="1993-10-05", address="7 quai de l'Orme",
        telecom=[mobile("06 39 98 26 26"), email("margaux.delaunay@example.org")],
    ),
    patient(
        27, "Hugo", family="Weber", gender="male", born="2000-02-29", address="19 rue Haute",
        telecom=[mobile("06 39 98 27 27")],
    ),
    patient(
        28, "Chantal", family="Roussel", gender="female", born="1964-08-08", address="2 rue de la Poste",
        telecom=[mobile("06 39 98 28 28")],
    ),
    patient(
        29, "Amélie", family="Saint-Clair", gender="female", born="1987-05-19", address="25 avenue de la Gare",
        telecom=[mobile("06 39 98 29 29")],
    ),
    patient(
        30, "Kévin", family="Lopes", gender="male", born="1998-09-02", address="3 square des Acacias",
        telecom=[mobile("06 39 98 30 30")], languages=("pt", "fr"),
    ),
    patient(
        31, "Thierry", family="Aubry", gender="male", born="1966-01-23", address="15 rue de la Poste",
        telecom=[email("thierry.aubry@example.org")],
    ),
    patient(
        32, "Colette", family="Marchand", gender="female", born="1946-11-27", address="8 place de l'Église",
        telecom=[mobile("06 39 98 32 32")],
    ),
    patient(
        33, "Paul", family="Girard", gender="male", born="1952-02-17", address="40 rue du Moulin",
        telecom=[email("paul.girard@example.com")],
    ),
    patient(
        34, "Véronique", family="Tissier", gender="female", born="1959-06-30", address="6 rue des Tanneurs",
        telecom=[mobile("06 39 98 34 34")],
    ),
    patient(
        35, "Jean-Marc", family="Lemoine", gender="male", born="1950-10-10", address="21 chemin des Vignes",
        telecom=[mobile("06 39 98 35 35")],
    ),
    patient(
        36, "Élodie", family="Bonnet", gender="female", born="1980-12-03", address="10 allée des Érables",
        telecom=[mobile("06 39 98 36 36"), email("elodie.bonnet@exemple.example")],
    ),
    patient(
        37, "Mamadou", family="Diallo", gender="male", born="1955-01-01", address="13 square des Acacias",
        telecom=[mobile("0033639983737")],
    ),
    patient(
        38, "Sophie", family="Martin-Le Goff", gender="female", born="1977-04-22", address="5 quai de l'Orme",
        telecom=[mobile("06 39 98 38 38")],
    ),
    patient(
        39, "François", family="d’Hérouville", gender="male", born="1949-09-09", address="Les Quatre-Vents",
        telecom=[email("francois.dherouville@example.org")],
    ),
    patient(
        40, "Catherine", "Linh", family="Nguyễn", gender="female", born="1981-07-18", address="28 rue du Marché",
        telecom=[email("catherine.nguyen@example.com")],
    ),
    patient(
        41, "Ali", family="Ben Youssef", gender="male", born="1970-05-25", address="16 rue des Lavandières",
        telecom=[mobile("+33 (0)6 39 98 41 41")],
    ),
)  # fmt: skip


def related_person(number: int, *, of: int, role: str, given: str, family: str, telecom: Json, **more: object) -> Json:
    """Somebody who stands by a patient."""
    return {
        "resourceType": "RelatedPerson",
        "id": f"tilleuls-r{number:02}",
        "active": True,
        "patient": to_patient(of),
        "relationship": [coded("http://terminology.hl7.org/CodeSystem/v3-RoleCode", role)],
        "name": [{"use": "official", "family": family, "given": [given]}],
        "telecom": [telecom],
        **more,
    }


RELATED_PERSONS: tuple[Json, ...] = (
    related_person(1, of=5, role="MTH", given="Nadia", family="Haddad", telecom=mobile("0033 6 39 98 06 06")),
    related_person(2, of=3, role="FTH", given="Erwan", family="L'Hostis", telecom=mobile("06 39 98 03 33")),
    related_person(3, of=12, role="DAUC", given="Brigitte", family="Vanhoutte", telecom=mobile("06 39 98 12 12")),
)


# ---- What happens at the clinic


def at(day: str, clock: str) -> datetime:
    """A time on the clinic's clock."""
    return datetime.combine(date.fromisoformat(day), time.fromisoformat(clock), tzinfo=PARIS)


def appointment(
    number: int,
    of: int,
    day: str,
    clock: str,
    status: Literal["booked", "cancelled", "arrived", "fulfilled", "noshow"] = "booked",
    *,
    minutes: int = 20,
    who: Mapping[str, str] = VASSEUR,
    by_identifier: bool = False,
) -> Json:
    """One appointment, in the past or to come."""
    starts = at(day, clock)
    accepted = {"status": "accepted"}
    return {
        "resourceType": "Appointment",
        "id": f"tilleuls-a{number:02}",
        "status": status,
        "serviceType": [{"text": "Soins infirmiers" if who is LE_BIHAN else "Consultation"}],
        "start": starts.isoformat(),
        "end": (starts + timedelta(minutes=minutes)).isoformat(),
        "minutesDuration": minutes,
        "participant": [
            {"actor": to_patient(of, by_identifier=by_identifier), **accepted},
            {"actor": who, **accepted},
            {"actor": PLACE, **accepted},
        ],
    }


BEFORE: tuple[Json, ...] = (
    appointment(1, 7, "2025-10-21", "10:00", "fulfilled", who=LE_BIHAN, minutes=10),
    appointment(2, 1, "2026-02-12", "17:20", "fulfilled"),
    appointment(3, 2, "2026-03-17", "09:00", "fulfilled", by_identifier=True),
    appointment(4, 31, "2026-04-14", "08:40", "noshow", who=BENALI),
    appointment(5, 31, "2026-05-05", "08:40", "fulfilled", who=BENALI),
    appointment(6, 4, "2026-05-28", "11:40", "fulfilled"),
    appointment(7, 13, "2026-06-09", "10:20", "fulfilled", who=BENALI),
    appointment(8, 9, "2026-07-02", "15:00", "fulfilled"),
    appointment(9, 40, "2026-08-27", "16:00", "cancelled", who=BENALI),
    appointment(10, 20, "2026-09-08", "14:00", "fulfilled", minutes=30),
    appointment(11, 30, "2026-09-22", "18:00", "noshow", who=BENALI),
    appointment(12, 26, "2026-10-01", "17:10", "fulfilled", who=LE_BIHAN, minutes=10),
    appointment(13, 26, "2026-10-08", "17:10", "fulfilled", who=LE_BIHAN, minutes=10),
    appointment(14, 33, "2026-10-12", "08:20", "fulfilled"),
    appointment(15, 37, "2026-10-12", "09:40", "arrived", who=BENALI),
)

# One day before: reminders of these are due on the story day.
TOMORROW: tuple[Json, ...] = (
    appointment(20, 21, "2026-10-13", "08:45"),
    appointment(21, 2, "2026-10-13", "09:15", by_identifier=True),
    appointment(22, 28, "2026-10-13", "09:40", who=BENALI),
    appointment(23, 13, "2026-10-13", "10:45", who=BENALI),
    appointment(24, 8, "2026-10-13", "11:20"),
    appointment(25, 29, "2026-10-13", "11:45", "cancelled", who=BENALI),
    appointment(26, 25, "2026-10-13", "12:00"),
    appointment(27, 1, "2026-10-13", "14:30"),
    appointment(28, 16, "2026-10-13", "15:00", who=BENALI),
    appointment(29, 24, "2026-10-13", "16:00", who=BENALI),
    appointment(30, 26, "2026-10-13", "17:10", who=LE_BIHAN, minutes=10),
)

# Three days before: reminders of these are due on the story day, too.
THURSDAY: tuple[Json, ...] = (
    appointment(40, 14, "2026-10-15", "08:30"),
    appointment(41, 4, "2026-10-15", "10:00", by_identifier=True),
    appointment(42, 19, "2026-10-15", "11:30", who=BENALI),
    appointment(43, 25, "2026-10-15", "12:00"),
    appointment(44, 27, "2026-10-15", "13:50", who=BENALI),
    appointment(45, 23, "2026-10-15", "14:10"),
    appointment(46, 9, "2026-10-15", "15:10"),
    appointment(47, 3, "2026-10-15", "16:30", who=BENALI),
    appointment(48, 5, "2026-10-15", "17:00"),
    appointment(49, 26, "2026-10-15", "17:10", who=LE_BIHAN, minutes=10),
)

LATER: tuple[Json, ...] = (
    appointment(60, 38, "2026-10-16", "09:20"),
    appointment(61, 41, "2026-10-22", "15:45", who=BENALI, by_identifier=True),
    appointment(62, 26, "2026-10-22", "17:10", who=LE_BIHAN, minutes=10),
    appointment(63, 6, "2026-10-26", "08:40", who=BENALI),
    appointment(64, 30, "2026-10-27", "18:00", who=BENALI),
    appointment(65, 31, "2026-10-28", "08:40", who=BENALI),
    appointment(66, 40, "2026-10-30", "09:00"),
    appointment(67, 36, "2026-11-03", "12:10"),
)

APPOINTMENTS = (*BEFORE, *TOMORROW, *THURSDAY, *LATER)

# What the practice software sends again later on the story day: one appointment moved by a week, one cancelled.
CHANGED_APPOINTMENTS: tuple[Json, ...] = (
    appointment(22, 28, "2026-10-20", "09:40", who=BENALI),
    appointment(44, 27, "2026-10-15", "13:50", "cancelled", who=BENALI),
)


def encounter(number: int, visit: Json) -> Json:
    """The visit that became of an appointment that was kept."""
    participants = visit["participant"]
    assert isinstance(participants, list)  # noqa: S101 - made a few lines above; this tells the type checker
    subject, who = (each["actor"] for each in participants[:2])
    return {
        "resourceType": "Encounter",
        "id": f"tilleuls-e{number:02}",
        "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "type": visit["serviceType"],
        "subject": subject,
        "participant": [{"individual": who}],
        "appointment": [{"reference": f"Appointment/{visit['id']}"}],
        "period": {"start": visit["start"], "end": visit["end"]},
        "location": [{"location": PLACE}],
        "serviceProvider": ORGANISATION,
    }


ENCOUNTERS = tuple(
    encounter(number, visit)
    for number, visit in enumerate((each for each in BEFORE if each["status"] == "fulfilled"), start=1)
)

CVX = "http://hl7.org/fhir/sid/cvx"
ATC = "http://www.whocc.no/atc"
SNOMED = "http://snomed.info/sct"
INFLUENZA_TEXT = "Vaccin contre la grippe saisonnière"

# One vaccine may be coded in several systems at once, or only in the one that the software of the day knew.
INFLUENZA = (((CVX, "140"), (ATC, "J07BB02")), INFLUENZA_TEXT)
INFLUENZA_CVX = (((CVX, "140"),), INFLUENZA_TEXT)
INFLUENZA_ATC = (((ATC, "J07BB02"),), INFLUENZA_TEXT)
INFLUENZA_SNOMED = (((SNOMED, "836377006"),), INFLUENZA_TEXT)
COVID_19 = (((CVX, "213"), (ATC, "J07BN01")), "Vaccin contre la Covid-19")
TETANUS = (((CVX, "115"), (ATC, "J07CA02")), "Rappel dTcaPolio")
HPV = (((CVX, "165"), (ATC, "J07BM03")), "Vaccin HPV")
MEASLES = (((CVX, "03"), (ATC, "J07BD52")), "Vaccin ROR")
PNEUMOCOCCUS = (((CVX, "216"), (ATC, "J07AL02")), "Vaccin pneumococcique")
ZOSTER = (((CVX, "187"), (ATC, "J07BK03")), "Vaccin contre le zona")


def immunisation(
    number: int,
    of: int,
    day: str,
    lot: str,
    vaccine: tuple[Iterable[tuple[str, str]], str] = INFLUENZA,
    *,
    status: Literal["completed", "not-done", "entered-in-error"] = "completed",
    by_identifier: bool = False,
) -> Json:
    """One vaccination that was given, was not, or was written down by mistake."""
    codes, text = vaccine
    resource: Json = {
        "resourceType": "Immunization",
        "id": f"tilleuls-i{number:02}",
        "status": status,
        "vaccineCode": {"coding": [{"system": system, "code": code} for system, code in codes], "text": text},
        "patient": to_patient(of, by_identifier=by_identifier),
        "occurrenceDateTime": day,
        "primarySource": True,
    }
    if status == "not-done":
        return resource | {"statusReason": coded("http://terminology.hl7.org/CodeSystem/v3-ActReason", "PATOBJ")}
    return resource | {"location": PLACE, "lotNumber": lot, "performer": [{"actor": LE_BIHAN}]}


IMMUNISATIONS: tuple[Json, ...] = (
    # Influenza, of which the recall is due on the story day: eleven months have passed, and not sixty days more.
    immunisation(1, 2, "2023-10-25", "GV23-0417"),
    immunisation(2, 2, "2024-10-18", "GV24-1180"),
    immunisation(3, 2, "2025-10-16", "GV25-0093", by_identifier=True),
    immunisation(4, 6, "2025-11-04", "GV25-0311", INFLUENZA_CVX),
    immunisation(5, 7, "2024-10-22", "GV24-1202"),
    immunisation(6, 7, "2025-10-21", "GV25-0127"),
    immunisation(7, 10, "2025-10-15", "GV25-0088", INFLUENZA_ATC),
    immunisation(8, 11, "2025-10-28", "GV25-0204"),
    immunisation(9, 13, "2025-11-06", "GV25-0322", INFLUENZA_SNOMED),
    immunisation(10, 14, "2025-10-27", "GV25-0198"),
    immunisation(11, 15, "2025-10-28", "GV25-0205", INFLUENZA_ATC),
    immunisation(12, 17, "2025-10-24", "GV25-0166"),
    immunisation(13, 18, "2025-10-30", "GV25-0231", INFLUENZA_CVX),
    immunisation(14, 22, "2025-10-24", "GV25-0167"),
    immunisation(15, 26, "2025-11-05", "GV25-0315"),
    immunisation(16, 37, "2025-11-07", "GV25-0330", INFLUENZA_SNOMED),
    immunisation(17, 38, "2025-10-29", "GV25-0219"),
    immunisation(18, 39, "2025-10-20", "GV25-0114"),
    # Influenza, of which the recall is not due: a second dose since, a mistake, not given, too long ago, not yet.
    immunisation(20, 32, "2025-10-17", "GV25-0101"),
    immunisation(21, 32, "2025-12-18", "GV25-0402"),
    immunisation(22, 33, "2025-10-23", "GV25-0150", status="entered-in-error"),
    immunisation(23, 34, "2025-10-22", "", status="not-done"),
    immunisation(24, 35, "2024-11-05", "GV24-1391"),
    immunisation(25, 36, "2025-12-02", "GV25-0377"),
    immunisation(26, 20, "2025-12-11", "GV25-0391"),
    immunisation(27, 12, "2025-12-04", "GV25-0380", INFLUENZA_ATC),
    # Other vaccines, of which no influenza recall comes.
    immunisation(30, 2, "2025-10-16", "CV25-061", COVID_19),
    immunisation(31, 7, "2025-10-21", "CV25-064", COVID_19),
    immunisation(32, 4, "2025-09-30", "DT25-208", TETANUS),
    immunisation(33, 1, "2025-10-09", "DT25-211", TETANUS),
    immunisation(34, 3, "2024-05-14", "HP24-019", HPV),
    immunisation(35, 3, "2024-11-19", "HP24-077", HPV),
    immunisation(36, 5, "2018-05-23", "RR18-402", MEASLES),
    immunisation(37, 5, "2018-10-10", "RR18-519", MEASLES),
    immunisation(38, 5, "2023-06-14", "DC23-077", TETANUS),
    immunisation(39, 22, "2025-10-24", "PN25-034", PNEUMOCOCCUS),
    immunisation(40, 35, "2025-10-13", "PN25-031", PNEUMOCOCCUS),
    immunisation(41, 18, "2025-03-11", "ZO25-008", ZOSTER),
    immunisation(42, 18, "2025-05-13", "ZO25-015", ZOSTER),
)


def practitioner(source_id: str, family: str, given: str, prefix: str = "") -> Json:
    """Somebody who works at the clinic."""
    name: Json = {"use": "official", "family": family, "given": [given]}
    if prefix:
        name["prefix"] = [prefix]
    return {"resourceType": "Practitioner", "id": source_id, "active": True, "name": [name]}


PRACTITIONERS = (
    practitioner("vasseur", "Vasseur", "Hélène", "Dr"),
    practitioner("benali", "Benali", "Karim", "Dr"),
    practitioner("le-bihan", "Le Bihan", "Solène"),
)
ORGANISATIONS: tuple[Json, ...] = (
    {
        "resourceType": "Organization",
        "id": "tilleuls",
        "active": True,
        "name": ORGANISATION["display"],
        "telecom": [
            {"system": "phone", "value": "01 99 00 12 34", "use": "work"},
            {"system": "email", "value": "accueil@tilleuls.example.org", "use": "work"},
        ],
        "address": [{**in_town("1 place des Tilleuls"), "use": "work"}],
    },
)
LOCATIONS: tuple[Json, ...] = (
    {
        "resourceType": "Location",
        "id": "tilleuls",
        "status": "active",
        "name": PLACE["display"],
        "address": {**in_town("1 place des Tilleuls"), "use": "work"},
        "managingOrganization": ORGANISATION,
    },
)


# ---- Files


def _ndjson(resources: Iterable[Json]) -> bytes:
    lines = (json.dumps(resource, ensure_ascii=False, separators=(",", ":")) for resource in resources)
    return "".join(f"{line}\n" for line in lines).encode()


def files() -> dict[str, bytes]:
    """Every file of the export by its path in this folder; `later/` is what comes in the course of the story day."""
    return {
        "Organization.ndjson": _ndjson(ORGANISATIONS),
        "Location.ndjson": _ndjson(LOCATIONS),
        "Practitioner.ndjson": _ndjson(PRACTITIONERS),
        "Patient.ndjson": _ndjson(PATIENTS),
        "RelatedPerson.ndjson": _ndjson(RELATED_PERSONS),
        "Appointment.ndjson": _ndjson(APPOINTMENTS),
        "Encounter.ndjson": _ndjson(ENCOUNTERS),
        "Immunization.ndjson": _ndjson(IMMUNISATIONS),
        "later/Appointment.ndjson": _ndjson(CHANGED_APPOINTMENTS),
    }


def main() -> None:
    """Write the files next to this one."""
    for name, content in files().items():
        path = HERE / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)


if __name__ == "__main__":
    main()
