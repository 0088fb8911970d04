"""Whether a text in Latin letters is of another language than English, by its commonest words.

Function words are a third and more of any running text, and a language is known by its own. The words of a text are
looked up in two sets: English ones, and those of other languages that are neither English nor parts of names. A text
is foreign where the others are many and the English ones few; a table of results or a list of names has neither, and
passes. No library is asked: those that tell languages apart take a hundred megabytes in each process, or milliseconds
for a text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice

WORDS = 200
"""So many words of the beginning are looked at."""
FEWEST = 12
"""A shorter text is not judged."""
FOREIGN_SHARE = 0.1
FOREIGN_FEWEST = 4
"""So many words of other languages make a text foreign, if English ones are less than half as many."""
FOREIGN_DIFFERENT = 2
"""And so many different ones: "care" and "fog" are English too, and headlines about them have no other common word."""

_WORD = re.compile(r"[^\W\d_]+")
# No word has one letter: U.S. would have two, and a text in a wrong encoding many.
_ENGLISH_LINES = (
    "the of and to in that is was for it with as on by at he be this his from are not but have an they which you",
    "were her all their had there been one if she or we has more no will would who when what can so said up out",
    "about into than them its only some could these two may then do other after over also new first any my now such",
    "like our between most me did many even how where under while your against during because through us",
)
_FOREIGN_LINES = (
    # German, Dutch, the Scandinavian languages
    "der das und ist nicht ein eine einen einer mit auf für von dem des zu auch sich im wird aus bei nach wie sind",
    "als dass oder noch werden wurde haben hat sie er het een van en dat niet voor met zijn aan door naar ook maar",
    "werd deze bij uit heeft och att det som är för av på inte till har från ett jag var og til ikke ble skal kan",
    "fra ved blir efter eller zum zur über tot worden dit hij ze geen nog",
    # French, Spanish, Portuguese, Italian, Catalan, Romanian
    "de le la les une est dans pour que qui sur du et pas au avec ce il elle ont sont plus aux cette été el los las",
    "una por con para del se su es lo como más pero sus fue este esta os um uma não em da dos na com mas foi são ao",
    "pelo pela di che sono non della gli nel anche questo alla delle și în care pe nu mai din amb els però dei",
    "nella degli più stato fino ogni ai dopo quando pelos vai cada já sobre até ser mais fin être",
    # Polish, Czech, Slovak, Croatian, Slovene
    "się że nie jest jak ale po od przez przy tylko oraz był która które je ve jako byl podle které ktorý ako bol",
    "sú alebo za iz koji kao ili pri ki tudi powodu został także jeszcze bardzo są być będą své svůj kvůli bude",
    "budou byla bylo jsou není až už také před",
    # Finnish, Hungarian, Estonian, Lithuanian, Latvian
    "ja ei että oli ovat mutta myös kun niin sekä az és hogy nem egy meg volt csak vagy mint ez kui oma seda yra",
    "tai buvo iš ar tas eivät vuoksi jälkeen joka mukaan ollut kanssa yli voi egyik után miatt pedig még már lesz",
    "nagyon kell való közölte mondta",
    # Turkish, Indonesian, Vietnamese, Swahili, Tagalog
    "bir bu için ile çok daha olarak olan gibi ama yang dengan untuk tidak ini itu dari pada akan dalam và của là",
    "không các một những được cho có ya wa kwa katika ang ng mga ay",
    # Welsh, Irish, Latin
    "yn yr oedd wedi gan gyda bod hefyd ond mae roedd agus bhí sé ag leis ní ut cum sed ad quod",
    # Dutch and Hungarian, which need more
    "zei gaat oude onze heeft hebben kunnen waar wel omdat nieuwe jaar egy fog arra akkor azonban volna lezárják",
)
_PARTICLE_LINE = "da das de del della den der di dos du el la las le les los van von zu zum zur"
_PARTICLES = frozenset(_PARTICLE_LINE.split())
"""They stand in names that English texts are full of; before a capital letter they say nothing of a language."""
_ENGLISH = frozenset(word for line in _ENGLISH_LINES for word in line.split())
_FOREIGN = frozenset(word for line in _FOREIGN_LINES for word in line.split())


def is_foreign(text: str) -> bool:
    """Whether a text in Latin letters is surely not English."""
    words = [match[0] for match in islice(_WORD.finditer(text), WORDS)]
    if len(words) < FEWEST:
        return False
    fewest = max(FOREIGN_FEWEST, FOREIGN_SHARE * len(words))
    if sum(map(_FOREIGN.__contains__, words)) < fewest:  # as in most articles, names or not
        return False
    english = sum(word.lower() in _ENGLISH for word in words)
    foreign = _foreign(words)
    return len(foreign) >= fewest and 2 * english < len(foreign) and len(set(foreign)) >= FOREIGN_DIFFERENT


def _foreign(words: Sequence[str]) -> list[str]:
    """The words of other languages, but for those that belong to a name: de Jong, van der Leyen."""
    found, before_name = [], False
    for word in reversed(words):
        before_name = word[0].isupper() or (before_name and word in _PARTICLES)
        if word in _FOREIGN and not before_name:  # as written: Los Angeles and El Paso are names
            found.append(word)
    return found
