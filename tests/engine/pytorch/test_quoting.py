"""What may come next in a summary that quotes is what the plain form says, whatever was chosen before."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from engine.article import Article, Spacing, choices_of
from engine.pytorch.search.quoting import quotes
from engine.pytorch.search.slots import make_choices, make_slots
from engine.settings import Bucket, Rules, Settings
from export.architectures import Spacing as PlainSpacing
from export.parity.quotes import Quoting, sentences_of
from infolens.contract import NEVER_ENDS

END, PAD = 2, 1
ARTICLES, TOKENS, LONGEST, COLUMNS = 60, 24, 20, 128
WORDS = np.arange(COLUMNS - 1, dtype=np.int32)
SPACING = Spacing(spaced=np.where(WORDS == 7, 6, WORDS).astype(np.int32), unspaced=np.where(WORDS == 9, 8, WORDS))


def article_of(chosen: random.Random, longest: int) -> Article:
    """Few words in short sentences, so that sentences are often the same, or the beginning of another."""
    ids = np.array([chosen.randrange(5, 10) for _ in range(chosen.randrange(4, TOKENS + 1))], np.int32)
    ends = np.full(len(ids), -1, np.int32)
    place = chosen.randrange(2)
    while place < len(ids):
        after = min(place + chosen.choice([1, 2, 3, 3, 4, 7]), len(ids))
        ends[place:after] = NEVER_ENDS if after == len(ids) and chosen.random() < 0.3 else after - 1
        place = after + chosen.choice([0, 0, 1])
    return Article(ids=ids, settings=Settings(min_length=chosen.choice([0, 9]), max_length=longest), sentence_ends=ends)


@pytest.mark.parametrize("longest", [6, 12, LONGEST])
@pytest.mark.parametrize("first", [0, None])
def test_what_may_come_is_what_the_plain_form_says(longest: int, first: int | None) -> None:
    rules = Rules(
        start_token=END, end_tokens=(END, 3), pad_token=PAD, first_token=first, never=(9,) if first is None else ()
    )
    bucket = Bucket(slots=ARTICLES, beams=1, source_length=TOKENS, target_length=LONGEST)
    chosen = random.Random(longest)
    articles = [article_of(chosen, longest) for _ in range(ARTICLES)]
    slots, choices = make_slots(bucket, rules, "cpu"), make_choices(bucket, "cpu")
    plain = []
    for slot, article in enumerate(articles):
        slots.min_length[slot], slots.max_length[slot] = article.settings.min_length, longest
        for name, row in choices_of(article, bucket, rules, SPACING).items():
            getattr(choices, name)[slot] = torch.tensor(row)
        assert article.sentence_ends is not None
        plain.append(
            Quoting(
                sentences=sentences_of(article.ids.tolist(), article.sentence_ends.tolist(), rules.unquotable),
                spacing=PlainSpacing(spaced=SPACING.spaced, unspaced=SPACING.unspaced),
                first=rules.before,
                end_tokens=rules.end_tokens,
                min_length=article.settings.min_length,
                max_length=longest,
            )
        )
    histories = [[END] for _ in articles]
    compared = 0
    for length in range(1, longest - 1):
        may_come, after = quotes(slots, choices, rules, COLUMNS)
        for slot, history in enumerate(histories):
            found = set(may_come[slot, :-1].nonzero()[:, 0].tolist())
            token = PAD
            if length < rules.before:
                token = first or 0
            elif history[-1] not in (PAD, *rules.end_tokens) or length == rules.before:
                wanted = plain[slot].next(history)
                assert found == wanted, (articles[slot], history)
                compared += 1
                going_on = sorted(wanted - set(rules.end_tokens))
                token = chosen.choice(going_on) if going_on else END
            history.append(token)
            slots.newest[slot] = token
        slots.length.add_(1)
        choices.quoted.copy_(after)
    assert compared > 2 * ARTICLES
