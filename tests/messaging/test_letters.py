"""Letters: claimed and gated like any message, printed once, sent when staff say that they were posted."""

import re
import shutil
import subprocess
from datetime import UTC, datetime

import pytest

from backend.attempts.models import Attempt
from backend.consent.operations import withdraw_consent
from backend.errors import InvalidInput, NotFound
from backend.messaging.delivery import deliver_due_messages
from backend.messaging.letter_documents import Letter, letters_as_pdf
from backend.messaging.letters import (
    NothingToPrint,
    letters_of,
    letters_waiting,
    make_print_batch,
    print_batch_pdf,
    print_batches,
    tell_posted,
    tell_returned,
)
from backend.messaging.links import find_way_out
from backend.messaging.models import Message
from backend.patients.models import ContactPoint
from backend.patients.operations import attest_contact_point
from backend.patients.operations.contact_points import ContactPointUnusable, prepare_code
from backend.patients.operations.postal import add_postal_address
from backend.policy.contact import FrequencyCap
from backend.policy.vocabulary import Channel, Language, Method
from backend.programmes.operations import plan_programmes
from tests.conftest import DAY, HOUR
from tests.factories.background import all_at_once
from tests.factories.carriers import carriers_in_test, given_to
from tests.factories.patients import consent, make_appointment, make_patient
from tests.messaging.test_calls import VISIT, offer_by
from tests.messaging.test_caps_and_hours import TOMORROW, change

LINES = ["Madame Odette PAPETERIE", "Bâtiment C", "12 rue des Écluses", "67000 STRASBOURG"]


def address(patient, now, *, lines=LINES, actor=None, attested=True):
    point = add_postal_address(
        clinic_id=patient.clinic_id, patient_id=patient.id, lines=lines, actor=actor or patient.actor, now=now
    )
    if attested:
        attest_contact_point(
            clinic_id=patient.clinic_id,
            patient_id=patient.id,
            contact_point_id=point,
            how="seen_in_person",
            actor=actor or patient.actor,
            now=now,
        )
    return point


@pytest.fixture
def by_post(northgate, manager, now):
    """Not online, and said yes to letters."""
    offer_by((Channel.LETTER,), northgate, doctor=manager, now=now - 10 * DAY)
    patient = make_patient(northgate.id, now=now - 9 * DAY, device=False, family_name="Papeterie")
    consent(patient, purpose=VISIT, channels=[Channel.LETTER], now=now - 8 * DAY)
    address(patient, now - 8 * DAY)
    return patient


@pytest.fixture
def due(by_post, now):
    make_appointment(by_post, starts_at=now + TOMORROW, now=now)
    plan_programmes(now=now)
    return Message.objects.get(purpose__slug=VISIT)


def print_all(clinic_id, actor, now):
    return make_print_batch(clinic_id=clinic_id, actor=actor, now=now)


def text_of(pdf, tmp_path, *arguments):
    """As another program reads the PDF."""
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext is not here")
    (tmp_path / "letters.pdf").write_bytes(pdf)
    command = ["pdftotext", *arguments, str(tmp_path / "letters.pdf"), "-"]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout


def places_of(pdf, tmp_path):
    """Each word and where it stands on its sheet, in millimetres from the left and the top."""
    told = text_of(pdf, tmp_path, "-bbox")
    found = re.findall(r'<word xMin="([\d.]+)" yMin="([\d.]+)" xMax="([\d.]+)" yMax="([\d.]+)">([^<]*)</word>', told)
    return [(word, *(float(place) * 25.4 / 72 for place in box)) for *box, word in found]


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["Odette Papeterie", "67000 Strasbourg"],
        ["", "  ", "Odette Papeterie", "67000 Strasbourg"],
        ["x"] * 7,
        ["Odette Papeterie", "x" * 39, "67000 Strasbourg"],
        ["Odette\tPapeterie\x00", "1 rue", "67000 Strasbourg"],
    ],
)
def test_what_does_not_fit_a_window_is_refused(silent, now, lines):
    with pytest.raises(InvalidInput):
        address(silent, now, lines=lines)


def test_the_same_address_twice_is_one_and_no_code_goes_there(silent, now):
    point = address(silent, now, attested=False)

    assert address(silent, now, lines=[f" {line.upper()} " for line in LINES], attested=False) == point
    with pytest.raises(ContactPointUnusable):
        prepare_code(
            clinic_id=silent.clinic_id, patient_id=silent.id, contact_point_id=point, actor=silent.actor, now=now
        )


