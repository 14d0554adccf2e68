"""STOP in any spelling, and nothing that merely sounds like it; START is never taken for a yes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.messaging.keywords import MEANS_STOP, Keyword, understand

STOPS = [
    "STOP", "stop", "Stop.", "STOP!!!", "  stop\n", "«STOP»", "S.T.O.P", "S T O P", "stop svp", "Stop merci",
    "Bonjour, stop svp", "please STOP", "STOP 36111", "stop sms", "STOP STOP STOP", "\N{OCTAGONAL SIGN} STOP",
    "Stop, je ne veux plus rien recevoir", "STOPALL", "stop all", "ARRET", "ARRÊT", "arrêt",
    "ARRE\N{COMBINING CIRCUMFLEX ACCENT}T",
    "ARRETER", "arrêtez", "Merci d’arrêter", "merci d'arreter les sms", "DÉSABONNER", "Desabonnement", "désinscription",
    "UNSUBSCRIBE", "unsubscribe please", "opt out", "OPT-OUT", "CANCEL", "END", "QUIT", "FIN", "annuler", "Abmelden",
    "abbestellen bitte", "BAJA", "cancelar", "Basta!", "annulla", "PARAR", "sair", "afmelden", "stoppen a.u.b.",
    "tawaqaf", "توقف", "ＳＴＯＰ",
]  # fmt: skip
NO_STOPS = [
    "", "   ", "?!", "don't stop", "Don’t stop!", "do not stop", "please don't stop", "arrêtez pas", "N'arrêtez pas",
    "Ne pas arrêter", "stop pas", "stop not", "nicht stoppen", "annuler mon rendez-vous", "cancel my appointment",
    "fin de journée possible ?", "the end of the week suits me", "merci", "ok", "1", "36111", "non", "no",
    "on se voit à l'arrêt de bus", "I will stop by tomorrow", "nonstop", "stopwatch", "END OF JULY",
]  # fmt: skip
STARTS = ["START", "oui", "OUI !", "Unstop", "yes please", "sí"]


@pytest.mark.parametrize("text", STOPS)
def test_this_is_a_stop(text):
    assert understand(text) is Keyword.STOP


@pytest.mark.parametrize("text", NO_STOPS)
def test_this_is_none(text):
    assert understand(text) is Keyword.NONE


@pytest.mark.parametrize("text", STARTS)
def test_this_would_like_to_start_and_that_is_all_there_is_to_it(text):
    assert understand(text) is Keyword.START


@given(
    word=st.sampled_from(sorted(MEANS_STOP)),
    before=st.sampled_from(["", " ", "\n", "¡", "…"]),
    after=st.text(" .!?\t\n"),
)
def test_case_and_signs_around_it_change_nothing(word, before, after):
    for spelling in (word, word.upper(), word.title()):
        assert understand(f"{before}{spelling}{after}") is Keyword.STOP


@given(st.text(max_size=3000))
def test_any_text_is_understood_somehow(text):
    assert understand(text) in Keyword
