"""The sentences of an article that a draft comes nearest to: a summary that only quotes, out of one that was free.

The nearest sentence is the one that shares most words and pairs of neighbouring words with a sentence of the draft: the
F1 of the two bags, as ROUGE-1 and ROUGE-2 count them (Lin, "ROUGE: A Package for Automatic Evaluation of Summaries",
2004). Where a draft slips from one sentence into another, that is the one of which it has more.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

if __package__:
    from reading import sentences

    from .quotes import Parsed, Source
else:  # Triton imports its backend as the module "model", with its folder on the path
    import sentences  # type: ignore[import-not-found, no-redef]
    from quotes import Parsed, Source  # type: ignore[import-not-found, no-redef]

_WORD = re.compile(r"\w+")
Bag = Counter[str | tuple[str, str]]


def choose(draft: str, source: Source) -> Parsed:
    """The sentences to quote, in the order of the draft, none twice, and none with the same words as another.

    Args:
        draft: What the model wrote.
        source: The article, with the tokens of its sentences.

    Returns:
        At least one sentence, if the model has read one or begun to: where none of those that were read fits, it is the
        nearest one, and cut to so many tokens as there is room for.
    """
    sizes = list(source.tokens or ())[: len(source.sentences)]
    bags = [_bag(source.text[start:end]) for start, end in source.sentences[: len(sizes)]]
    wanted = [_bag(draft[start:end]) for start, end in sentences.split(draft)]
    room, chosen, written = source.room, list[int](), list[Bag]()
    for one in wanted:
        for likeness, index in _ranked(one, bags):
            if likeness and 0 < sizes[index] <= room and bags[index] not in written:
                chosen.append(index)
                written.append(bags[index])
                room -= sizes[index]
                break
    if chosen or not sizes:
        return Parsed(indices=tuple(chosen), cut=0)
    fitting = [index for index, size in enumerate(sizes) if 0 < size <= source.room]
    if fitting:  # a draft that has nothing of the article
        return Parsed(indices=(fitting[0],), cut=0)
    nearest = _ranked(wanted[0], bags)[0][1] if wanted else 0
    return Parsed(indices=(nearest,), cut=source.room)


def _bag(text: str) -> Bag:
    words = _WORD.findall(text.lower())
    return Counter([*words, *pairwise(words)])


def _ranked(wanted: Bag, bags: Sequence[Bag]) -> list[tuple[float, int]]:
    """How near each bag is, 0 to 1, and its index; the nearest first, the earlier one of equals."""
    size = wanted.total()
    near = [2 * _shared(wanted, bag) / max(1, size + bag.total()) for bag in bags]
    return sorted(((likeness, index) for index, likeness in enumerate(near)), key=lambda one: (-one[0], one[1]))


def _shared(wanted: Bag, bag: Bag) -> int:
    """The size of the bag of what is in both; many times as fast as ``(wanted & bag).total()``."""
    return sum(min(wanted[one], bag[one]) for one in wanted.keys() & bag.keys())
