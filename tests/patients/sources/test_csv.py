from datetime import UTC, date, datetime

import pytest

from backend.patients.sources.csv import read_csv
from backend.patients.sources.records import Identifier, OccasionRecord, PatientRecord, Problem, Reference

TODAY = date(2026, 10, 14)


@pytest.fixture
def read(tmp_path):
    """Reads a CSV file with this content: text, or bytes."""

    def read_text(content, **options):
        path = tmp_path / "patients.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return list(read_csv(path, today=TODAY, **options))

    return read_text


def problems_of(found):
    return [(each.where.line, each.kind, each.field, str(each.reason)) for each in found if isinstance(each, Problem)]


FRENCH = (
    "IPP;Nom;Prénom;Date de naissance;Sexe;Mobile;Téléphone;Courriel;Langue;Adresse;Code postal;Ville;Pays;"
    "Rendez-vous;Praticien\n"
    '12;Durand;"Zoé, Anne";31/12/1980;F;06 39 98 12 34;01 99 00 12 34;Zoe@Example.org;français;"1 rue X\n'
    'Bât. B";75001;Paris;France;01/12/2026 14:30;Dr Roux\n'
)


def test_a_french_file_is_read_whole(read):
    patient, occasion = read(FRENCH)

    assert isinstance(patient, PatientRecord)
    assert patient.identifiers == (Identifier(system="urn:accord:ipp", value="12"),)
    assert (patient.family_name, patient.given_names, patient.gender) == ("Durand", ("Zoé", "Anne"), "female")
    assert (patient.birth_date, patient.language, patient.active) == (date(1980, 12, 31), "fr", True)
    assert [(each.value, each.mobile) for each in patient.telecoms] == [
        ("+33639981234", True),
        ("+33199001234", False),
        ("Zoe@example.org", None),
    ]
    assert (patient.address_lines, patient.postal_code, patient.city) == (("1 rue X Bât. B",), "75001", "Paris")
    assert isinstance(occasion, OccasionRecord)
    assert occasion.patient == Reference(identifier=patient.identifiers[0], source_id=None)
    assert (occasion.kind, occasion.status, occasion.practitioner) == ("appointment", "booked", "Dr Roux")
    assert occasion.starts_at == datetime(2026, 12, 1, 13, 30, tzinfo=UTC)


@pytest.mark.parametrize("delimiter", [";", ",", "\t"])
@pytest.mark.parametrize("head", ["identifier|Family name|BIRTH_DATE|city", "IPP|Nom|Né le|Ville"])
def test_columns_are_found_in_both_languages_whatever_separates_them(read, delimiter, head):
    [patient] = read(f"{head}\n12|Durand|1980-12-31|\n".replace("|", delimiter))

    assert (patient.family_name, patient.birth_date, patient.city) == ("Durand", date(1980, 12, 31), "")


def test_a_file_of_windows_is_read_as_such_and_that_is_said(read):
    notice, patient = read("IPP;Nom\r\n1;Zoé\r\n".encode("cp1252"))

    assert (notice.reason, notice.kind, patient.family_name) == ("encoding_cp1252", "unusable", "Zoé")


def test_one_bad_line_does_not_turn_a_file_of_utf8_into_something_else(read):
    found = read("IPP;Nom\n1;Zoé\n2;Noé\n".encode() + "3;Cléo\n".encode("cp1252"))

    assert [each.family_name for each in found[:2]] == ["Zoé", "Noé"]
    assert problems_of(found) == [(4, "refused", "", "bad_utf8")]


def test_a_byte_order_mark_is_no_part_of_the_first_column(read):
    [patient] = read("IPP;Nom\n1;Zoé\n".encode("utf-8-sig"))

    assert patient.identifiers[0].value == "1"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", (1, "refused", "", "header_missing")),
        ("Zoé;Durand\n", (1, "refused", "", "header_missing")),
        ("IPP;Prénom\n1;Zoé\n", (1, "refused", "family_name", "column_missing")),
        ("Nom;Prénom\nDurand;Zoé\n", (1, "refused", "identifier", "column_missing")),
        ("IPP;Nom;Portable;Mobile\n1;Durand;;\n", (1, "refused", "mobile", "column_twice")),
        ("IPP;Nom\n1;Durand\n".encode("utf-16"), (1, "refused", "", "encoding_not_supported")),
        ("IPP;Nom" + ";" * 300 + "\n", (1, "refused", "", "too_many")),
    ],
)
def test_a_file_without_the_columns_it_needs_is_refused_as_a_whole(read, content, problem):
    assert problems_of(read(content)) == [problem]


def test_a_file_that_is_not_there_is_a_problem_and_no_crash(tmp_path):
    assert problems_of(read_csv(tmp_path / "none.csv")) == [(1, "refused", "", "file_unreadable")]


