"""The evidence backend without Triton: a made-up classifier goes by one word, and the sentence that has it is found."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tokenizers import Tokenizer

from infolens import contract
from reading import sentences
from serving.backends.evidence import model, occlusion
from serving.backends.evidence.configuration import IDS, MASK
from serving.backends.evidence.model import Read, entries, locate
from serving.backends.evidence.places import CONTROL, Tokens, align
from serving.backends.fan_out import on_request
from serving.backends.tokenizer import model as tokenizer_model
from tests.conftest import REPOSITORY

TOKENIZERS = pytest.mark.parametrize("name", ["distilbert_tokenizer", "xlnet_tokenizer"])
Asked = Sequence[occlusion.Run | None]


def test_the_names_are_those_of_the_contract_and_of_the_other_backends() -> None:
    """A backend imports nothing of ours, so it has these names and rules once more."""
    assert contract.EVIDENCE.name == contract.EVIDENCE_MODEL == contract.EVIDENCE_PARAMETER == "evidence"
    assert (contract.INPUT_IDS.name, contract.ATTENTION_MASK.name) == (IDS, MASK)
    assert model.TASKS == on_request.TASKS
    assert CONTROL.pattern == tokenizer_model.CONTROL.pattern


class Words:
    """A classifier of two labels that is the surer of the second, the more of its sentences it sees."""

    def __init__(self, weights: Mapping[int, float], together: Sequence[int] = ()) -> None:
        self.weights, self.together = weights, set(together)
        self.asked: list[Asked] = []

    def __call__(self, runs: Asked) -> list[npt.NDArray[np.float32]]:
        self.asked.append(runs)
        return [np.array([1 - one, one], np.float32) for one in map(self.sure, runs)]

    def sure(self, run: occlusion.Run | None) -> float:
        hidden = set(range(run.first, run.stop)) if run else set()
        some = bool(self.together - hidden)
        return 0.5 + sum(weight for number, weight in self.weights.items() if number not in hidden) + 0.2 * some


def found(count: int, words: Words) -> list[tuple[int, int, float]]:
    return [(run.first, run.stop, round(weight, 3)) for run, weight in occlusion.explain(count, words)]


def test_the_sentence_that_counts_is_the_evidence() -> None:
    words = Words({2: 0.3})
    assert found(5, words) == [(2, 3, 0.3)]
    assert words.asked == [[None, *(occlusion.Run(first=n, stop=n + 1) for n in range(5))]]


def test_the_strongest_come_first_and_three_at_most() -> None:
    assert found(9, Words({7: 0.05, 3: 0.1, 1: 0.2, 5: 0.01})) == [(1, 2, 0.2), (3, 4, 0.1), (7, 8, 0.05)]


@pytest.mark.parametrize("count", [2, 15, 16, 17, 31, 100, 200, 240])
def test_one_sentence_is_found_among_any_number_of_them(count: int) -> None:
    for at in {0, 1, count // 2, count - 1}:
        words = Words({at: 0.3, (at + count // 3) % count: 0.1})
        first, *_ = found(count, words)
        assert first[:2] == (at, at + 1)
        assert len(words.asked) <= 2
        assert all(len(runs) <= occlusion.ROUND for runs in words.asked)
        asked = [run for runs in words.asked for run in runs]
        assert len(set(asked)) == len(asked)


def test_what_neighbours_do_only_together_is_told_as_one() -> None:
    assert found(30, Words({}, together=(4, 5))) == [(4, 6, 0.2)]


def test_more_sentences_than_two_rounds_reach_are_told_together() -> None:
    ((first, stop, weight),) = found(1000, Words({500: 0.3}))
    assert first <= 500 < stop < first + 10
    assert weight == 0.3


def test_there_is_no_evidence_where_nothing_counts_or_nothing_is_left() -> None:
    assert found(8, Words({})) == found(8, Words({3: occlusion.LEAST / 2})) == []
    words = Words({0: 0.3})
    assert found(1, words) == found(0, words) == []
    assert words.asked == []


def test_parts_of_a_run_are_alike_and_whole() -> None:
    for size in range(1, 60):
        parts = occlusion.split(occlusion.Run(first=7, stop=7 + size), 15)
        assert [n for part in parts for n in range(part.first, part.stop)] == list(range(7, 7 + size))
        assert len(parts) == min(size, 15)
        assert max(part.size for part in parts) - min(part.size for part in parts) <= 1


def reader(name: str, max_tokens: int = 64) -> tuple[tokenizer_model.ArticleTokenizer, Tokens, Tokenizer]:
    """The backend that a server asks, and what looks for its tokens."""
    folder = REPOSITORY / name
    path = folder / "1" / "tokenizer.json"
    types = ["token_type_ids"] if name.startswith("xlnet") else []
    config = {
        "input": [{"name": "title", "optional": True}, {"name": "text"}],
        "output": [{"name": one, "data_type": "TYPE_INT32"} for one in ("input_ids", "attention_mask", *types)],
        "parameters": {
            "reads": {"string_value": "title,text"},
            "max_tokens": {"string_value": str(max_tokens)},
            "padding_side": {"string_value": "left" if types else "right"},
            "pad_id": {"string_value": "5" if types else "0"},
            "pad_type_id": {"string_value": "3" if types else "0"},
        },
    }
    return tokenizer_model.ArticleTokenizer(path, config), Tokens(folder), Tokenizer.from_file(str(path))


def read(name: str, title: str, text: str, max_tokens: int = 64) -> tuple[Read, Tokenizer]:
    backend, tokens, tokenizer = reader(name, max_tokens)
    columns = {"title": np.array([[title.encode()]], object), "text": np.array([[text.encode()]], object)}
    (answer,) = backend([columns])
    assert isinstance(answer, dict)
    return locate({key: array[0] for key, array in answer.items()}, tokens, title, text), tokenizer


def keyword(read: Read, tokenizer: Tokenizer, word: str) -> Any:
    """A classifier that is sure where the tokens that it sees have a word."""

    def ask(runs: Asked) -> list[npt.NDArray[np.float32]]:
        shown = texts(read.rows(runs), tokenizer)
        return [np.array([0.1, 0.9] if word in text else [0.6, 0.4], np.float32) for text in shown]

    return ask


def texts(rows: Mapping[str, npt.NDArray[Any]], tokenizer: Tokenizer) -> list[str]:
    """What a classifier sees in each row, in small letters."""
    pairs = zip(rows[IDS], rows[MASK], strict=True)
    return [tokenizer.decode(ids[mask > 0].tolist()).lower() for ids, mask in pairs]


@TOKENIZERS
@pytest.mark.parametrize("title", ["", "Doctors are silent"])
def test_the_sentence_with_the_word_is_found_in_what_was_read(name: str, title: str) -> None:
    text = " \ufeff\n" * 20 + "First 😀 line.\r\n\r\n\tA 👩‍👩‍👧 miracle\x00cure.  The council met. Rain fell.\n"
    seen, tokenizer = read(name, title, text)
    assert list(seen.sentences) == [0, 1, 2, 3]
    (entry,) = entries(text, seen, keyword(seen, tokenizer, "miracle"))
    assert text[entry["start"] : entry["end"]] == "A 👩‍👩‍👧 miracle\x00cure."
    assert (entry["index"], entry["weight"]) == (1, 0.5)
    assert json.loads(json.dumps(entry)) == entry


@TOKENIZERS
def test_each_row_misses_one_sentence_and_nothing_else(name: str) -> None:
    text = " ".join(f"Bridge {number} was opened by the mayor." for number in ("one", "two", "three", "four"))
    seen, tokenizer = read(name, "Bridges", text)
    runs = [None, *(occlusion.Run(first=number, stop=number + 1) for number in range(4))]
    rows = seen.rows(runs)
    assert all((ids == rows[IDS][0]).all() for ids in rows[IDS])
    shown = texts(rows, tokenizer)
    for row, word in enumerate(("one", "two", "three", "four"), 1):
        assert [other in shown[row] for other in ("bridges", "one", "two", "three", "four")] == [
            other != word for other in ("bridges", "one", "two", "three", "four")
        ]
        assert shown[row].count("mayor") == 3
    assert shown[0].count("mayor") == 4


@TOKENIZERS
def test_what_was_not_read_is_no_evidence(name: str) -> None:
    text = (
        " ".join(f"Bridge number {number} was opened by the mayor on Monday." for number in range(40)) + " A miracle."
    )
    seen, tokenizer = read(name, "", text)
    assert list(seen.sentences) == list(range(len(seen.sentences)))
    assert 2 < len(seen.sentences) < 10
    assert entries(text, seen, keyword(seen, tokenizer, "miracle")) == []


@TOKENIZERS
def test_a_reading_of_any_part_of_the_article_is_found_again(name: str) -> None:
    """Whatever a tokenizer chooses: here each third sentence after the beginning."""
    words = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
    text = " ".join(f"The bridge of {word} arches was opened." for word in words)
    spans = sentences.split(text)
    _, tokens, tokenizer = reader(name)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    whole = tokenizer.encode(text)
    chosen = [0, 1, 4, 7, 10]
    kept = [
        place
        for place, (start, end) in enumerate(whole.offsets)
        if start == end or any(spans[n][0] < end <= spans[n][1] for n in chosen)
    ]
    ids = np.array(whole.ids)[kept]
    found = tokens.sentences("", text, ids)
    assert list(found) == chosen
    for number, positions in found.items():
        said = tokenizer.decode(ids[positions].tolist()).lower()
        assert words[number] in said
        assert sum(f" {word} " in said for word in words) == 1
    with pytest.raises(LookupError, match="tokens that were read"):
        tokens.sentences("", "Another article altogether, on other things.", ids)


def test_what_was_read_is_found_with_the_fewest_gaps() -> None:
    def places(read: Sequence[int], whole: Sequence[int], owners: Sequence[int]) -> list[int]:
        found: list[int] = align(np.array(read), np.array(whole), np.array(owners)).tolist()
        return found

    whole, owners = [1, 2, 3, 4, 1, 2, 3, 5, 1, 2, 3, 6], [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]
    assert places([1, 2, 3, 4, 1, 2, 3, 6], whole, owners) == [0, 1, 2, 3, 8, 9, 10, 11]
    assert places([1, 2, 3, 5], whole, owners) == [4, 5, 6, 7]
    assert places([3, 6], whole, owners) == [10, 11]
    assert places(whole, whole, owners) == list(range(12))
    assert places([], whole, owners) == []
    for read in ([9], [6, 1], [1, 2, 3, 4, 9]):
        with pytest.raises(LookupError):
            places(read, whole, owners)
    with pytest.raises(LookupError):
        places([1], [], [])


def test_any_choice_of_sentences_is_found_again() -> None:
    chance = np.random.default_rng(5)
    for _ in range(200):
        sizes = chance.integers(1, 12, 20)
        owners = np.repeat(np.arange(20), sizes)
        whole = chance.integers(0, 6, len(owners))
        kept = np.isin(owners, np.flatnonzero(chance.random(20) < 0.5))
        places = align(whole[kept], whole, owners)
        assert (whole[places] == whole[kept]).all()
        assert (np.diff(places) > 0).all()
        gaps = [int((np.diff(found) > 1).sum()) for found in (places, np.flatnonzero(kept)) if len(found)]
        assert not gaps or gaps[0] <= gaps[1] + int(len(places) > 0 and places[0] == 0)


def test_a_folder_without_a_tokenizer_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no tokenizer\.json in .*: export the model again"):
        Tokens(tmp_path)