def test_an_address_that_nobody_attested_is_not_used(northgate, manager, now):
    offer_by((Channel.LETTER,), northgate, doctor=manager, now=now - 10 * DAY)
    patient = make_patient(northgate.id, now=now - DAY)
    consent(patient, purpose=VISIT, channels=[Channel.LETTER], now=now - DAY)
    address(patient, now, attested=False)
    make_appointment(patient, starts_at=now + TOMORROW, now=now)

    plan_programmes(now=now)

    assert Message.objects.get(purpose__slug=VISIT).verdict["reasons"] == ["contact_unverified"]
    assert letters_waiting(clinic_id=northgate.id, now=now) == 0


def test_no_worker_takes_a_letter_and_staff_print_it_once(due, reception, now):
    carriers = carriers_in_test()
    deliver_due_messages(now=now, carriers=carriers)
    assert given_to(carriers) == []
    assert letters_waiting(clinic_id=due.clinic_id, now=now) == 1

    batch = print_all(due.clinic_id, reception, now)

    assert (batch.letters, batch.to_tell) == (1, 1)
    assert letters_waiting(clinic_id=due.clinic_id, now=now) == 0
    due.refresh_from_db()
    assert (due.state, due.failure, due.carrier) == ("in_doubt", "printed", "letter")
    with pytest.raises(NothingToPrint):
        print_all(due.clinic_id, reception, now)


def test_it_is_sent_when_it_is_said_to_be_posted(due, reception, now):
    batch = print_all(due.clinic_id, reception, now)

    told = tell_posted(
        clinic_id=due.clinic_id, batch_id=batch.id, not_posted=frozenset(), actor=reception, now=now + HOUR
    )

    assert told == (1, 0)
    due.refresh_from_db()
    assert due.state == "sent"
    assert Attempt.objects.get().outcome == "sent"
    (shown,) = print_batches(clinic_id=due.clinic_id)
    assert (shown.letters, shown.to_tell) == (1, 0)
    again = tell_posted(
        clinic_id=due.clinic_id, batch_id=batch.id, not_posted=frozenset({due.id}), actor=reception, now=now + HOUR
    )
    assert again == (0, 0)


def test_one_that_stayed_in_the_tray_failed(due, reception, now):
    batch = print_all(due.clinic_id, reception, now)

    told = tell_posted(
        clinic_id=due.clinic_id, batch_id=batch.id, not_posted=frozenset({due.id}), actor=reception, now=now
    )

    assert told == (0, 1)
    due.refresh_from_db()
    assert (due.state, due.failure) == ("failed", "not_arrived")


def test_one_that_comes_back_failed_and_its_address_is_checked_anew(due, reception, now):
    batch = print_all(due.clinic_id, reception, now)
    tell_posted(clinic_id=due.clinic_id, batch_id=batch.id, not_posted=frozenset(), actor=reception, now=now)

    tell_returned(clinic_id=due.clinic_id, message_id=due.id, actor=reception, now=now + 5 * DAY)

    due.refresh_from_db()
    assert (due.state, due.failure) == ("failed", "address_gone")
    assert ContactPoint.objects.get(id=due.contact_point_id).status == "unverified"


def test_the_gate_is_asked_when_the_batch_is_made(due, by_post, reception, now):
    leave(by_post, now)

    with pytest.raises(NothingToPrint):
        print_all(due.clinic_id, reception, now)

    due.refresh_from_db()
    assert (due.state, due.verdict["reasons"]) == ("withheld", ["consent_withdrawn"])
    assert print_batches(clinic_id=due.clinic_id) == []


def test_who_withdraws_between_print_and_post_is_told_and_the_letter_is_taken_out(due, by_post, reception, now):
    batch = print_all(due.clinic_id, reception, now)
    (letter,) = letters_of(clinic_id=due.clinic_id, batch_id=batch.id, now=now)
    assert letter.may_be_posted

    withdrawal = leave(by_post, now)

    assert not withdrawal.confirmed
    assert withdrawal.in_doubt == (due.id,)
    (letter,) = letters_of(clinic_id=due.clinic_id, batch_id=batch.id, now=now)
    assert not letter.may_be_posted
    assert [reason.value for reason in letter.verdict.reasons] == ["consent_withdrawn"]
    with pytest.raises(NothingToPrint):
        print_batch_pdf(clinic_id=due.clinic_id, batch_id=batch.id, actor=reception, now=now)


def leave(patient, now):
    return withdraw_consent(
        clinic_id=patient.clinic_id,
        patient_id=patient.id,
        purpose=VISIT,
        channels=[Channel.LETTER],
        method=Method.APP,
        actor=patient.actor,
        now=now,
    )