def test_columns_that_are_not_known_are_named_once(read):
    found = read("IPP;Nom;Fax;;Groupe sanguin\n1;Durand;1;;A\n2;Petit;2;;B\n")

    assert problems_of(found) == [
        (1, "unusable", "Fax", "column_unknown"),
        (1, "unusable", "#4", "column_unknown"),
        (1, "unusable", "Groupe sanguin", "column_unknown"),
    ]


HEAD = "IPP;Nom;Date de naissance;Mobile;Décédé;Actif;Langue\n"


@pytest.mark.parametrize(
    ("row", "field", "reason"),
    [
        ("1;Durand;;;;", "", "cell_count"),
        ("1;Durand;;;;;;;", "", "cell_count"),
        (";Durand;;;;;", "IPP", "no_identifier"),
        (f"1;{'x' * 201};;;;;", "Nom", "too_long"),
        (f"1;{'x' * 140_000};;;;;", "", "too_long"),
        ("1;Du\x01rand;;;;;", "Nom", "bad_character"),
        ('1;"Durand;;;;;', "", "quotes_not_understood"),
        ('1;"Dur"and;;;;;', "", "quotes_not_understood"),
    ],
)
def test_a_row_that_can_not_be_read_is_refused_and_the_next_one_is_read(read, row, field, reason):
    found = read(f"{HEAD}{row}\n2;Petit;;;;;\n")

    assert problems_of(found) == [(2, "refused", field, reason)]
    assert found[-1].family_name == "Petit"


@pytest.mark.parametrize(
    ("row", "field", "reason"),
    [
        ("1;;;;;;", "Nom", "name_missing"),
        ("1;Durand;1980;;;;", "Date de naissance", "date_incomplete"),
        ("1;Durand;31/02/1980;;;;", "Date de naissance", "date_impossible"),
        ("1;Durand;12.80;;;;", "Date de naissance", "date_not_understood"),
        ("1;Durand;01/01/2030;;;;", "Date de naissance", "date_in_future"),
        (f"1;Durand;{'1' * 201};;;;", "Date de naissance", "too_long"),
        ("1;Durand;;;perhaps;;", "Décédé", "code_not_understood"),
        (f"1;Durand;;;{'x' * 201};;", "Décédé", "too_long"),
        ("1;Durand;;;;perhaps;", "Actif", "code_not_understood"),
        (f"1;Durand;;;;{'x' * 201};", "Actif", "too_long"),
        ("1;Durand;;12;;;", "Mobile", "phone_incomplete"),
        ("1;Durand;;;31/02/2020;;", "Décédé", "date_impossible"),
        ("1;Durand;;;2020;;", "Décédé", "date_incomplete"),
        ("1;Durand;;;;;breton", "Langue", "language_not_available"),
    ],
)
def test_what_is_not_usable_does_not_cost_the_patient(read, row, field, reason):
    problem, patient = read(f"{HEAD}{row}\n")

    assert (problem.kind, problem.field, problem.reason) == ("unusable", field, reason)
    assert isinstance(patient, PatientRecord)


@pytest.mark.parametrize(
    ("cell", "deceased", "at"),
    [
        ("oui", True, None),
        ("Décédée", True, None),
        ("12/03/2020", True, date(2020, 3, 12)),
        ("31/02/2020", True, None),
        ("perhaps", True, None),
        ("?", True, None),
        ("non", False, None),
        ("", False, None),
    ],
)
def test_the_dead_are_marked(read, cell, deceased, at):
    patient = read(f"{HEAD}1;Durand;;;{cell};;\n")[-1]

    assert (patient.deceased, patient.deceased_at) == (deceased, at)


def test_whoever_may_not_be_active_is_not(read):
    assert read(f"{HEAD}1;Durand;;;;perhaps;\n")[-1].active is False
    assert read(f"{HEAD}1;Durand;;;;?;\n")[-1].active is False
    assert read(f"{HEAD}1;Durand;;;;;\n")[-1].active is True


def test_a_yes_outweighs_a_date_of_death_that_says_no(read):
    [patient] = read("IPP;Nom;Décédé;Date de décès\n1;Durand;oui;non\n")

    assert (patient.deceased, patient.deceased_at) == (True, None)


def test_a_date_of_death_outweighs_a_no(read):
    [patient] = read("IPP;Nom;Décédé;Date de décès\n1;Durand;non;12/03/2020\n")

    assert (patient.deceased, patient.deceased_at) == (True, date(2020, 3, 12))


def test_a_quote_that_is_never_closed_does_not_swallow_the_rows_below(read):
    rows = "".join(f"{number};Petit\n" for number in range(2, 60))
    found = read(f'IPP;Nom\n1;"Durand\n{rows}')

    assert problems_of(found) == [(2, "refused", "", "quotes_not_understood")]
    assert len(found) == 59


