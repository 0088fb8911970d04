"""Measure the summaries that a head chooses: ROUGE beside that of an article's first sentences, as many words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from reading.choice import Chosen, Prediction, choose
from reading.quotable import dateline
from reading.windows import opens
from training.data.cleaning import clean_text
from training.models.reading import ReadArticle, read_articles, vocabulary_of
from training.progress.bars import track

from .summarization import METRICS, lead_k, rouge

if TYPE_CHECKING:
    import pandas as pd

_LEADS: Final = (1, 2, 3, 4, 5, 6)
"""How many sentences the leads have of which the curve consists."""


@torch.inference_mode()
def predictions(model: Any, articles: Sequence[ReadArticle], *, batch: int = 16) -> list[Prediction]:
    """What a head says of articles.

    Args:
        model: A `training.models.choice.BartForChoice`.
        articles: What it is asked of.
        batch: Articles at once.

    Returns:
        For each article what it says, of the row of its tokens.
    """
    model.eval()
    order = sorted(range(len(articles)), key=lambda i: len(articles[i].ids))
    found: dict[int, Prediction] = {}
    for start in track(range(0, len(order), batch), "choosing sentences", unit="articles", weight=batch):
        rows = order[start : start + batch]
        ids = torch.full((len(rows), max(len(articles[i].ids) for i in rows)), model.config.pad_token_id)
        mask = torch.zeros_like(ids)
        for row, index in enumerate(rows):
            length = len(articles[index].ids)
            ids[row, :length], mask[row, :length] = torch.tensor(articles[index].ids), 1
        said = model(input_ids=ids.to(model.device), attention_mask=mask.to(model.device), choose=True)
        shares, lengths = said.logits.float().sigmoid().cpu().numpy(), said.length.float().exp().cpu().tolist()
        for row, index in enumerate(rows):
            words, pairs = shares[row, : len(articles[index].ids)].astype(np.float64).T
            found[index] = Prediction(expected_words=lengths[row], words=words, pairs=pairs)
    return [found[i] for i in range(len(articles))]


def evaluate_choice(
    model: Any,
    tokenizer: Any,
    test: pd.DataFrame,
    *,
    max_tokens: int,
    room: int,
    leads: Mapping[int, Mapping[str, float]],
) -> dict[str, Any]:
    """ROUGE of the sentences that a head chooses on the articles of a test split.

    Args:
        model: A `training.models.choice.BartForChoice`.
        tokenizer: Of the model.
        test: With the columns ``article`` and ``summary``.
        max_tokens: The most tokens of an article that are read.
        room: The most tokens of a summary.
        leads: `rouge` of the articles' first sentences, by their number, as far as it is known.

    Returns:
        The figures of `rouge`; ``sentences``: how many it chooses on average; ``expected_words``: how long it thinks
        that the references are; ``lead``: `rouge` of the first one to six sentences, by their number; and
        ``lead_same_words``: `rouge` that leads with as many words have, between those two that have fewer and more.
    """
    articles = [clean_text(text) for text in test["article"]]
    references = list(test["summary"])
    read = read_articles(tokenizer, articles, most=max_tokens)
    said = predictions(model, read)
    vocabulary = vocabulary_of(tokenizer)
    summaries, counts = [], []
    for one, prediction in zip(read, said, strict=True):
        words = vocabulary.words(one.ids, one.ends)
        chosen = choose(prediction, words, [one.text[slice(*span)] for span in one.sentences], room=room)
        summaries.append(quoted(one, chosen, room=room))
        counts.append(len(chosen.indices))
    figures: dict[str, Any] = rouge(summaries, references)
    curve = {k: leads.get(k) or rouge([lead_k(text, k) for text in articles], references) for k in _LEADS}
    return {
        **figures,
        "sentences": float(np.mean(counts)),
        "expected_words": float(np.mean([one.expected_words for one in said])),
        "lead": {str(k): lead for k, lead in curve.items()},
        "lead_same_words": _at(list(curve.values()), figures["words"]),
    }


def quoted(read: ReadArticle, chosen: Chosen, *, room: int) -> str:
    """The chosen sentences of an article, without datelines; the beginning of one for which there is no room."""
    parts = []
    firsts = np.flatnonzero(opens(read.ends))
    for index in chosen.indices:
        start, end = read.sentences[index]
        if not chosen.whole:
            following = read.offsets[firsts[index] : firsts[index] + room]
            end = int(following[:, 1].max())
        parts.append(read.text[start + dateline(read.text[start:end]) : end])
    return " ".join(parts)


def _at(curve: Sequence[Mapping[str, float]], length: float) -> dict[str, float]:
    """The ROUGE of leads of a length in words, between two points of a curve; that of an end beyond it."""
    lengths = [point["words"] for point in curve]
    return {
        **{name: float(np.interp(length, lengths, [point[name] for point in curve])) for name in METRICS},
        "words": float(np.clip(length, lengths[0], lengths[-1])),
    }
