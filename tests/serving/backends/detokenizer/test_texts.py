"""The logic of the backend `detokenizer` where a model writes in its own words, without Triton."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.backends.detokenizer import quotes, writing
from serving.backends.detokenizer.model import BadInputError, Detokenizer, Names, TritonPythonModel, read_cut
from serving.backends.detokenizer.writing import cut_unfinished
from tests.serving.graphs import write_tokenizer


@pytest.fixture(scope="module")
def detokenizer(tmp_path_factory: pytest.TempPathFactory) -> Detokenizer:
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    write_tokenizer(path)
    return Detokenizer(path)


def test_special_tokens_are_skipped(detokenizer: Detokenizer) -> None:
    answers: Any = detokenizer([np.array([[0, 4, 5, 2, 1]]), np.array([[2, 0, 10, 2], [2, 0, 2, 1]])])
    assert [[one.text for one in answer] for answer in answers] == [["a goal"], ["won", ""]]


def test_what_is_an_answer_already_comes_out_as_it_is(detokenizer: Detokenizer) -> None:
    ids = [np.array([[0, 4, 2], [0, 5, 2]]), np.array([[10]])]
    given = np.array([[b""], ["zwölf Wörter".encode()]], np.object_)
    answers: Any = detokenizer(ids, [{"verbatim": given}, {}])
    assert [[one.text for one in answer] for answer in answers] == [["a", "zwölf Wörter"], ["won"]]
    bad = detokenizer([np.array([[99]])], [{"verbatim": np.array([[b"x"]], np.object_)}])
    assert isinstance(bad[0], BadInputError)


@pytest.mark.parametrize("token", [-1, 12])
def test_ids_outside_the_vocabulary_fail_alone(detokenizer: Detokenizer, token: int) -> None:
    answers: Any = detokenizer([np.array([[4]]), np.array([[token]]), np.array([[5]])])
    assert f"token id {token} is not within 0 and 11" in str(answers[1])
    assert [answers[0][0].text, answers[2][0].text] == ["a", "goal"]


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("He won. She lost. They", "He won. She lost."),
        ('He won. "She lost." They all', 'He won. "She lost."'),
        ("He met Mr. Smith of the U.S. Senate on", "He met Mr. Smith of the U.S. Senate on\u2026"),
        ("It rose 2.5 per cent. George W. Bush", "It rose 2.5 per cent."),
        ("Is it so? It", "Is it so?"),
        ("He won. She lost.", "He won. She lost."),
        ("The long debate,", "The long debate\u2026"),
    ],
)
def test_an_unfinished_text_ends_with_its_last_whole_sentence(text: str, cut: str) -> None:
    assert cut_unfinished(text) == cut


def test_only_what_the_greatest_length_cut_off_is_unfinished(tmp_path: Path) -> None:
    write_tokenizer(tmp_path / "tokenizer.json")
    cutting = Detokenizer(tmp_path / "tokenizer.json", cut_unless_padded_with=1)
    answers: Any = cutting([np.array([[0, 4, 5, 1]]), np.array([[0, 4, 5, 10]]), np.array([[0, 2]]), np.zeros((1, 0))])
    assert [answer[0].text for answer in answers] == ["a goal", "a goal won\u2026", "", ""]


def test_cutting_is_asked_for_with_the_padding_id() -> None:
    assert read_cut({}) is None
    assert read_cut({"unfinished": "cut", "pad_id": "1"}) == 1
    with pytest.raises(ValueError, match="needs the parameter pad_id"):
        read_cut({"unfinished": "cut"})
    with pytest.raises(ValueError, match="keep or cut, not 'trim'"):
        read_cut({"unfinished": "trim"})


def tensors(*names: str) -> list[dict[str, str]]:
    return [{"name": name} for name in names]


def test_a_configuration_of_an_earlier_export_is_read() -> None:
    names = Names.read({"input": tensors("sequences", "verbatim"), "output": tensors("summary")})
    assert (names.ids, names.beside, names.text) == ("sequences", ("verbatim",), "summary")


@pytest.mark.parametrize(
    ("inputs", "outputs", "message"),
    [
        (["source"], ["summary"], "one input of ids"),
        (["one", "two"], ["summary"], "one input of ids"),
        (["sequences"], ["summary", "abstract"], "one output of texts"),
        (["sequences"], ["summary", "summary_sentences"], "need the input source"),
        (["sequences", "source"], ["summary", "abstract_sentences"], r"no outputs \['abstract_sentences'\]"),
        (["sequences", "source", "input_ids"], ["summary"], "go together"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused(inputs: list[str], outputs: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Names.read({"input": tensors(*inputs), "output": tensors(*outputs)})


ARTICLE = "A goal in the last minute won the match. The 3 men of Leeds left.  It was  late."


def source(text: str, spans: list[tuple[int, int]], **more: Any) -> Any:
    given = {"text": text, "sentences": spans, "verbatim": False, "style": "free", **more}
    return {"source": np.array([[json.dumps(given).encode()]], np.object_)}


def spans_of(text: str, *sentences: str) -> list[tuple[int, int]]:
    return [(text.index(one), text.index(one) + len(one)) for one in sentences]


SPANS = spans_of(ARTICLE, "A goal in the last minute won the match.", "The 3 men of Leeds left.", "It was  late.")


def test_a_free_summary_names_the_sentences_that_are_the_articles() -> None:
    read = quotes.Source.read(source(ARTICLE, SPANS)["source"][0, 0])
    summary = "It was late. Leeds won 4 times. The 3 men of Leeds left."
    written = writing.free(summary, read, (), check=True)
    assert written.text == summary
    found = [ARTICLE[one["start"] : one["end"]] for one in written.sentences]
    assert found == ["It was  late.", "The 3 men of Leeds left."]
    assert [one["index"] for one in written.sentences] == [2, 1]
    assert [(one["text"], one["kind"]) for one in written.unsupported] == [("4", "number")]
    assert writing.free(summary, read, (), check=False).unsupported == ()


def test_a_sentence_that_the_article_has_twice_is_quoted_twice() -> None:
    text = "He won. She lost. He won."
    read = quotes.Source.read(source(text, [(0, 7), (8, 17), (18, 25)])["source"][0, 0])
    written = writing.free("He won. He won. He won.", read, (), check=False)
    assert [one["index"] for one in written.sentences] == [0, 2, 2]


@pytest.mark.parametrize(
    ("style", "text"),
    [("free", " ".join(ARTICLE.split())), ("extractive", ARTICLE.replace(".  It", ". It"))],
)
def test_an_article_that_is_its_own_summary(detokenizer: Detokenizer, style: str, text: str) -> None:
    beside = source(ARTICLE, SPANS, verbatim=True, style=style)
    (answer,) = detokenizer([np.array([[0, 4, 2]])], [beside], check={0})
    assert not isinstance(answer, Exception)
    assert answer[0].text == text
    assert [one["index"] for one in answer[0].sentences] == [0, 1, 2]
    assert answer[0].unsupported == ()


class Request:
    """A request as Triton's stub hands it over."""

    def __init__(self, outputs: list[str], inputs: dict[str, Any]) -> None:
        self.inputs = {name: Tensor(array) for name, array in inputs.items()}
        self._outputs = outputs

    def requested_output_names(self) -> list[str]:
        return self._outputs