def test_the_pdf_says_it_all_and_its_printed_link_is_the_way_out(due, reception, now, tmp_path):
    batch = print_all(due.clinic_id, reception, now)

    pdf = print_batch_pdf(clinic_id=due.clinic_id, batch_id=batch.id, actor=reception, now=now)

    told = " ".join(text_of(pdf, tmp_path).split())
    assert "Bonjour, ici Clinique Northgate. Rendez-vous jeudi 15 octobre à 14h00." in told
    assert all(line in told for line in LINES)
    assert "14 octobre 2026" in told
    assert "01 99 00 12 34" in told
    link = re.search(r"http\S+/u/(\S+)", told)
    assert link is not None
    found = find_way_out(link.group(1))
    assert found is not None
    assert (found.purpose.slug, found.way.channel) == (VISIT, Channel.LETTER)
    assert pdf == print_batch_pdf(clinic_id=due.clinic_id, batch_id=batch.id, actor=reception, now=now)


def test_only_the_address_stands_in_the_window(due, reception, now, tmp_path):
    batch = print_all(due.clinic_id, reception, now)
    pdf = print_batch_pdf(clinic_id=due.clinic_id, batch_id=batch.id, actor=reception, now=now)

    words = places_of(pdf, tmp_path)
    in_window = [word for word in words if word[3] > 95 and word[2] < 95 and word[4] > 40]

    assert " ".join(word[0] for word in in_window) == " ".join(LINES)
    assert all(
        left > 109.9 and right <= 190 and top >= 50 and bottom <= 80 for _, left, top, right, bottom in in_window
    )


def test_letters_in_two_languages_and_large_print(northgate, now, tmp_path):
    letters = [
        Letter(
            language=language,
            to=("Camille EXEMPLE", "1 rue des Lilas", "75011 PARIS"),
            subject=subject,
            text="Premier paragraphe.\n\nDeuxième, avec #set text(size: 90pt) et *rien* d’autre.",
            large_print=large,
            link="https://accord.example.org/u/AbCdEfGhIjKlMnOpQrStUv",
        )
        for language, subject, large in (
            (Language.FRENCH, "Votre rendez-vous", False),
            (Language.ENGLISH, "Your appointment", True),
        )
    ]

    pdf = letters_as_pdf(letters, clinic=northgate, now=datetime(2026, 10, 14, 8, tzinfo=UTC))

    french, english = text_of(pdf, tmp_path).split("\f")[:2]
    assert "Dites-le à l’accueil" in " ".join(french.split())
    assert "Say so at the desk" in " ".join(english.split())
    assert "14 October 2026" in english
    # What a template says is text, never a command of the typesetter.
    assert "#set text(size: 90pt) et *rien*" in " ".join(french.split())
    heights = {
        page: max(bottom - top for word, _l, top, _r, bottom in places_of(one, tmp_path) if word.startswith("Deuxième"))
        for page, one in (
            ("small", letters_as_pdf(letters[:1], clinic=northgate, now=now)),
            ("large", letters_as_pdf(letters[1:], clinic=northgate, now=now)),
        )
    }
    assert heights["large"] > 1.4 * heights["small"]


def test_another_clinic_has_no_part_in_it(due, southbank, outsider, reception, now):
    batch = print_all(due.clinic_id, reception, now)

    assert letters_waiting(clinic_id=southbank.id, now=now) == 0
    for ask in (
        lambda: letters_of(clinic_id=southbank.id, batch_id=batch.id, now=now),
        lambda: print_batch_pdf(clinic_id=southbank.id, batch_id=batch.id, actor=outsider, now=now),
        lambda: tell_returned(clinic_id=southbank.id, message_id=due.id, actor=outsider, now=now),
        lambda: tell_posted(clinic_id=southbank.id, batch_id=batch.id, not_posted=frozenset(), actor=outsider, now=now),
    ):
        with pytest.raises(NotFound):
            ask()


@pytest.mark.django_db(transaction=True)
def test_two_who_print_at_once_print_each_letter_once_and_no_more_than_the_cap(due, by_post, reception, manager, now):
    change(by_post, now, frequency=FrequencyCap(max=1, per="day"))
    make_appointment(by_post, starts_at=now + TOMORROW + HOUR, now=now)
    plan_programmes(now=now)

    told = all_at_once(lambda: print_all(due.clinic_id, reception, now), lambda: print_all(due.clinic_id, manager, now))

    assert sorted(type(one).__name__ for one in told) == ["Batch", "NothingToPrint"]
    assert Message.objects.filter(purpose__slug=VISIT, state="in_doubt").count() == 1
