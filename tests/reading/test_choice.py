"""Which sentences are chosen, by what a model says of their words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from statistics import mean

import numpy as np
import pytest

from reading.choice import Bags, ChoiceRules, Chosen, Prediction, choose
from reading.words import Words

PLAIN = ChoiceRules(repeated=0.35, pairs=1.0, length=1.0, report_words=0)
"""Rules of these tests' own: the usual ones are chosen by measurement, and change."""
LOOSE = replace(PLAIN, least_words=0)


@dataclass(frozen=True, kw_only=True)
class Judged:
    """An article of which each word is a token, as a model may judge it."""

    sentences: Sequence[str]
    prediction: Prediction
    words: Words

    def choose(self, *, room: int = 200, least: int = 0, rules: ChoiceRules = LOOSE) -> Chosen:
        return choose(self.prediction, self.words, self.sentences, room=room, least=least, rules=rules)


def judge(
    sentences: Sequence[str],
    worth: Mapping[str, float] | None = None,
    *,
    pairs: float = 0.0,
    expected: float = 10,
    unread: Sequence[int] = (),
    rng: np.random.Generator | None = None,
) -> Judged:
    """An article in which each sentence is worth what is said of one of its words; or what chance says."""
    found = [re.findall(r"\w+", sentence.lower()) for sentence in sentences]
    rows = [number for number, words in enumerate(found) for _ in words]
    count = len(rows)
    if rng is None:
        by_sentence = [max([(worth or {}).get(word, 0.0) for word in words], default=0.0) for words in found]
        likely, side_by_side = np.array([by_sentence[row] for row in rows]), np.full(count, pairs)
    else:
        likely, side_by_side = rng.random(count), rng.random(count)
    sizes = [0 if number in unread else len(words) for number, words in enumerate(found)]
    words = Words(
        texts=tuple(word for one in found for word in one),
        tokens=np.arange(count),
        sentences=np.array(rows, np.int64),
        sizes=np.array(sizes, np.int64),
    )
    prediction = Prediction(expected_words=expected, words=likely, pairs=side_by_side)
    return Judged(sentences=sentences, prediction=prediction, words=words)


BRIDGE = "The old bridge will close in June."
CITY = "Workers said so on Monday evening."
FERRY = "Ferries cross the harbour until winter comes."
COST = "Repairs cost three million pounds altogether."
RAIN = "Heavy rain fell over northern towns."
STORY = (BRIDGE, CITY, FERRY, COST, RAIN)


@pytest.mark.parametrize(
    ("worth", "expected", "indices"),
    [
        ({"bridge": 0.9}, 7, (0,)),
        ({"rain": 0.9, "bridge": 0.8}, 13, (0, 4)),
        ({"rain": 0.9, "bridge": 0.8, "cost": 0.7, "ferries": 0.6}, 60, (0, 3, 4)),
        ({"bridge": 0.9, "ferries": 0.3}, 7, (0,)),
    ],
    ids=["one", "the order is the article's", "three at most", "as long as the model expects"],
)
def test_the_likeliest_sentences_are_chosen(worth: dict[str, float], expected: float, indices: tuple[int, ...]) -> None:
    assert judge(STORY, worth, expected=expected).choose() == Chosen(indices=indices)


def test_the_same_words_are_not_worth_the_same_twice() -> None:
    again = "The old bridge will close in July."
    worth = {"june": 0.9, "july": 0.9, "rain": 0.6}
    assert judge((BRIDGE, again, RAIN), worth, expected=7).choose().indices == (0, 2)
    assert judge((BRIDGE, BRIDGE, BRIDGE), {"june": 0.9}, expected=30).choose().indices == (0,)


def test_words_side_by_side_count_where_the_words_do_not_tell() -> None:
    judged = judge((BRIDGE, RAIN), {"june": 0.5, "rain": 0.5}, expected=7)
    pairs = judged.prediction.pairs.copy()
    pairs[8:] = 0.9  # those of the second sentence
    leaning = replace(judged, prediction=replace(judged.prediction, pairs=pairs))
    assert leaning.choose(rules=replace(LOOSE, most_sentences=1)).indices == (1,)
    assert leaning.choose(rules=replace(LOOSE, most_sentences=1, pairs=0)).indices == (0,)


def test_a_report_of_few_words_keeps_its_first_sentence() -> None:
    judged = judge(STORY, {"rain": 0.9, "bridge": 0.3, "cost": 0.8}, expected=12)
    words = sum(len(sentence.split()) for sentence in STORY)
    assert judged.choose().indices == (3, 4)
    assert judged.choose(rules=replace(LOOSE, report_words=words)).indices == (0, 3, 4)
    assert judged.choose(rules=replace(LOOSE, report_words=words - 1)).indices == (3, 4)
    # What is no story begins nothing.
    ferry = judge(("What the rain says", FERRY, RAIN), {"rain": 0.9}, expected=6)
    assert ferry.choose(rules=replace(LOOSE, report_words=words)).indices == (1, 2)


