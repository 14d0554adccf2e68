import pytest

from backend.patients.sources.reasons import Why
from backend.patients.sources.telecoms import keep_once, normalise_email, normalise_phone, read_contact, region_of


@pytest.mark.parametrize(
    ("written", "region", "value", "mobile"),
    [
        ("06 12 34 56 78", "FR", "+33612345678", True),
        ("+33 (0)6 12 34 56 78", "FR", "+33612345678", True),
        ("0033612345678", "FR", "+33612345678", True),
        ("Tél. : 06.12.34.56.78", "FR", "+33612345678", True),
        ("06\u202f12\u00a034\u202f56\u202f78", "FR", "+33612345678", True),
        ("612345678", "FR", "+33612345678", True),
        ("01 42 34 56 78", "FR", "+33142345678", False),
        ("09 72 12 34 56", "FR", "+33972123456", False),
        ("07400 123456", "GB", "+447400123456", True),
        ("(415) 200-2671", "US", "+14152002671", True),
        ("0692 12 34 56", "FR", "+262692123456", True),
        ("0690 30 12 34", "FR", "+590690301234", True),
    ],
)
def test_a_number_has_one_form_however_it_is_written(written, region, value, mobile):
    found = normalise_phone(written, region)

    assert (found.value, found.usable, found.mobile) == (value, True, mobile)


@pytest.mark.parametrize("written", ["06 39 98 00 00", "0639981234", "+33 6 39 98 99 99"])
def test_mobiles_kept_for_fiction_take_sms_because_demos_use_them(written):
    assert (normalise_phone(written, "FR").usable, normalise_phone(written, "FR").mobile) == (True, True)


@pytest.mark.parametrize("begin", ["01 99 00", "02 61 91", "03 53 01", "04 65 71", "05 36 49"])
def test_landlines_kept_for_fiction_are_usable_and_take_no_sms(begin):
    assert (normalise_phone(f"{begin} 12 34", "FR").usable, normalise_phone(f"{begin} 12 34", "FR").mobile) == (
        True,
        False,
    )


@pytest.mark.parametrize(
    ("written", "region", "reason"),
    [
        ("", "FR", "phone_not_a_number"),
        ("see daughter", "FR", "phone_not_a_number"),
        ("06 12 34 56 78 (daughter)", "FR", "phone_not_a_number"),
        ("1-800-FLOWERS", "US", "phone_not_a_number"),
        ("06 12 34 56", "FR", "phone_incomplete"),
        ("3631", "FR", "phone_incomplete"),
        ("+33", "FR", "phone_not_a_number"),
        ("06 12 34 56 78 / 07 12 34 56 78", "FR", "phone_too_long"),
        ("0" * 300, "FR", "phone_too_long"),
        ("tel" + " " * 100_000 + "x", "FR", "phone_too_long"),
        ("+999 123456789", "FR", "phone_not_valid"),
        ("0899 70 12 34", "FR", "phone_premium"),
        ("0810 12 34 56", "FR", "phone_premium"),
        ("0800 12 34 56", "FR", "phone_not_personal"),
        ("555-810-7203", "US", "phone_not_valid"),
        ("555-810-7203", "FR", "phone_too_long"),
        ("212-555-0123", "US", "phone_fictitious"),
        ("+1 415 555 2671", "FR", "phone_fictitious"),
    ],
)
def test_a_number_that_nobody_answers_is_kept_as_written_with_its_reason(written, region, reason):
    found = normalise_phone(written, region)

    assert (found.value, found.reason, found.mobile) == (written, reason, None)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("Zoe.Durand@Example.ORG", "Zoe.Durand@example.org"),
        (" mailto:a@example.com ", "a@example.com"),
        ("a@clinic.example", "a@clinic.example"),
        ("a@clinic.test", "a@clinic.test"),
        ("a+b@exämple.org", "a+b@exämple.org"),
    ],
)
def test_an_address_keeps_its_name_and_has_its_domain_in_small_letters(written, value):
    found = normalise_email(written)

    assert (found.value, found.usable) == (value, True)


def test_two_addresses_that_differ_in_capitals_compare_as_one():
    assert normalise_email("A@example.org").compare == normalise_email("a@EXAMPLE.org").compare


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("", "email_not_valid"),
        ("none", "email_not_valid"),
        ("a@localhost", "email_not_valid"),
        ("a@test", "email_not_valid"),
        ("a@b.invalid", "email_not_valid"),
        ("a@127.0.0.1", "email_not_valid"),
        ("Zoe Durand <a@example.org>", "email_not_valid"),
        ("a@example.org, b@example.org", "email_not_valid"),
        ("zoé@example.org", "email_not_ascii"),
    ],
)
def test_an_address_that_no_mail_reaches_says_why(written, reason):
    assert normalise_email(written).reason == reason


@pytest.mark.parametrize(
    ("country", "region"),
    [("FR", "FR"), ("us", "US"), ("Belgique", "BE"), ("États-Unis", "US"), ("UK", "GB"), ("Narnia", "FR"), ("", "FR")],
)
def test_the_country_of_an_address_says_how_numbers_are_meant(country, region):
    assert region_of(country, default="FR") == region


def test_the_same_number_twice_is_kept_once_and_the_usable_one_wins():
    old = read_contact("0639981234", kind="phone", field="telecom[0]", region="FR", stopped=Why.CONTACT_ENDED)
    new = read_contact("+33 6 39 98 12 34", kind="phone", field="telecom[1]", region="FR")

    telecoms, problems = keep_once([old, new])

    assert [each.usable for each in telecoms] == [True]
    assert problems == (("telecom[0]", "contact_twice"),)


def test_nothing_personal_shows_when_a_contact_point_is_printed():
    assert "639981234" not in repr(normalise_phone("0639981234", "FR"))
    assert "639981234" not in repr(read_contact("0639981234", kind="phone", field="x", region="FR"))
