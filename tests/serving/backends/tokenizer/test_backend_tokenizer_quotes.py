"""What the tokenizer backend tells the models of a summary: sentences, samples, windows; without Triton."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from infolens.contract import NEVER_ENDS, SAMPLING, SENTENCE_ENDS, SOURCE, SUMMARY_SETTINGS
from serving.backends.tokenizer.configuration import EXTRACTIVE, read_options
from serving.backends.tokenizer.model import ArticleTokenizer, BadInputError
from tests.serving.backends.tokenizer.test_backend_tokenizer import PADDING, column
from tests.serving.graphs import write_tokenizer

TYPES = {"INT32": "TYPE_INT32", "FP32": "TYPE_FP32", "BYTES": "TYPE_STRING"}
GO = b"The goal won. A match in the last minute."
"""Two sentences of 4 and 7 tokens."""


def config(*, quotes: bool = True, style: str = EXTRACTIVE, **changes: str) -> dict[str, Any]:
    """The configuration of a summarizer, as the exporter writes it."""
    parameters = {"reads": "text", "max_tokens": "16", "buckets": "8,16"} | changes
    inputs = [{"name": "text", "data_type": "TYPE_STRING"}]
    outputs = [("input_ids", "INT32"), ("attention_mask", "INT32"), ("tokens", "INT32"), ("truncated_tokens", "INT32")]
    outputs += [("source", "BYTES"), *([("sentence_ends", "INT32"), ("sampling", "FP32")] if quotes else [])]
    for one in SUMMARY_SETTINGS:
        facts: dict[str, Any] = {"minimum": one.minimum, "maximum": one.maximum, "default": one.default}
        facts |= {"steps_per_unit": one.steps_per_unit, "by_length": one.by_length, "choices": one.choices}
        if one.name == "style":
            facts["choices"] = one.choices if quotes else ("free",)
            facts["default"] = facts["choices"].index(style)
        if one.name == "temperature" and not quotes:
            facts["maximum"] = 0
        parameters[f"setting.{one.name}"] = json.dumps(facts)
        inputs.append({"name": one.name, "data_type": TYPES[one.dtype], "optional": True})
    written = [{"name": name, "data_type": TYPES[dtype]} for name, dtype in outputs]
    written += [{"name": one.name, "data_type": "TYPE_UINT8"} for one in SUMMARY_SETTINGS if one.by_length]
    return {
        "input": inputs,
        "output": written,
        "parameters": {key: {"string_value": value} for key, value in parameters.items()},
    }


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    write_tokenizer(path)
    return path


def inputs(*texts: bytes, **settings: Any) -> dict[str, Any]:
    given = {one.name: None for one in SUMMARY_SETTINGS}
    values = {
        name: column(*[value] * len(texts)) if isinstance(value, bytes) else np.array([[value]] * len(texts))
        for name, value in settings.items()
    }
    return {"text": column(*texts), **given, **values}


def ask(tokenizer: ArticleTokenizer, *texts: bytes, **settings: Any) -> dict[str, Any]:
    (answer,) = tokenizer([inputs(*texts, **settings)])
    assert isinstance(answer, dict), answer
    return answer


def refusal(tokenizer: ArticleTokenizer, *texts: bytes, **settings: Any) -> str:
    (answer,) = tokenizer([inputs(*texts, **settings)])
    assert isinstance(answer, BadInputError), answer
    return str(answer)


def source(answer: dict[str, Any], row: int = 0) -> Any:
    return json.loads(answer["source"][row, 0])


def test_the_ends_of_sentences_are_those_of_the_row(path: Path) -> None:
    answer = ask(ArticleTokenizer(path, config()), b"  The goal won.\n\nA match in. ")
    assert answer["sentence_ends"].tolist() == [[-1, *[4] * 4, *[8] * 4, *[-1] * 7]]
    assert answer["sentence_ends"].shape == answer["input_ids"].shape
    assert (answer["sentence_ends"].dtype, answer["sampling"].dtype) == (np.int32, np.float32)
    assert answer["sampling"].tolist() == [[0]]


def test_a_sentence_that_is_not_read_whole_never_ends(path: Path) -> None:
    answer = ask(ArticleTokenizer(path, config(max_tokens="8", buckets="8")), GO)
    assert answer["sentence_ends"].tolist() == [[-1, *[4] * 4, NEVER_ENDS, NEVER_ENDS, -1]]
    assert answer["tokens"].tolist() == [[13]]
    assert answer["truncated_tokens"].tolist() == [[5]]
    assert len(source(answer)["sentences"]) == 2


def test_the_source_is_the_article_as_it_was_sent(path: Path) -> None:
    text = "\n\t The “goal”\x00won.\r\nA match. \n"
    answer = ask(ArticleTokenizer(path, config()), text.encode(), min_length=3)
    told = source(answer)
    assert told["text"] == text.replace("\x00", " ")
    assert [text[start:end].replace("\x00", " ") for start, end in told["sentences"]] == ["The “goal” won.", "A match."]
    assert (told["verbatim"], told["style"]) == (False, "extractive")
    assert set(told) == {"text", "sentences", "verbatim", "style"}


@pytest.mark.parametrize(("least", "own"), [(12, False), (13, True), (16, True)])
def test_an_article_no_longer_than_the_least_summary_is_its_own(path: Path, least: int, own: bool) -> None:
    answer = ask(ArticleTokenizer(path, config()), GO, min_length=least)
    assert source(answer)["verbatim"] is own
    assert answer["min_length"].shape == (1, 1 + min(least, 13))


@pytest.mark.parametrize("quotes", [True, False])
def test_free_summaries_are_told_of_sentences_and_their_graph_of_none(path: Path, quotes: bool) -> None:
    tokenizer = ArticleTokenizer(path, config(quotes=quotes, style="free"))
    answer = ask(tokenizer, GO, GO)
    assert source(answer, 1)["style"] == "free"
    assert source(answer, 1)["sentences"] == [[0, 13], [14, 41]]
    if quotes:
        assert answer["sentence_ends"].tolist() == [[0], [0]]
        assert ask(tokenizer, GO, style=b"extractive")["sentence_ends"].shape == (1, 16)
    else:
        assert "sentence_ends" not in answer


@pytest.mark.parametrize(
    ("extraction", "placed", "told"),
    [
        ("search", True, {}),
        ("nearest", False, {"tokens": [4, 7], "room": 37}),
        ("choice", True, {"tokens": [4, 7], "room": 37, "choice": True, "least": 9}),
    ],
)
def test_whoever_takes_the_sentences_is_told_of_them(
    path: Path, extraction: str, placed: bool, told: dict[str, Any]
) -> None:
    tokenizer = ArticleTokenizer(path, config(extraction=extraction))
    answer = ask(tokenizer, GO, max_length=40, min_length=12)
    assert answer["sentence_ends"].shape == ((1, 16) if placed else (1, 1))
    known = {"text", "sentences", "verbatim", "style"}
    assert {name: value for name, value in source(answer).items() if name not in known} == told
    free = ask(tokenizer, GO, style=b"free")
    assert free["sentence_ends"].shape == (1, 1)
    assert set(source(free)) == known


def test_ids_are_the_same_for_both_styles_and_for_models_of_before(path: Path) -> None:
    new, old = (ArticleTokenizer(path, config(quotes=quotes, style="free")) for quotes in (True, False))
    for text in (b"  a goal ", GO, b"goal " * 40, b"a </s> goal"):
        answers = [ask(new, text), ask(new, text, style=b"extractive"), ask(old, text)]
        for name in ("input_ids", "attention_mask", "tokens", "truncated_tokens"):
            for other in answers[1:]:
                np.testing.assert_array_equal(answers[0][name], other[name])


def test_requests_of_both_styles_share_a_batch(path: Path) -> None:
    tokenizer = ArticleTokenizer(path, config())
    asked = [inputs(GO), inputs(b"a goal", style=b"free"), inputs(b" "), inputs(b"A goal. A goal.")]
    found = tokenizer(asked)
    assert [isinstance(answer, dict) for answer in found] == [True, True, False, True]
    for request, answer in zip(asked, found, strict=True):
        (alone,) = tokenizer([request])
        if isinstance(answer, dict) and isinstance(alone, dict):
            for name in answer:
                np.testing.assert_array_equal(answer[name], alone[name])


def test_a_sample_is_that_of_its_seed_and_its_row(path: Path) -> None:
    tokenizer = ArticleTokenizer(path, config())
    sampled: dict[str, Any] = {"temperature": 0.5, "top_p": 0.75, "max_length": 20}
    together = ask(tokenizer, GO, b"a goal", seed=7, **sampled)
    assert together["num_beams"].shape == (2, 1)
    drawn = together["sampling"]
    assert drawn.shape == (2, 22)
    assert drawn[:, :2].tolist() == [[0.5, 0.75]] * 2
    assert ((drawn[:, 2:] >= 0) & (drawn[:, 2:] < 1)).all()
    expected = (np.random.Philox(key=7).random_raw(20) >> np.uint64(40)) / 2**24
    np.testing.assert_array_equal(drawn[0, 2:], expected)
    np.testing.assert_array_equal(ask(tokenizer, b"a goal", seed=8, **sampled)["sampling"][0], drawn[1])
    longer = ask(tokenizer, GO, seed=7, **sampled | {"max_length": 40})["sampling"]
    np.testing.assert_array_equal(longer[0, :22], drawn[0])
    once, again = (ask(tokenizer, GO, **sampled)["sampling"] for _ in range(2))
    assert not np.array_equal(once, again)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"style": b"loose"}, "style must be free or extractive, not 'loose'"),
        ({"temperature": 2.5}, "temperature must lie between 0 and 2, not 2.5"),
        ({"temperature": float("nan")}, "temperature must lie between 0 and 2, not nan"),
        ({"top_p": 0.01}, "top_p must lie between 0.05 and 1, not 0.01"),
        ({"seed": -1}, "seed must lie between 0 and 2147483647, not -1"),
        ({"temperature": 0.5, "num_beams": 2}, "num_beams must be 1 where temperature is above 0"),
    ],
)
def test_settings_that_no_model_takes_are_told(path: Path, settings: dict[str, Any], message: str) -> None:
    assert message in refusal(ArticleTokenizer(path, config()), GO, **settings)


def test_rows_of_a_request_have_one_style(path: Path) -> None:
    (answer,) = ArticleTokenizer(path, config())([{**inputs(GO, GO), "style": column(b"free", b"extractive")}])
    assert "style differs within one request (extractive, free)" in str(answer)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"style": b"extractive"}, "style can only be free here, not 'extractive': the model was exported without it"),
        ({"temperature": 0.5}, "temperature can only be 0 here, not 0.5: the model was exported without it"),
    ],
)
def test_a_model_of_before_says_what_it_cannot(path: Path, settings: dict[str, Any], message: str) -> None:
    tokenizer = ArticleTokenizer(path, config(quotes=False, style="free"))
    assert message in refusal(tokenizer, GO, **settings)
    assert source(ask(tokenizer, GO, style=b"free", temperature=0.0, seed=3))["style"] == "free"


def windowed(path: Path) -> ArticleTokenizer:
    return ArticleTokenizer(path, config(max_tokens="32", buckets="4,8,16,24,32", window="8"))


def test_a_long_article_is_laid_out_in_windows_cut_between_sentences(path: Path) -> None:
    answer = ask(windowed(path), b"The goal won. A match in. The last goal in a match. A goal.")
    assert answer["input_ids"].shape == (1, 32)
    windows = answer["input_ids"].reshape(4, 8)
    assert windows[:, 0].tolist() == [0] * 4
    assert answer["attention_mask"].reshape(4, 8).sum(1).tolist() == [6, 8, 7, 5]
    ends = answer["sentence_ends"].reshape(4, 8)
    assert ends[0].tolist() == [-1, *[4] * 4, -1, -1, -1]
    assert ends[1].tolist() == [-1, *[12] * 4, NEVER_ENDS, NEVER_ENDS, -1]  # longer than a window
    assert ends[2].tolist() == [-1] * 8
    assert ends[3].tolist() == [-1, *[27] * 3, *[-1] * 4]
    assert (answer["tokens"].item(), answer["truncated_tokens"].item()) == (20, 0)
    assert windows[1, [0, 7]].tolist() == [0, 2]


def test_rows_of_one_request_share_the_windows_of_the_longest(path: Path) -> None:
    answer = ask(windowed(path), b"A goal.", b"The goal won. A match in.", b"goal " * 40)
    assert answer["input_ids"].shape == (3, 32)
    alone = ask(windowed(path), b"A goal.")
    assert alone["input_ids"].shape == (1, 8)
    np.testing.assert_array_equal(answer["input_ids"][0, :8], alone["input_ids"][0])
    assert answer["attention_mask"][0].sum() == 5
    assert answer["truncated_tokens"].tolist() == [[0], [0], [16]]
    assert ask(windowed(path), b"a goal")["input_ids"].shape == (1, 4)


def test_free_summaries_have_windows_too(path: Path) -> None:
    tokenizer = windowed(path)
    text = b"The goal won. A match in. A goal."
    free, quoting = (ask(tokenizer, text, style=style) for style in (b"free", b"extractive"))
    np.testing.assert_array_equal(free["input_ids"], quoting["input_ids"])
    assert free["sentence_ends"].tolist() == [[0]]


def changed(place: str, name: str, **facts: Any) -> dict[str, Any]:
    written = config()
    written[place] = [tensor for tensor in written[place] if tensor["name"] != name]
    return {**written, place: [*written[place], *([{"name": name, **facts}] if facts else [])]}


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (config(window="7"), r"buckets above the window of 7 tokens must be whole windows, not \(8, 16\)"),
        (config(window="8", padding_side="left"), "need padding on the right"),
        (changed("output", "sampling"), "takes sentence_ends and sampling, or neither"),
        (changed("output", "source", data_type="TYPE_INT32"), "output source is TYPE_STRING, not TYPE_INT32"),
        (changed("output", "style", data_type="TYPE_UINT8"), "setting style needs an input of that name"),
        (changed("output", "token_type_ids", data_type="TYPE_INT32"), "and no token_type_ids"),
        (changed("output", "unclear", data_type="TYPE_INT32"), "unclear is of a classifier"),
    ],
)
def test_a_wrong_configuration_is_told(written: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_options(written, PADDING)


def test_an_extraction_that_is_none_is_told() -> None:
    with pytest.raises(ValueError, match=r"extraction is one of \['search', 'nearest', 'choice'\], not 'best'"):
        read_options(config(extraction="best"), PADDING)


def test_the_window_must_hold_a_token(path: Path) -> None:
    with pytest.raises(ValueError, match="window must be above the 2 special tokens"):
        ArticleTokenizer(path, config(max_tokens="16", buckets="2,16", window="2"))


def test_names_are_those_of_the_contract() -> None:
    assert {SENTENCE_ENDS.name, SAMPLING.name, SOURCE.name} <= {tensor["name"] for tensor in config()["output"]}
