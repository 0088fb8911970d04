"""A slot that may only quote: the rules of `export.graph.quotes`, for slots of any age.

The host has prepared what stays the same of an article, see `engine.tensors.CHOICES`.
"""

from __future__ import annotations

import numpy as np

from engine.settings import Rules
from engine.tensors import MAY_FOLLOW, USED

from .logic import LOWEST, Logic
from .words import Lists, Place


def quoting_words(logic: Logic, scores: str, rules: Rules, lists: Lists, place: Place) -> tuple[str, str]:
    """Write the scores of summaries that quote, and what may follow.

    Args:
        logic: Of the graph, which has the tensors of `engine.tensors.CHOICES`.
        scores: FLOAT (rows, columns).
        rules: Of the checkpoint.
        lists: Its tokens.
        place: Of the step.

    Returns:
        FLOAT (rows, columns), minus infinity for what must not come next; and what ``quoted`` would be in the next step
        if each beam went on, INT64 (slots, beams, source).
    """
    number, one = logic.number, logic.one
    starts, lasts, ends = (logic.wide(f"quote_{name}", 1) for name in ("starts", "lasts", "ends"))
    unspaced, spaced = (logic.slice("quote_tokens", 1, i, i + 1) for i in (0, 1))  # (slots, 1, source)
    at_start = one("Equal", place.length, number(rules.before))

    # The newest token is one of those that could come.
    just_begun = one("Equal", place.length, number(rules.before + 1))
    forms = logic.where(just_begun, unspaced, spaced)
    could = one("Equal", "quoted", number(MAY_FOLLOW))
    matched = logic.all(could, one("Equal", forms, logic.wide("newest", 2)))
    continues = logic.any_along(logic.all(matched, logic.no(starts)), 2)
    position = logic.all(matched, logic.no(logic.all(starts, continues)))
    ended = logic.all(position, lasts)
    used = logic.either(one("Equal", "quoted", number(USED)), ended)
    boundary = logic.either(logic.any_along(ended, 2), at_start)  # (slots, beams, 1)

    # What may come now.
    inside = logic.integer(logic.all(position, logic.no(lasts)))
    following = logic.flag(logic.delayed(inside, 1, number(0, np.int32)))
    begins = logic.all(_fitting(logic, place, starts, ends, used), boundary)
    none = logic.all(at_start, logic.no(logic.any_along(begins, 2)))
    so_far = one("CumSum", logic.integer(starts), number(2, np.int32))
    first = logic.all(starts, one("Equal", so_far, number(1, np.int32)))
    begins = logic.either(begins, logic.all(none, first))
    allowed = logic.either(following, begins)
    nothing = logic.no(logic.any_along(allowed, 2))
    enough = logic.either(one("GreaterOrEqual", place.length, logic.wide("min_length", 1, 2)), nothing)
    enough = logic.all(enough, logic.either(logic.no(at_start), nothing))
    may_end = logic.all(boundary, enough)  # (slots, beams, 1)

    after = logic.where(allowed, number(MAY_FOLLOW), logic.where(used, number(USED), number(0)))
    coming = logic.where(at_start, unspaced, spaced)

    def opened(flags: str, tokens: str) -> str:
        return logic.where(flags, tokens, place.beyond)

    index = logic.beside(opened(may_end, lists.end_tokens), len(rules.end_tokens), opened(allowed, coming))
    index = one("Reshape", index, logic.shape(one("Mul", place.slots, place.beams), -1))
    nothing = one("Expand", number(LOWEST, np.float32), one("Shape", scores))
    return one("ScatterElements", nothing, index, logic.take(scores, index, 1), axis=1), after


def _fitting(logic: Logic, place: Place, starts: str, ends: str, used: str) -> str:
    """The starts of the sentences that are not used and still fit: BOOL (slots, beams, source)."""
    one, number = logic.one, logic.number
    size = logic.size("quote_ends", 1)
    last = one("Min", one("Max", ends, number(0)), one("Sub", size, logic.graph.ints([1])))
    taken = logic.take(logic.integer(used), logic.expand(last, 1, place.beams, 1), 2)
    # ends - position + 1 tokens and the end, after `length` others.
    total = one("Add", one("Sub", ends, logic.range(size)), place.length)
    fits = one("Less", one("Add", total, number(1)), logic.wide("max_length", 1, 2))
    return logic.all(starts, fits, one("Equal", taken, number(0, np.int32)))
