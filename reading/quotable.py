"""Which sentences of an English news text may stand in a summary by themselves, by rules.

Some sentences are no part of the story: calls to read on or to subscribe, credits of photographs, headings. Others only
make sense after the sentence before them: "He denied it." And some begin with where the news comes from, which a
summary leaves out: "LONDON (Reuters) - ".
"""

from __future__ import annotations

import re
from typing import Final

_OPENING: Final = "\"'“‘«([ \t•*–—-"
_CALLS: Final = re.compile(
    r"""(?:
    click\b|tap\s+(?:here|the|on)\b|swipe\b|scroll\s+(?:down|through|on|for)\b|keep\s+scrolling|sign\s+up\b|subscribe\b
    |follow\s+(?:@|us\b|this\s+story|along|(?:\S+\s+){1,6}on\s+(?:twitter|facebook|instagram|x\b|tiktok|youtube))
    |(?:to\s+)?read\s+(?:more|also|next|on|about|our|full|the\s+(?:full|rest|original|latest|entire))\b
    |(?:also\s+)?see\s+(?:also|more|below|our|video|the\s+(?:full|video|latest|gallery|pictures|photos))\b
    |(?:to\s+)?(?:watch|listen)\s*(?:[:!|]|\s(?:to\s+)?(?:the|this|our|more|a|live|below|now|it|here|full|as|how)\b)
    |(?:please\s+)?share\s+(?:this|your)\b|join\s+(?:us|our|the\s+(?:conversation|discussion))\b
    |download\s+(?:the|our)\b|like\s+us\s+on\b|(?:to\s+)?(?:find\s+out|learn|discover)\s+more\b
    |get\s+(?:the\s+latest|our|breaking|daily|all\s+the)\b
    |for\s+more\s+(?:information|news|details|stories|videos?|updates|on|about|like|from)\b
    |for\s+(?:all\s+)?the\s+latest\s+(?:news|updates|on|from)\b
    |stay\s+(?:up\s+to\s+date|tuned)\b|visit\s+our\b|have\s+your\s+say\b|(?:leave|post)\s+(?:a|your)\s+comment
    |tell\s+us\b|let\s+us\s+know\b|(?:have|got)\s+a\s+(?:story|tip)\b
    |do\s+you\s+have\s+(?:a|any)\s+(?:story|tip|information)\b
    |(?:story|article)\s+continues\b|continue\s+reading\b|advertisement\W*$|sponsored\s*(?:content|post|:)|related\s*:
    |this\s+(?:article|story|post|page|copy)\s+(?:was|has\s+been|is|may|originally|first|contains|will)\b
    |if\s+you\s+(?:(?:have\s+been|are)\s+affected|would\s+like\s+to\s+(?:receive|get)|enjoyed|liked)\b
    )""",
    re.VERBOSE | re.IGNORECASE,
)
"""What a call to the reader opens with, and what a page says about itself."""
_CREDITS: Final = re.compile(
    r"""(?:
    (?:file\s+|stock\s+)?(?:photo|image|picture|pic|video|media|graphic|illustration|screenshot|photograph)s?
      (?:\s+(?:credit|caption|copyright|source|courtesy|via)\b|\s*[:/|©]|\s+by\b)
    |(?:credit|caption|source|getty|pictured|copyright|updated|published|posted)s?\s*[:/|©]
    |featured\s+image\b|©|copyright\s+\d|file\s*[-–—:]
    |(?:additional\s+)?(?:reporting|writing|editing|compiled)\s+(?:and\s+\w+\s+)?by\b
    )""",
    re.VERBOSE | re.IGNORECASE,
)
"""What the credit of a picture, or of those who wrote, opens with."""
_ANYWHERE: Final = re.compile(
    r"""\b(?:
    click\s+(?:here|on\s+the|the\s+link|below)|scroll\s+(?:down|below)|sign\s+up\s+(?:here|for\s+(?:our|the|your))
    |subscribe\s+(?:to\s+(?:our|the)|now|here|today)|follow\s+us\s+on|read\s+more\s*(?:[:.…»>]|here|$)
    |swipe\s+(?:left|up)|(?:photos?|images?|pictures?|footage|videos?)\s+(?:below|above)\W*$
    |(?:see|watch|listen\s+to)\s+(?:\w+\s+){1,9}below\W*$|our\s+(?:(?:free|daily|weekly)\s+)*newsletters?
    |all\s+rights\s+reserved|our\s+standards:|(?:ap|afp|epa|pa|reuters)\s+(?:photo|images|wire)\s*(?:[/)]|$)
    |(?:afp|ap|reuters)/|photo(?:graph)?\s+(?:credit|courtesy)|image\s+(?:credit|courtesy)|getty\s+images\W*$
    |via\s+(?:getty|shutterstock)|contributed\s+to\s+(?:this|the)\s+(?:report|story|article)
    )|/\s*getty\b|\((?:photo|image|picture|video)s?\b""",
    re.VERBOSE | re.IGNORECASE,
)
"""What gives such a sentence away wherever it stands in it."""
_ENDS: Final = (".", "!", "?", "…")
_CLOSING: Final = "\"'”’»)] \t"
_HEADING_WORDS: Final = 8

_PRONOUNS: Final = "he she it they this these that those his her their its"
_LINKS: Final = "but and so or yet nor because"
"""They tie a sentence to the one before it, with a pronoun after them."""
_ANSWERS: Final = "but and or nor yet however nevertheless nonetheless moreover furthermore therefore thus instead"
_PHRASES: Final = (
    r"(?:[Ii]n\s+(?:return|response|addition|contrast|turn)|[Aa]s\s+a\s+result|[Ff]or\s+(?:example|instance)),"
)
"""They tie it with whatever follows."""