def test_a_short_summary_is_worth_less() -> None:
    judged = judge(STORY, {"bridge": 0.9, "rain": 0.3}, expected=7)
    assert judged.choose().indices == (0,)
    assert judged.choose(rules=replace(PLAIN, least_words=12)).indices == (0, 4)


@pytest.mark.parametrize(
    ("room", "chosen"),
    [(20, (0, 2, 3)), (14, (0, 2)), (13, (0, 3)), (7, (0,)), (6, (3,))],
    ids=["all", "two", "a shorter second one", "one", "another one"],
)
def test_the_sentences_have_no_more_tokens_than_there_is_room_for(room: int, chosen: tuple[int, ...]) -> None:
    worth = {"bridge": 0.9, "harbour": 0.8, "cost": 0.7}
    assert judge(STORY, worth, expected=60).choose(room=room) == Chosen(indices=chosen)


@pytest.mark.parametrize(
    ("least", "chosen"),
    [(0, (0,)), (7, (0,)), (8, (0, 2)), (15, (0, 2, 3)), (500, (0, 1, 2, 3, 4))],
    ids=["none", "as many as there are", "one more", "two more", "all that there are"],
)
def test_further_sentences_are_taken_until_there_are_enough_tokens(least: int, chosen: tuple[int, ...]) -> None:
    judged = judge(STORY, {"bridge": 0.9, "harbour": 0.5, "cost": 0.3}, expected=1)
    assert judged.choose(least=least) == Chosen(indices=chosen)


def test_where_none_fits_the_best_has_to_be_cut() -> None:
    judged = judge(STORY, {"rain": 0.9, "bridge": 0.5})
    assert judged.choose(room=3) == Chosen(indices=(4,), whole=False)
    assert judge(STORY[:1], {}, unread=[0]).choose() == Chosen(indices=(0,), whole=False)
    call = "Read more about the harbour here."
    assert judge((call, BRIDGE), {"more": 0.9}).choose(room=6) == Chosen(indices=(1,), whole=False)


def test_a_sentence_that_was_not_read_to_its_end_is_not_quoted() -> None:
    assert judge(STORY, {"rain": 0.9, "bridge": 0.1}, expected=7, unread=[4]).choose().indices == (0,)


@pytest.mark.parametrize(
    ("sentences", "indices"),
    [
        ((BRIDGE, "Read more about the harbour here."), (0,)),
        ((BRIDGE, "Photo: the harbour in January 1934."), (0,)),
        ((BRIDGE, "What the harbour knows"), (0,)),
        ((BRIDGE, "The harbour won."), (0,)),
        (("He won.", "The harbour won."), (1,)),
        (("Read more about the harbour here.", "Sign up for the harbour newsletter."), (0,)),
        (("What the harbour knows", "Why"), (0,)),
        (("The harbour said so on Monday", "Read more."), (0,)),
    ],
    ids=["call", "credit", "heading", "short", "only short ones", "only calls", "only headings", "a heading alone"],
)
def test_what_is_no_story_is_quoted_where_there_is_nothing_else(sentences: Sequence[str], indices: tuple[int]) -> None:
    rules = replace(LOOSE, most_sentences=1)
    assert judge(sentences, {"harbour": 0.9}, expected=6).choose(rules=rules).indices == indices


def test_nothing_is_said_twice_where_there_is_no_story() -> None:
    headings = ("What the harbour knows", "Why", "What the harbour knows", "What the harbour knows")
    assert judge(headings, {"harbour": 0.9, "why": 0.8}, expected=60).choose(least=12).indices == (0, 1)


def test_a_pronoun_comes_with_the_sentence_before_it() -> None:
    he, but = "He called the harbour a disgrace.", "But nobody at the harbour listened."
    worth = {"harbour": 0.9, "rain": 0.3}
    assert judge((RAIN, CITY, he), worth, expected=6).choose().indices == (1, 2)
    assert judge((RAIN, CITY, he), worth, expected=6).choose(room=6).indices == (0,)
    assert judge((CITY, he, but), worth, expected=12).choose().indices == (0, 1, 2)
    assert judge((RAIN, CITY, he, but, but.upper()), worth, expected=6).choose(room=12).indices == (1, 2)
    assert judge((he,), worth).choose().indices == (0,)  # there is nothing else
    assert judge(("What the rain says", he, RAIN), worth, expected=6).choose().indices == (2,)


def test_many_sentences_that_lean_leave_one_that_stands() -> None:
    many = [f"He saw the harbour {word}." for word in ("one", "two", "three", "four", "five", "six", "seven", "eight")]
    judged = judge([BRIDGE, *many, RAIN], {"harbour": 0.9, "rain": 0.1, "bridge": 0.1}, expected=6)
    assert judged.choose(rules=replace(LOOSE, most_sentences=2)).indices == (0, 1)
    assert judge([*many, RAIN], {"harbour": 0.9}, expected=6).choose().indices == (8,)


