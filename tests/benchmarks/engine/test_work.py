"""What both sides are asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from benchmarks.common.server import ROOT, BenchmarkError
from benchmarks.engine.cases import IN_FLIGHT, LENGTHS, cases_of
from benchmarks.engine.comparing import Group
from benchmarks.engine.sides import graph_inputs, without_padding
from benchmarks.engine.work import Articles, Defaults, random_articles, sentence_ends
from engine.article import Article, Sampling, check
from engine.settings import Bucket, Rules, Settings
from infolens.contract import NEVER_ENDS, SUMMARY_SETTINGS

TOKENIZER = ROOT / "model_repository" / "bart_tokenizer" / "1" / "tokenizer.json"
SETTINGS = Settings(min_length=16, max_length=80, no_repeat_ngram_size=3)


def articles(*, quotes: bool = False) -> Articles:
    return Articles(TOKENIZER, Defaults(settings=SETTINGS, quotes=quotes), longest=512, seed=3)


def test_an_article_has_just_so_many_tokens_between_its_special_ones() -> None:
    found = articles().usual(100)
    assert len(found.ids) == 100
    assert (found.ids[0], found.ids[-1]) == (0, 2)
    assert found.plain
    np.testing.assert_array_equal(found.ids, articles().usual(100).ids)


def test_an_article_is_cut_to_what_the_model_reads() -> None:
    source = articles()
    assert max(len(source.usual().ids) for _ in range(40)) == 512


def test_a_sentence_that_is_cut_off_cannot_be_quoted() -> None:
    ends = articles(quotes=True).usual(64).sentence_ends
    assert ends is not None
    assert ends[0] == ends[-1] == -1
    whole = ends[(ends >= 0) & (ends != NEVER_ENDS)]
    assert len(whole)
    assert whole.max() < 63
    assert ends[-2] == NEVER_ENDS


def test_sentences_end_where_their_last_token_is() -> None:
    offsets = [(0, 0), (0, 2), (2, 3), (3, 7), (7, 8), (0, 0)]
    assert sentence_ends("Ah. Gone!", offsets).tolist() == [-1, 2, 2, 4, 4, -1]


def test_all_cases_fit_the_model_and_the_mixed_ones_are_mixed() -> None:
    rules = Rules(start_token=2, end_tokens=(2,), pad_token=1)
    bucket = Bucket(slots=1, beams=4, source_length=512, target_length=128)
    words = Tokenizer.from_file(str(TOKENIZER)).get_vocab_size()
    cases = cases_of(articles(), 64)
    for case in cases:
        for one in case.articles:
            check(one, bucket, rules, words)
    assert [len(case.articles[0].ids) for case in cases if case.group is Group.ALONE] == list(LENGTHS)
    assert [case.in_flight for case in cases if case.name == "as served"] == list(IN_FLIGHT)
    mixed = cases[-1].articles
    assert {one.settings.num_beams for one in mixed} == {1, 2, 4}
    assert any(one.sampling for one in mixed)
    assert any(one.sentence_ends is not None for one in mixed)
    assert any(one.plain for one in mixed)


def test_the_graph_gets_the_same_article() -> None:
    settings = Settings(min_length=5, max_length=20, num_beams=2, length_penalty=-1.5)
    sampling = Sampling(temperature=0.5, top_p=0.9, draws=np.arange(20, dtype=np.float32) / 20)
    asked = Article(ids=np.array([0, 9, 2], np.int32), settings=settings, sampling=sampling)
    found = graph_inputs(asked, 1)
    assert found["input_ids"].shape == (1, 64)
    assert found["input_ids"][0, :4].tolist() == [0, 9, 2, 1]
    assert found["attention_mask"].sum() == 3
    assert found["sentence_ends"].tolist() == [[0]]
    assert found["sampling"].shape == (1, 22)
    for setting in (one for one in SUMMARY_SETTINGS if one.by_length):
        assert setting.decode(found[setting.name].shape[1]) == getattr(settings, setting.name)


def test_padding_ends_a_summary_and_does_not_break_it() -> None:
    assert without_padding(np.array([2, 0, 1, 7, 2, 1, 1]), 1).tolist() == [2, 0, 1, 7, 2]
    assert without_padding(np.array([1, 1]), 1).tolist() == []


def test_random_articles_are_the_same_at_every_call() -> None:
    first, again = (random_articles(2, 16, 100, SETTINGS) for _ in range(2))
    assert [one.ids.tolist() for one in first] == [one.ids.tolist() for one in again]
    assert first[0].ids.tolist() != first[1].ids.tolist()


def test_a_tokenizer_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="export the model again"):
        Articles(tmp_path / "tokenizer.json", Defaults(settings=SETTINGS, quotes=False), longest=512, seed=0)
