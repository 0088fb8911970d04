"""Summaries of random articles, in a search that may only quote: each is whole sentences of its article, none twice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from export.architectures.bart import write
from export.graph.initializers import Initializers
from export.graph.precision import Precision
from export.parity.quotes import Sentence, sentences_of
from export.parity.sampling import Sampling
from export.parity.summaries import with_settings
from infolens.contract import ATTENTION_MASK, INPUT_IDS, SAMPLING, SENTENCE_ENDS
from operators.library import ensure_operators

from .rows import END, PAD, WORDS, Arrays, row_of, session_of, spacing, tiny_bart, trained

BATCH, START = 25, [END, 0]


def articles(random: np.random.Generator) -> Arrays:
    words = int(random.choice([26, 30, 40, WORDS]))
    ids = np.full((BATCH, 40), PAD, np.int32)
    ends = np.full_like(ids, -1)
    for row in range(BATCH):
        length = int(random.integers(2, 41))
        ids[row, :length], ends[row, :length] = row_of(random, length, words)
    return {INPUT_IDS.name: ids, ATTENTION_MASK.name: (ids != PAD).astype(np.int32), SENTENCE_ENDS.name: ends}


def quoted(text: Sequence[int], sentences: Sequence[Sentence], used: frozenset[tuple[int, ...]] = frozenset()) -> bool:
    """Whether a text is whole sentences, none of them twice; sentences that differ in a space alone are the same."""
    if not text:
        return True
    table = spacing().spaced if used else spacing().unspaced
    for sentence in sentences:
        tokens = (int(table[sentence.tokens[0]]), *sentence.tokens[1:])
        name = (int(spacing().spaced[tokens[0]]), *tokens[1:])
        fits = sentence.whole and name not in used and tuple(text[: len(tokens)]) == tokens
        if fits and quoted(text[len(tokens) :], sentences, used | {name}):
            return True
    return False


@pytest.mark.parametrize(
    "count", [pytest.param(500, id="some"), pytest.param(10_000, id="many", marks=pytest.mark.slow)]
)
def test_every_summary_is_made_of_sentences(count: int) -> None:
    model = tiny_bart()
    model.generation_config.update(forced_bos_token_id=0, forced_eos_token_id=END, early_stopping=True)
    graph = write(trained(model), Precision.FP32, Initializers())
    session = session_of(graph, ensure_operators().path)
    random = np.random.default_rng(0)
    cut = several = 0
    for _ in range(count // BATCH):
        inputs, most = articles(random), int(random.integers(4, 25))
        beams = int(random.integers(1, 4))
        values = {"num_beams": beams, "min_length": int(random.integers(20)), "max_length": most, "length_penalty": 1.0}
        if beams == 1 and random.random() < 0.5:
            drawn = [Sampling.of(1.5, 0.9, seed=int(random.integers(2**31)), steps=most).row for _ in range(BATCH)]
            inputs[SAMPLING.name] = np.stack(drawn)
        found = session.run(None, with_settings(inputs, values))[0].tolist()
        for row, ids, ends in zip(found, inputs[INPUT_IDS.name], inputs[SENTENCE_ENDS.name], strict=True):
            sentences = sentences_of(ids.tolist(), ends.tolist(), (END, PAD))
            tokens = [token for token in row if token != PAD]
            assert tokens[:2] == START
            assert tokens[-1] == END
            assert len(tokens) <= most
            text = tokens[2:-1]
            if any(one.whole and 2 + len(one.tokens) + 1 <= most for one in sentences):
                assert text
                assert quoted(text, sentences), (text, sentences)
                several += len(text) > max(len(one.tokens) for one in sentences)
            elif sentences:  # none fits: the first is begun, and cut where there is no room for more of it
                first = sentences[0].tokens
                assert text == [int(spacing().unspaced[first[0]]), *first[1:]][: most - 3]
                cut += 1
            else:
                assert not text
    assert cut > count // 50
    assert several > count // 10
