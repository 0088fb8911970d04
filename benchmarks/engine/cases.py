"""What is measured of each model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from engine.article import Article

from .comparing import Case, Group
from .work import Articles

LENGTHS: Final = (64, 128, 256, 512)
"""Tokens of an article that is alone."""
IN_FLIGHT: Final = (2, 4, 8, 16)
MIXED_IN_FLIGHT: Final = 8
LONG_BEAMS: Final = (1, 4)
LONG_IN_FLIGHT: Final = (4, 8)


def cases_of(articles: Articles, count: int) -> list[Case]:
    """All cases of a small model.

    Args:
        articles: Where they come from.
        count: Articles of a case with several in flight; a case with one has a quarter of it.
    """

    def many(make: Callable[[], Article], number: int = count) -> tuple[Article, ...]:
        return tuple(make() for _ in range(number))

    def searched(beams: int) -> Callable[[], Article]:
        def make() -> Article:
            asked = articles.usual()
            return replace(asked, sentence_ends=None, settings=replace(asked.settings, num_beams=beams))

        return make

    def of(tokens: int) -> Callable[[], Article]:
        return lambda: articles.usual(tokens)

    usual = many(articles.usual)  # The same for every load.
    found = [
        Case(group=Group.ALONE, name=f"{tokens} tokens", in_flight=1, articles=many(of(tokens), max(1, count // 4)))
        for tokens in LENGTHS
    ]
    found += [Case(group=Group.BUSY, name="as served", in_flight=number, articles=usual) for number in IN_FLIGHT]
    for beams in (1, 4):
        words = f"free, {beams} beam{'s' if beams > 1 else ''}"
        free = many(searched(beams))
        found.append(Case(group=Group.BUSY, name=words, in_flight=MIXED_IN_FLIGHT, articles=free))
    mixed = many(articles.mixed)
    return [*found, Case(group=Group.MIXED, name="mixed wishes", in_flight=MIXED_IN_FLIGHT, articles=mixed)]


def long_cases(articles: Sequence[Article]) -> list[Case]:
    """The cases of a model that takes a second for an article: all given articles, with few beams and with more.

    One at a time are half of them, since they share nothing.
    """
    alone = tuple(articles[: max(1, len(articles) // 2)])
    found = []
    for beams in LONG_BEAMS:
        name = f"{beams} beam{'s' if beams > 1 else ''}"
        found.append(Case(group=Group.ALONE, name=name, in_flight=1, articles=_with_beams(alone, beams)))
        for number in LONG_IN_FLIGHT:
            every = _with_beams(articles, beams)
            found.append(Case(group=Group.BUSY, name=name, in_flight=number, articles=every))
    return found


def _with_beams(articles: Sequence[Article], beams: int) -> tuple[Article, ...]:
    return tuple(replace(one, settings=replace(one.settings, num_beams=beams)) for one in articles)