class Tensor:
    def __init__(self, array: Any) -> None:
        self._array = array

    def as_numpy(self) -> Any:
        return self._array


def test_only_the_outputs_that_are_wanted_come_and_a_broken_quotation_is_an_error(tmp_path: Path) -> None:
    write_tokenizer(tmp_path / "tokenizer.json")
    model = TritonPythonModel()
    names = tensors("summary", "summary_sentences", "summary_unsupported")
    inputs = tensors("sequences", "source", "input_ids", "sentence_ends")
    model._names = Names.read({"input": inputs, "output": names})
    model._detokenizer = Detokenizer(tmp_path / "tokenizer.json", cut_unless_padded_with=1)
    article = "a goal in the last minute"
    given = {"sequences": np.array([[2, 0, 4, 5, 2, 1]]), **source(article, [(0, 6)])}
    broken = {**given, **source(article, [(0, 6)], style="extractive")}
    marked = {"input_ids": np.array([[0, 4, 5, 6, 2]]), "sentence_ends": np.array([[-1, 3, 3, 3, -1]])}
    wanted = [["summary"], ["summary_sentences", "summary_unsupported"], ["summary"], ["summary"]]
    every = [given, given, broken, {**broken, **marked}]
    responses = model._answer([Request(names, one) for names, one in zip(wanted, every, strict=True)])
    found = [{tensor.name(): tensor.as_numpy().item() for tensor in one.tensors} for one in responses]
    quoted = b'[{"index": 0, "start": 0, "end": 6}]'
    assert found[:2] == [{"summary": b"a goal"}, {"summary_sentences": quoted, "summary_unsupported": b"[]"}]
    assert [one.error.code for one in responses[2:]] == ["INTERNAL", "INTERNAL"]
    assert "ask for the style free" in responses[3].error.message