def test_rows_of_separators_only_are_blank(read):
    assert len(read("IPP;Nom\n1;Durand\n;\n;\n")) == 1


APPOINTMENTS = "IPP;Nom;RDV;Heure RDV;Fin RDV;Statut RDV;ID RDV\n"


@pytest.mark.parametrize(
    ("cells", "starts_at", "status"),
    [
        ("01/12/2026 14:30;;;;", datetime(2026, 12, 1, 13, 30, tzinfo=UTC), "booked"),
        ("01/07/2026 à 14h;;;Annulé;", datetime(2026, 7, 1, 12, 0, tzinfo=UTC), "cancelled"),
        ("01/12/2026;9h05;;non venu;", datetime(2026, 12, 1, 8, 5, tzinfo=UTC), "missed"),
        ("2026-12-01T14:30:00+02:00;;;;", datetime(2026, 12, 1, 12, 30, tzinfo=UTC), "booked"),
        ("2026-12-01 14:30:15;;;honoré;", datetime(2026, 12, 1, 13, 30, 15, tzinfo=UTC), "fulfilled"),
    ],
)
def test_an_appointment_is_at_its_time_on_the_clock_of_the_clinic(read, cells, starts_at, status):
    _, occasion = read(f"{APPOINTMENTS}1;Durand;{cells}\n")

    assert (occasion.starts_at, occasion.status) == (starts_at, status)


@pytest.mark.parametrize(
    ("cells", "field", "reason"),
    [
        ("01/12/2026;;;;", "RDV", "date_incomplete"),
        ("2026-12;10:00;;;", "RDV", "date_incomplete"),
        ("tomorrow;;;;", "RDV", "date_not_understood"),
        ("01/12/2026 25:00;;;;", "RDV", "date_impossible"),
        ("29/03/2026 02:30;;;;", "RDV", "date_impossible"),
        ("01/12/2026 10:00;;soon;;", "Fin RDV", "date_not_understood"),
        ("01/12/2026 10:00;;;maybe;", "Statut RDV", "code_not_understood"),
    ],
)
def test_an_appointment_that_can_not_be_read_does_not_cost_the_patient(read, cells, field, reason):
    problem, patient = read(f"{APPOINTMENTS}1;Durand;{cells}\n")

    assert (problem.kind, problem.field, problem.reason) == ("unusable", field, reason)
    assert isinstance(patient, PatientRecord)


def test_an_end_before_the_start_is_left_out_and_reported(read):
    problem, _, occasion = read(f"{APPOINTMENTS}1;Durand;01/12/2026 10:00;;01/12/2026 09:00;;\n")

    assert (problem.field, problem.reason, occasion.ends_at) == ("Fin RDV", "end_before_start", None)


def test_a_patient_with_two_appointments_is_one_patient(read):
    rows = "1;Durand;01/12/2026 10:00;;;;\n1;Durand;02/12/2026 10:00;;;;\n"
    found = read(APPOINTMENTS + rows)

    assert [type(each) for each in found] == [PatientRecord, OccasionRecord, OccasionRecord]
    assert len({each.identifiers for each in found[1:]}) == 2


@pytest.mark.parametrize(
    ("second", "field", "reason"),
    [
        ("1;Durand;;;;;", "IPP", "record_twice"),
        ("1;Petit;02/12/2026 10:00;;;;", "IPP", "record_twice"),
        ("1;Durand;01/12/2026 10:00;;;;", "RDV", "record_twice"),
        ("1;Durand;never;;;;", "RDV", "date_not_understood"),
    ],
)
def test_of_a_patient_who_is_there_twice_the_first_is_kept(read, second, field, reason):
    found = read(f"{APPOINTMENTS}1;Durand;01/12/2026 10:00;;;;\n{second}\n")

    assert [type(each) for each in found] == [PatientRecord, OccasionRecord, Problem]
    assert problems_of(found) == [(3, "refused", field, reason)]


def test_an_appointment_with_a_number_of_its_own_is_known_by_it(read):
    _, occasion = read(f"{APPOINTMENTS}1;Durand;01/12/2026 10:00;;;;A7\n", system="urn:oid:1.2.3")

    assert occasion.identifiers == (Identifier(system="urn:oid:1.2.3:appointment", value="A7"),)


def test_progress_ends_at_the_size_of_the_file(tmp_path):
    path = tmp_path / "patients.csv"
    path.write_text("IPP;Nom\n" + "".join(f"{number};Durand\n" for number in range(1_000)), encoding="utf-8")
    file = read_csv(path)

    assert sum(isinstance(each, PatientRecord) for each in file) == 1_000
    assert file.position == file.size == path.stat().st_size