def _any_of(words: str) -> str:
    """A pattern for words of which the first letter may be a capital; "IT" is no pronoun."""
    return "|".join(f"[{word[0].upper()}{word[0]}]{word[1:]}" for word in words.split())


_LEANS: Final = re.compile(
    rf"""(?:(?:{_any_of(_LINKS)})\b[,\s]+)?["'“‘]*(?:{_any_of(_PRONOUNS)})\b(?!-)
    |(?:{_any_of(_ANSWERS)})\b(?!-)|{_PHRASES}""",
    re.VERBOSE,
)
_STANDS: Final = re.compile(
    r"""(?:so\s+)?["'“‘]*(?:
    it(?:['’]s|\s+(?:is|was|has\s+been|had\s+been|will\s+be|would\s+be|remains|remained|seems|seemed|appears|appeared
        |emerged|became|turns\s+out|turned\s+out|means|follows))\b
        (?:[^.;:!?]{0,80}?[\s,](?:that|whether|who)\b
        |\s+(?:\w+\s+)?(?:time|easy|hard|difficult|possible|impossible|important|necessary|common|rare|unusual|unclear
            |illegal|raining|snowing)\b)
    |it\s+(?:took|takes|will\s+take|would\s+take|has\s+taken|cost|costs)\b[^.;:!?]{0,60}?\sto\b
    |this\s+(?:(?:past|coming|same|very)\s+)?(?:morning|afternoon|evening|week|weekend|month|year|decade|century|spring
        |summer|autumn|fall|winter|season|quarter|christmas|easter|(?:mon|tues|wednes|thurs|fri|satur|sun)day|january
        |february|march|april|may|june|july|august|september|october|november|december)\b
    |these\s+days\b|that\s+said\b
    |those\s+(?:who|whose|in|with|of|on|from|without|under|over|living|affected|aged|killed|injured|involved)\b
    |her\s+(?:majesty|royal|highness|excellency)\b|his\s+(?:majesty|royal|highness|holiness|excellency)\b
    )""",
    re.VERBOSE | re.IGNORECASE,
)
"""Pronouns that stand for nothing in the sentence before: "It is clear that", "This week"."""

_AGENCY: Final = (
    r"\(\s*(?:(?:Thomson\s+)?Reuters(?:\s+\w+)?|AP|Associated\s+Press|AFP|UPI|CNN(?:\s+\w+)?|CBS(?:\s+News)?"
    r"|NBC(?:\s+News)?|BBC|Bloomberg|Xinhua|DPA|dpa|ANI|PTI|IANS|TASS|EFE|Kyodo(?:\s+News)?)\s*\)"
)
_CAPITALS: Final = r"[A-Z][A-Z.’'-]+(?:[ ][A-Z][A-Z.’'-]*){0,4}"
_PLACE: Final = rf"(?:{_CAPITALS}|[A-Z][\w.’'-]*(?:[ ][A-Z][\w.’'-]*){{0,4}})(?:,?[ ][\w.’'-]+){{0,4}}"
_DATE: Final = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}\.?\s\d{1,2}\b"
_REGION: Final = r"(?:,\s*[A-Z][\w.’', ]{1,30}?)?"
_DATELINE: Final = re.compile(
    rf"""(?:
    (?:{_PLACE},?\s*)?{_AGENCY}\s*[-–—:]+                                  # Lagos, Nigeria (CNN) --
    |(?:{_CAPITALS}{_REGION}\s*|(?:{_PLACE},\s*)?{_DATE},?\s*)?{_AGENCY}   # WASHINGTON (AP), and Mumbai, Feb 27 (PTI)
    |{_CAPITALS}{_REGION}\s*                                               # NEW YORK — , or another agency
        (?:\([A-Z][\w.&/ ]{{1,30}}\)\s*(?:--|[-–—])|--|[–—]|(?<=\s)-(?=\s))(?=\s*["“‘']?[A-Z])
    )\s*(?:[-–—:]+\s*)?""",
    re.VERBOSE,
)


def is_apart(sentence: str) -> bool:
    """Whether a sentence is no part of the story: a call to the reader, a credit, a heading, or hardly any letters.

    Args:
        sentence: One sentence of an article, as `sentences.split` finds them.
    """
    shown = [char for char in sentence if not char.isspace()]
    if 2 * sum(map(str.isalpha, shown)) < len(shown):
        return True
    text = sentence.lstrip(_OPENING)
    ended = sentence.rstrip(_CLOSING).endswith(_ENDS)
    if not ended and len(text.split()) < _HEADING_WORDS:
        return True
    return bool(_CALLS.match(text) or _CREDITS.match(text) or _ANYWHERE.search(text))


def leans(sentence: str) -> bool:
    """Whether a sentence only makes sense after the one before it: it opens with a pronoun, or with "But".

    Args:
        sentence: One sentence of an article, without its `dateline`.
    """
    text = sentence.lstrip(_OPENING)
    return _LEANS.match(text) is not None and _STANDS.match(text) is None


def dateline(sentence: str) -> int:
    """How many characters of a sentence tell where the news comes from, such as "LONDON (Reuters) - "; 0 for none.

    Args:
        sentence: One sentence of an article. What follows the dateline has a letter or a digit.
    """
    found = _DATELINE.match(sentence)
    return found.end() if found and any(map(str.isalnum, sentence[found.end() :])) else 0
