"""How hard a text is to read. A formula warns and never refuses: five patients who read aloud decide."""

import re
from typing import Final

from backend.policy.vocabulary import Language

VOWELS: Final = {
    Language.FRENCH: re.compile(r"[aeiouyàâäéèêëîïôöùûüÿœ]+"),
    Language.ENGLISH: re.compile(r"[aeiouy]+"),
}
SILENT: Final = {
    Language.FRENCH: re.compile(r"(?<=[^\W\d_]{2})e(s|nt)?$"),
    Language.ENGLISH: re.compile(r"(?<=[^\W\d_]{2})(e|ed|es)$"),
}
LEFT_OUT: Final = re.compile(r"\([^()]{0,200}\)|\bhttps?://\S+|\bwww\.\S+|(?<![\w.-])[\w-]+(?:\.[\w-]+)+")
ENDS: Final = re.compile(r"[.?!:;\n]+")
WORD: Final = re.compile(r"[^\W\d_]+")
SPOKEN_WORD: Final = re.compile(r"[\w’'-]+")
# A colon ends a thought in a list of facts ("Heure : 14 h"), and a line does.
SENTENCE_ENDS: Final = re.compile(r"[.?!:;\n]+(?=\s|$)|\n")
FEWEST_WORDS: Final = 30


def syllables(word: str, language: Language) -> int:
    """How many syllables are heard; a silent ending is not."""
    spoken = SILENT[language].sub("", word.lower())
    return max(1, len(VOWELS[language].findall(spoken)))


def ease(text: str, language: Language) -> float | None:
    """Reading ease, 100 very easy, 60 plain language, 30 hard; None for a text too short to be measured.

    English: Flesch, "A new readability yardstick", Journal of Applied Psychology 32 (1948). French: Kandel and Moles,
    "Application de l'indice de Flesch à la langue française", Cahiers d'études de radio-télévision 19 (1958).
    """
    spoken = LEFT_OUT.sub("", text)
    sentences = [part for part in ENDS.split(spoken) if WORD.search(part)]
    words = WORD.findall(spoken)
    if len(words) < FEWEST_WORDS or not sentences:
        return None
    length = len(words) / len(sentences)
    per_word = sum(syllables(word, language) for word in words) / len(words)
    if language is Language.FRENCH:
        return 207 - 1.015 * length - 73.6 * per_word
    return 206.835 - 1.015 * length - 84.6 * per_word


def longest_sentence(text: str) -> int:
    """How many words its longest sentence has."""
    parts = SENTENCE_ENDS.split(LEFT_OUT.sub("x", text))
    return max((len(SPOKEN_WORD.findall(part)) for part in parts), default=0)
