"""What a one-word SMS means. Leaving is understood in any spelling; joining is never understood at all.

A message is a STOP where it begins with a word that means nothing else, or says such a word and politeness only, or is
one of the words that mean it when they stand alone. "don't stop", "arrêtez pas" and "annuler mon rendez-vous" are none.
Where a first word says stop and more follows ("STOP, I get too many"), it is obeyed: silence that was not meant can be
mended at the desk, a message after a STOP can not.
"""

import re
import unicodedata
from enum import StrEnum
from typing import Final


class Keyword(StrEnum):
    """How an SMS is understood. `start` is recognised so that it can be answered; it gives no consent."""

    STOP = "stop"
    START = "start"
    NONE = "none"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# French, English, German, Spanish, Italian, Portuguese, Dutch, and Arabic in both of its spellings; without accents.
MEANS_STOP: Final = _words(
    "stop stopp stoppe stopper stopall stopsms stoppen stopzetten arret arrete arretes arretez arreter desabonner "
    "desabonnement desabonnez desabonne desinscrire desinscription desinscrivez desinscris unsubscribe unsub optout "
    "abmelden abmeldung abbestellen baja desuscribir desuscribirme disiscriviti disiscrivimi cancellami afmelden "
    "uitschrijven tawaqaf tawaqqaf tawakaf wa9ef wa9fou توقف قف الغاء ايقاف"
)
MEANS_STOP_ALONE: Final = _words(
    "end quit cancel fin cancelar annuler annulla annuleren ende aufhoren basta alto parar pare sair remover revoke"
)
MEANS_START: Final = _words("start unstop oui yes ja si sim resume reprendre go demarrer abonner subscribe inicio")
POLITE: Final = _words(
    "svp stp please pls merci thanks thank you s il vous te plait bitte danke por favor gracias per favore grazie "
    "obrigado obrigada alstublieft aub bonjour hello hi sms message messages les le the all tout tous de ces now mci "
    "immediately maintenant ok dank u"
)
NOT: Final = _words("pas not nicht no non niet nao jamais never nie")
# Where a carrier asks for the number of the sender with the word.
NUMBERS: Final = re.compile(r"\d{1,6}")
LONGEST: Final = 1_600


def understand(text: str) -> Keyword:
    """What an SMS of this text means. Case, accents, punctuation and pictures aside."""
    words = _folded(text[:LONGEST])
    if not words:
        return Keyword.NONE
    said = [word for word in words if word not in POLITE and not NUMBERS.fullmatch(word)]
    if _is_stop(words, said):
        return Keyword.STOP
    return Keyword.START if len(said) == 1 and said[0] in MEANS_START else Keyword.NONE


def _is_stop(words: list[str], said: list[str]) -> bool:
    if words[0] in MEANS_STOP:
        return len(words) == 1 or words[1] not in NOT
    if words[:2] == ["opt", "out"]:
        return True
    return bool(said) and (all(word in MEANS_STOP for word in said) or (len(said) == 1 and said[0] in MEANS_STOP_ALONE))


def _folded(text: str) -> list[str]:
    """The words, in lower case, without accents. An apostrophe joins (`don't` is `dont`), except after d and l."""
    joined = re.sub(r"['’]", "", re.sub(r"\b[dl]['’]", "", text.casefold()))
    plain = unicodedata.normalize("NFKD", joined)
    plain = "".join(sign for sign in plain if not unicodedata.combining(sign))
    words = re.findall(r"\w+", plain)
    # S T O P, one letter at a time.
    return ["".join(words)] if len(words) > 1 and all(len(word) == 1 for word in words) else words
