"""Articles of all kinds through tokenizer, graph and text backend, in process: summaries that only quote do so."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from google.protobuf import json_format

from export.architectures import bart
from export.checkpoint.read_back import read_back
from export.graph.initializers import Initializers
from export.graph.precision import Precision
from export.repository.configs import from_text
from operators.library import ensure_operators
from reading.sentences import split
from serving.backends.detokenizer.model import BESIDE, Detokenizer
from serving.backends.detokenizer.writing import ELLIPSIS, Written
from serving.backends.tokenizer.model import CONTROL, ArticleTokenizer
from serving.backends.tokenizer.settings import BadInputError
from tests.conftest import REPOSITORY

TEXT = """
    the mayor said on monday that harbour bridge would close while ferries cross every ten minutes and shop owners fear
    for their trade because repairs cost 4.5 million dollars more than Dr. Lee of the U.S. Navy had told No. 10 in Jan.
    2019 when prices rose by 3.2% to $1,200 a tonne at 9 a.m. near St. Mary's e.g. in café Zürich — “quoted words” 😀
    naïve co-op rock'n'roll www.example.org/a.b?c=d e\u0301te\u0301 ze\u200dro
"""
WORDS = tuple(TEXT.split())
ENDS = (".", ".", ".", ".", "!", "?", "…", '."', ".”", ".)", ";", "")


def sentence(rng: random.Random, most: int = 30) -> str:
    words = [rng.choice(WORDS) for _ in range(rng.randint(1, most))]
    return words[0].capitalize() + " " * (len(words) > 1) + " ".join(words[1:]) + rng.choice(ENDS)


def prose(rng: random.Random) -> str:
    return rng.choice((" ", "  ", "\n", "\r\n\r\n", "\t", "")).join(sentence(rng) for _ in range(rng.randint(1, 40)))


def bullets(rng: random.Random) -> str:
    mark = rng.choice(("- ", "* ", "1. ", "(a) ", "• ", ""))
    return "\n".join(mark + sentence(rng, 12).rstrip(".") for _ in range(rng.randint(1, 30)))


def quotations(rng: random.Random) -> str:
    marks = (('"', '"'), ("\u201c", "\u201d"), ("\u2018", "\u2019"), ("'", "'"), ("«", "»"))
    parts = []
    for _ in range(rng.randint(1, 20)):
        first, last = rng.choice(marks)
        parts.append(f"{first}{sentence(rng, 15)}{last} {rng.choice(('he said.', 'She said:', 'said Mr. Lee,', ''))}")
    return " ".join(parts)


def unpunctuated(rng: random.Random) -> str:
    return " ".join(rng.choice(WORDS) for _ in range(rng.randint(1, 700)))


def one_long_sentence(rng: random.Random) -> str:
    return ", ".join(sentence(rng, 10).rstrip(".!?…") for _ in range(rng.randint(5, 120))) + "."


def repeated(rng: random.Random) -> str:
    some = [sentence(rng, 12) for _ in range(rng.randint(1, 4))]
    some += [one.rsplit(" ", 1)[0] for one in some]  # one that is the beginning of another
    return " ".join(rng.choice(some) for _ in range(rng.randint(2, 60)))


def very_short(rng: random.Random) -> str:
    return rng.choice(("", " ", "\n")).join(sentence(rng, 3) for _ in range(rng.randint(1, 3)))


def broken(rng: random.Random) -> str:
    """Characters at random, with letters enough to be read."""
    odd = "\x00\x07\u200b\u200f\ufeff\u2028\u00a0\u0301\u200d😀👩ﷺ…. \n\t\"'"
    odd += "\u201c\u201d\u2018\u2019()[]{}<>&%$#@!?-\u2013\u2014"
    return "".join(
        rng.choice(odd) if rng.random() < 0.2 else rng.choice(WORDS) + " " for _ in range(rng.randint(3, 150))
    )


KINDS: tuple[Callable[[random.Random], str], ...] = (
    prose, prose, bullets, quotations, unpunctuated, one_long_sentence, repeated, very_short, broken,
)  # fmt: skip

Summarize = Callable[[str, Mapping[str, Any]], Written]


@pytest.fixture(scope="module", params=["nearest", "search", "choice"])
def summarize(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Summarize:
    """The committed summarizer, by all ways to quote; a search that is bound to it needs a graph without the head."""

    def config(model: str) -> dict[str, Any]:
        text = (REPOSITORY / model / "config.pbtxt").read_text(encoding="utf-8")
        found: dict[str, Any] = json_format.MessageToDict(from_text(text), preserving_proto_field_name=True)
        return found

    def newest(model: str, file: str) -> Path:
        return max(REPOSITORY.glob(f"{model}/*/{file}"))

    settings = config("bart_tokenizer")
    settings["parameters"]["extraction"] = {"string_value": request.param}
    path = newest("bart_tokenizer", "tokenizer.json")
    tokenizer, detokenizer = ArticleTokenizer(path, settings), Detokenizer(path, cut_unless_padded_with=1)
    options = ort.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    if native := ensure_operators().path:
        options.register_custom_ops_library(str(native))
    graph = newest("bart", "model.onnx")
    if request.param == "search":
        written = bart.write(read_back(graph, max_tokens=512), Precision.INT8, Initializers())
        graph = tmp_path_factory.mktemp("search") / "model.onnx"
        onnx.save(written, graph)
    session = ort.InferenceSession(graph, options)
    needed = [one.name for one in session.get_inputs()]

    def run(text: str, asked: Mapping[str, Any]) -> Written:
        inputs = {"text": np.array([[text.encode()]], object)}
        inputs |= {name: np.array([[value]]) for name, value in asked.items()}
        (made,) = tokenizer([inputs])
        if isinstance(made, BadInputError):
            raise made
        (sequences,) = session.run(None, {name: made[name] for name in needed})
        (answer,) = detokenizer([sequences], [{name: made[name] for name in BESIDE if name in made}])
        if isinstance(answer, Exception):
            raise answer
        return answer[0]

    return run


def check(text: str, written: Written) -> None:
    """The text is slices of the article, each of them a sentence or neighbours that one token joins, none twice."""
    cleaned = CONTROL.sub(" ", text)
    spans = [(one["start"], one["end"]) for one in written.sentences]
    cut = bool(written.sentences) and written.sentences[-1].get("truncated", False)
    assert written.text == " ".join(cleaned[start:end] for start, end in spans) + ELLIPSIS * cut
    assert not any(one.get("truncated") for one in written.sentences[:-1])
    bounds = split(cleaned)
    whole = len(spans) == len(bounds)  # an article that is its own summary may repeat itself
    assert whole or len({cleaned[start:end] for start, end in spans}) == len(spans)
    starts, ends = {start for start, _ in bounds}, {end for _, end in bounds}
    for number, (start, end) in enumerate(spans):
        assert start in starts
        assert end in ends or (cut and number == len(spans) - 1)


def fuzz(summarize: Summarize, count: int) -> int:
    answered = 0
    for number in range(count):
        rng = random.Random(number)
        text = rng.choice(KINDS)(rng)
        asked: dict[str, Any] = {"style": b"extractive"}
        if rng.random() < 0.5:
            asked["max_length"] = np.int32(rng.choice((4, 8, 16, 40, 80, 160, 256)))
            asked["min_length"] = np.int32(rng.randint(0, int(asked["max_length"])))
        if rng.random() < 0.2:
            asked |= {"temperature": np.float32(rng.choice((0.3, 1.0, 2.0))), "seed": np.int32(number)}
        elif rng.random() < 0.3:
            asked["num_beams"] = np.int32(rng.choice((1, 2, 4)))
        try:
            written = summarize(text, asked)
        except BadInputError:
            continue  # blank, no letters
        try:
            if len(written.text):
                check(text, written)
        except AssertionError as error:
            raise AssertionError(f"article {number}: {text!r} {asked}") from error
        answered += 1
    return answered


def test_a_summary_that_quotes_holds_nothing_else(summarize: Summarize) -> None:
    assert fuzz(summarize, 60) > 45


@pytest.mark.slow
def test_ten_thousand_articles_are_quoted_and_nothing_else(summarize: Summarize) -> None:
    assert fuzz(summarize, 10_000) > 8_000