def test_the_words_of_a_dateline_hide_no_call() -> None:
    watch = "LONDON (Reuters) - Watch the rain fall over northern towns."
    assert judge((BRIDGE, watch), {"rain": 0.9}).choose().indices == (0,)


def value(judged: Judged, chosen: Sequence[int], rules: ChoiceRules) -> float:
    """What a summary is worth, word by word."""
    likely, side_by_side = judged.prediction.words.tolist(), judged.prediction.pairs.tolist()
    places = [*enumerate(zip(judged.words.texts, judged.words.sentences.tolist(), strict=True))]
    of_words: dict[str, list[float]] = {}
    of_pairs: dict[tuple[str, str], list[float]] = {}
    mine, my_pairs = Counter[str](), set[tuple[str, str]]()
    for place, (word, sentence) in places:
        of_words.setdefault(word, []).append(likely[place])
        mine.update([word] if sentence in chosen else [])
    for (_, (one, here)), (place, (other, there)) in pairwise(places):
        if here == there:
            of_pairs.setdefault((one, other), []).append(side_by_side[place])
            my_pairs.update([(one, other)] if here in chosen else [])
    size, expected = mine.total(), judged.prediction.expected_words * rules.length
    shared = sum(mean(of_words[word]) * (1 + rules.repeated * (count - 1)) for word, count in mine.items())
    pairs = sum(mean(of_pairs[pair]) for pair in my_pairs)
    rouge_2 = 2 * pairs / max(size - len(chosen) + expected - 1, 1)
    return 2 * shared / (size + expected) + rules.pairs * rouge_2


def articles() -> list[Judged]:
    found = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        words = [f"{chr(97 + number // 26)}{chr(97 + number % 26)}x" for number in range(int(rng.integers(3, 40)))]
        sentences = [" ".join(rng.choice(words, rng.integers(5, 15))) + "." for _ in range(int(rng.integers(1, 8)))]
        found.append(judge(["Aw " + one for one in sentences], expected=float(rng.uniform(0, 60)), rng=rng))
    return found


def test_what_a_set_is_worth_is_what_its_words_are_worth() -> None:
    rules = ChoiceRules(repeated=0.2, pairs=0.7, length=1.2)
    for judged in articles():
        count = len(judged.sentences)
        sets = [one for size in range(1, min(count, 3) + 1) for one in combinations(range(count), size)]
        flags = np.array([[index in one for index in range(count)] for one in sets])
        expected = judged.prediction.expected_words * rules.length
        found = Bags.of(judged.prediction, judged.words).values(flags, expected, rules)
        np.testing.assert_allclose(found, [value(judged, one, rules) for one in sets], rtol=1e-9)


def test_the_chosen_set_is_the_best_of_all() -> None:
    rules = replace(PLAIN, least_words=20)
    for judged in articles():
        sizes = judged.words.sizes.tolist()
        different = {sentence: index for index, sentence in reversed([*enumerate(judged.sentences)])}
        sets = [one for size in (1, 2, 3) for one in combinations(sorted(different.values()), size)]

        def worth(one: Sequence[int], judged: Judged = judged, sizes: Sequence[int] = sizes) -> float:
            return value(judged, one, rules) - rules.lacking * max(0, rules.least_words - sum(sizes[i] for i in one))

        best = max((one for one in sets if sum(sizes[index] for index in one) <= 40), key=worth)
        assert worth(judged.choose(room=40, rules=rules).indices) == pytest.approx(worth(best))


def test_a_row_of_integers_is_read_back() -> None:
    row = np.array([36_500, 0, 250_000, 1_000_000, 1, 2, 3], np.int32)
    found = Prediction.unpack(row, 3)
    assert found.expected_words == 36.5
    assert found.words.tolist() == [0, 0.25, 1]
    assert found.pairs.tolist() == [1e-6, 2e-6, 3e-6]


def test_a_model_may_expect_a_long_summary() -> None:
    assert Prediction.unpack(np.array([5_000_000, 0, 0], np.int32), 1).expected_words == 5000


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([1, 2, 3], "a row of 2 tokens has 5 numbers, not 3"),
        ([-1, 2, 3, 4, 5], "no fewer than 0 words, not -1 thousandths"),
        ([1, 2, 3, 4, -1], "probabilities are from 0 to 1000000 millionths, not -1"),
        ([1, 2, 3, 4, 1_000_001], "probabilities are from 0 to 1000000 millionths, not 1000001"),
    ],
)
def test_a_row_that_is_none_is_refused(row: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Prediction.unpack(np.array(row, np.int32), 2)


def test_an_article_without_sentences_has_no_choice_and_one_without_their_texts_is_refused() -> None:
    assert judge(()).choose() == Chosen(indices=())
    judged = judge(STORY)
    with pytest.raises(ValueError, match="the row has 5 sentences, and there are texts of 4"):
        choose(judged.prediction, judged.words, STORY[:4], room=40)
