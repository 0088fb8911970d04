"""What is trained is what is compared is what is served: three rooms turn an article into the same tokens.

Training reads articles with ``training/loop/batches.py``, the parity check with
``export/checkpoint/tokenization.py``, and the server with its own backend, which imports nothing of the project; here
all three read all test articles for all tasks.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from export.checkpoint.tokenization import Padding, encode
from export.parity.articles import ARTICLES
from export.repository.artefact import Artefact, read_artefact
from export.repository.configs import from_text
from infolens.contract import CONTRACTS, Task
from serving.backends.tokenizer.model import ArticleTokenizer
from tests.conftest import REPOSITORY
from training.loop import batches
from training.loop.windows import windows_of

PLACE = Path(__file__).parents[2] / "articles"
NASTY = (
    ("A title\x00 with\ta control\x1f character", "\ufeffText after a mark\r\nand a second line\r\n\r\n"),
    ("", "No title, and \u00a0no-break\u2028 spaces, \u200bzero width, e\u0301 and \u00e9."),
    ("   \x07 ", " \n\n Blank around it \x85\n"),
    ("</s> [SEP] <cls>", "Words that spell <pad> special [CLS] tokens </s> are words."),
    ("Emoji \U0001f600", "\u0627\u0644\u0639\u0631\u0628\u064a\u0629 \u4e2d\u6587 " + "long " * 700),
)


def articles() -> list[tuple[str, str]]:
    files = [path.read_text(encoding="utf-8").partition("\n\n") for path in sorted(PLACE.glob("*.txt"))]
    return [*((title, text) for title, _, text in files), *(("", text) for text in ARTICLES), *NASTY]


def artefact_of(task: Task) -> Artefact:
    return read_artefact(REPOSITORY / CONTRACTS[task].model / "1" / "artefact.json")


def tokenizer_of(task: Task) -> Path:
    return REPOSITORY / CONTRACTS[task].served().tokenizer / "1" / "tokenizer.json"


@cache
def backend(task: Task) -> ArticleTokenizer:
    """The tokenizer of the server, with the committed configuration."""
    config = from_text((REPOSITORY / CONTRACTS[task].served().tokenizer / "config.pbtxt").read_text())
    document = {
        "input": [{"name": t.name, "data_type": "TYPE_STRING", "optional": t.optional} for t in config.input],
        "output": [{"name": t.name, "data_type": _type(t.data_type)} for t in config.output],
        "parameters": {key: {"string_value": value.string_value} for key, value in config.parameters.items()},
    }
    return ArticleTokenizer(tokenizer_of(task), document)


def served(task: Task, parts: list[tuple[str, str]]) -> dict[str, npt.NDArray[Any]]:
    """The tensors that the server's backend makes of articles, all of them in one request."""
    columns = {"title": [title for title, _ in parts], "text": [text for _, text in parts]}
    request = {
        name: np.array([[part.encode()] for part in column], np.object_)
        for name, column in columns.items()
        if name in CONTRACTS[task].reads
    }
    answer = backend(task)([request])[0]
    assert isinstance(answer, dict), answer
    return answer


def _type(number: int) -> str:
    return {2: "TYPE_UINT8", 8: "TYPE_INT32", 11: "TYPE_FP32", 13: "TYPE_STRING"}[number]


def is_one_window(task: Task, parts: tuple[str, str]) -> bool:
    """Whether a model reads an article at once."""
    return served(task, [parts])["input_ids"].shape[1] <= (artefact_of(task).window or artefact_of(task).max_tokens)


def read(task: Task, parts: tuple[str, str]) -> str:
    """An article as training joins it for a task."""
    title, text = parts
    return batches.join_article([title, text] if "title" in CONTRACTS[task].reads else [text])


@pytest.mark.parametrize("task", list(Task))
def test_the_parity_check_feeds_what_the_server_feeds(task: Task) -> None:
    artefact = artefact_of(task)
    padding = Padding(
        side=artefact.padding_side,
        pad_id=artefact.pad_id,
        pad_type_id=artefact.pad_type_id,
        token_types=artefact.token_types,
    )
    every = [one for one in articles() if is_one_window(task, one)]  # it cuts windows anywhere, as any will do
    document = tokenizer_of(task).read_text()
    for parts in [[one] for one in every] + [every[:4], every]:
        mine = encode(
            document, [read(task, one) for one in parts], padding, max_tokens=artefact.window or artefact.max_tokens
        )
        theirs = served(task, parts)
        assert set(mine) == {name for name in theirs if name in ("input_ids", "attention_mask", "token_type_ids")}
        for name, array in mine.items():
            np.testing.assert_array_equal(array, theirs[name], err_msg=f"{name} of {parts[0]}")


@pytest.mark.parametrize("task", list(Task))
def test_training_reads_what_the_server_reads(task: Task) -> None:
    artefact = artefact_of(task)
    every = [one for one in articles() if is_one_window(task, one)]
    document = json.loads(tokenizer_of(task).read_text())
    tokens = {token["content"]: token["id"] for token in document["added_tokens"]}
    names = {number: text for text, number in tokens.items()}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_file(str(tokenizer_of(task))),
        pad_token=names[artefact.pad_id],
        padding_side=artefact.padding_side,
    )
    room = artefact.max_tokens - tokenizer.num_special_tokens_to_add(pair=False)
    for parts in every:
        (ids,) = batches.encode(tokenizer, [read(task, parts)], limit=room)
        batch = batches.collate(tokenizer, [ids], types=artefact.token_types)
        theirs = served(task, [parts])
        kept = theirs["attention_mask"][0] == 1
        np.testing.assert_array_equal(batch["input_ids"][0].numpy(), theirs["input_ids"][0][kept])
        if artefact.token_types:
            np.testing.assert_array_equal(batch["token_type_ids"][0].numpy(), theirs["token_type_ids"][0][kept])


@pytest.mark.parametrize("task", [task for task in Task if artefact_of(task).window])
def test_training_reads_the_windows_that_the_server_reads(task: Task) -> None:
    window, most = artefact_of(task).window, artefact_of(task).max_tokens // artefact_of(task).window
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_file(str(tokenizer_of(task))))
    around = tokenizer.num_special_tokens_to_add(pair=False)
    several = [one for one in articles() if not is_one_window(task, one)]
    assert several
    for parts in several:
        mine = windows_of(tokenizer, read(task, parts), capacity=window - around, most=most)
        theirs = served(task, [parts])
        rows = zip(*(theirs[name][0].reshape(-1, window) for name in ("input_ids", "attention_mask")), strict=True)
        found = [ids[mask == 1][1:-1].tolist() for ids, mask in rows if mask.any()]
        assert [list(ids) for ids in mine] == found
