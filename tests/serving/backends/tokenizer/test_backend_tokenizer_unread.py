"""What the tokenizer backend says was not read, in characters of the text as it was sent; without Triton."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from export.repository.configs import from_text
from serving.backends.tokenizer import rows, unread
from serving.backends.tokenizer.model import CONTROL, ArticleTokenizer
from tests.serving.backends.tokenizer.test_backend_tokenizer import column, config
from tests.serving.graphs import write_tokenizer

REPOSITORY = Path(__file__).parents[4] / "model_repository"
WINDOWS = {"max_tokens": "24", "buckets": "8,16,24", "window": "8"}
WAYS = {
    "the beginning": {},
    "the beginning, padded on the left": {"padding_side": "left"},
    "windows": WINDOWS,
    "spread": WINDOWS | {"spread": "1"},
}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    write_tokenizer(path)
    return path


@pytest.fixture(params=WAYS, scope="module")
def tokenizer(path: Path, request: pytest.FixtureRequest) -> ArticleTokenizer:
    return made(path, **WAYS[request.param])


def made(path: Path, **changes: str) -> ArticleTokenizer:
    written = config(**changes)
    if "window" in changes:
        written["output"] = [tensor for tensor in written["output"] if tensor["name"] != "token_type_ids"]
    written["output"].append({"name": "unread", "data_type": "TYPE_STRING"})
    return ArticleTokenizer(path, written)


def spans_of(tokenizer: ArticleTokenizer, *texts: str, titles: tuple[str, ...] = ()) -> list[list[list[int]]]:
    given = {"text": column(*map(str.encode, texts)), "title": column(*map(str.encode, titles)) if titles else None}
    (answer,) = tokenizer([given])
    assert isinstance(answer, dict), answer
    assert answer["unread"].shape == (len(texts), 1)
    assert answer["unread"].dtype == np.object_
    return [json.loads(found) for found in answer["unread"].ravel()]


def pieces_of(tokenizer: ArticleTokenizer, text: str, title: str = "") -> list[str]:
    (spans,) = spans_of(tokenizer, text, titles=(title,))
    return [text[start:end] for start, end in spans]


@pytest.mark.parametrize("text", ["a goal", " \r\n a goal\u3000", "goal " * 10])
def test_of_a_text_that_is_read_all_is_read(tokenizer: ArticleTokenizer, text: str) -> None:
    assert spans_of(tokenizer, text, titles=("won",)) == [[]]


def test_rows_are_told_each_by_itself(tokenizer: ArticleTokenizer) -> None:
    texts = ("a goal", "goal " * 40, "won", "a match. " * 40)
    together = spans_of(tokenizer, *texts)
    assert together == [spans_of(tokenizer, text)[0] for text in texts]
    assert [bool(spans) for spans in together] == [False, True, False, True]


@pytest.mark.parametrize("changes", [{}, {"padding_side": "left"}], ids=["right", "left"])
def test_a_text_of_which_the_beginning_is_read(path: Path, changes: dict[str, str]) -> None:
    cut = made(path, **changes)
    words = [f"w{number}" for number in range(20)]
    assert pieces_of(cut, " ".join(words)) == [" ".join(words[14:])]
    # A title takes its place; the text is told as it was sent, without the blanks around what is not read.
    text = "\r\n\t " + "\r\n".join(words) + " \n"
    assert pieces_of(cut, text, "  a goal won ") == ["\r\n".join(words[11:])]
    # Characters, not bytes; control characters are blanks and count. Each word is three tokens here.
    text = " ".join(f"\x00{word}\U0001f600é" for word in words)
    assert pieces_of(cut, text) == [text[text.index("w4") + len("w4\U0001f600") :]]


def test_a_title_that_leaves_no_place_leaves_the_whole_text_unread(path: Path) -> None:
    for title in ("goal " * 14, "goal " * 30):
        assert spans_of(made(path), " a goal\nwon ", titles=(title,)) == [[[1, 11]]]


def test_a_model_that_reads_no_text_leaves_none_unread(path: Path) -> None:
    written = config(reads="text,title")
    written["output"].append({"name": "unread", "data_type": "TYPE_STRING"})
    cut = ArticleTokenizer(path, written)
    for title in ("", " \u200b"):  # the last part, which may be blank
        assert spans_of(cut, "goal " * 30, titles=(title,)) == [[]]
    assert spans_of(cut, "goal " * 30, titles=(" won",)) == [[[1, 4]]]


def test_windows_leave_the_end_unread(path: Path) -> None:
    text = "  " + "a goal won. " * 20
    # A sentence has four tokens and a window six: two windows of one sentence each, and a last one that is full.
    assert pieces_of(made(path, **WINDOWS), text) == [("won. " + "a goal won. " * 16).rstrip()]


def test_windows_that_are_spread_leave_what_lies_between_them_unread(path: Path) -> None:
    text = "goal goal goal goal goal goal.\r\n" + "a match. " * 20 + "\n\nThe last minute won."
    wide = made(path, **WINDOWS, spread="1")
    left_out = pieces_of(wide, text)
    assert len(left_out) == 2
    assert all(piece == piece.strip() and "match" in piece for piece in left_out)
    assert not any("goal" in piece or "minute" in piece for piece in left_out)
    # A title moves the windows; the places stay those of the text.
    assert all(piece in text and piece == piece.strip() for piece in pieces_of(wide, text, "a goal won"))


def test_pieces_that_touch_or_have_only_blanks_between_them_are_one() -> None:
    part = "  one two \r\n three four "
    spans = [(0, 3), (3, 9), (11, 16), (17, 21)]
    assert unread.in_part(spans, part.strip(), part) == [(2, 23)]
    assert unread.in_part([(0, 3), (11, 16)], part.strip(), part) == [(2, 5), (13, 18)]
    assert unread.in_part([(0, 9)], f"Title\n{part.strip()}", part) == [(2, 5)]
    assert unread.in_part([(0, 2), (9, 9), (9, 10)], f"Title\n{part.strip()}", part) == []


@pytest.mark.parametrize("model", ["bart", "xlnet"])
@pytest.mark.parametrize(("text", "encoded"), [("The goal won. " * 60, [True]), ("\u4e2d\u6587" * 20, [False, True])])
def test_a_long_text_is_encoded_once(model: str, text: str, encoded: list[bool]) -> None:
    tokenizer, whole = served(model)
    asked: list[bool] = []
    encode = tokenizer._encode

    def noted(texts: Sequence[str], *, places: bool) -> Any:
        asked.extend([places] * bool(texts))
        return encode(texts, places=places)

    style = {"style": column(b"free")} if model == "bart" else {}
    with patch.object(tokenizer, "_encode", noted):
        (answer,) = tokenizer([{"text": column(text.encode())} | style])
    assert isinstance(answer, dict), answer
    assert asked == encoded
    special = {*whole.encode("").ids}
    read = sum(token not in special for token in answer["input_ids"][0].tolist())
    first = whole.encode(text.strip(), add_special_tokens=False).offsets[read][0]
    assert json.loads(answer["unread"][0, 0])[0][0] == first + (text[first] == " ")


def test_another_type_of_the_output_is_refused(path: Path) -> None:
    written = config()
    written["output"].append({"name": "unread", "data_type": "TYPE_INT32"})
    with pytest.raises(ValueError, match="output unread is TYPE_STRING, not TYPE_INT32"):
        ArticleTokenizer(path, written)


@cache
def served(model: str) -> tuple[ArticleTokenizer, Tokenizer]:
    """A committed tokenizer with room for few tokens, and one that tells all tokens and their places."""
    text = (REPOSITORY / f"{model}_tokenizer" / "config.pbtxt").read_text(encoding="utf-8")
    found: dict[str, Any] = json_format.MessageToDict(from_text(text), preserving_proto_field_name=True)
    few = {"max_tokens": "24", "buckets": "24", "scripts": "any", **({"window": "8"} if model == "distilbert" else {})}
    found["parameters"] |= {name: {"string_value": value} for name, value in few.items()}
    path = REPOSITORY / f"{model}_tokenizer" / "1" / "tokenizer.json"
    whole = Tokenizer.from_file(str(path))
    whole.no_padding()
    whole.no_truncation()
    whole.encode_special_tokens = True
    return ArticleTokenizer(path, found), whole


def tokens_read(windows: np.ndarray, special: set[int], ids: list[int], pieces: Sequence[tuple[int, int]]) -> set[int]:
    """Which tokens of a text the windows of a row hold: those of its pieces, which the windows must really hold."""
    held = [[token for token in window if token not in special] for window in windows.tolist()]
    assert [one for one in held if one] == [ids[start:end] for start, end in pieces]
    return {place for piece in pieces for place in range(*piece)}


ODD = [
    "",
    "",
    "é",
    "\U0001f600",
    "\u200b",
    "ﬁ",
    "``",
    "…",
    "中文",
    "\x01",
    "'s",
    "ñandú",
    "\u0301",
    "\u2028",
    "</s>",
    "İ",
]
BLANKS = [" ", " ", " ", "\r\n", "\n\n", "\t", "\u00a0 ", "\x00 ", ". "]
BODIES = st.lists(
    st.tuples(st.sampled_from(ODD), st.sampled_from(ODD), st.sampled_from(BLANKS)), min_size=1, max_size=90
)


@pytest.mark.parametrize("model", ["bart", "bart, free", "distilbert", "xlnet"])
@settings(max_examples=60, deadline=None)
@given(
    body=BODIES,
    before=st.sampled_from(["", " ", "\r\n\t ", "\u200b "]),
    title=st.sampled_from(["", " A title ", "t " * 40]),
)
def test_every_character_was_read_or_is_told(model: str, body: Any, before: str, title: str) -> None:
    model, _, style = model.partition(", ")
    tokenizer, whole = served(model)
    text = before + "".join(f"{odd}w{number}{other}{blank}" for number, (odd, other, blank) in enumerate(body))
    asked = {"text": column(text.encode()), "title": column(title.encode())}
    # Tokens alone do not tell places: two of a text may read alike. So the layout says where its pieces are.
    layouts: list[Any] = []
    lay_out = rows.lay_out

    def noted(*given: Any) -> Any:
        layouts.append(lay_out(*given))
        return layouts[-1]

    with patch.object(rows, "lay_out", noted):
        (answer,) = tokenizer([asked | ({"style": column(style.encode())} if style else {})])
    assert isinstance(answer, dict), answer
    spans = json.loads(answer["unread"][0, 0])
    clean = CONTROL.sub(" ", text)
    joined = clean.strip()
    if title and model != "bart":
        joined = f"{title.strip()}\n{joined}"
    encoding = whole.encode(joined, add_special_tokens=False)
    special = set(whole.encode("").ids)
    kept = answer["input_ids"][0][answer["attention_mask"][0] == 1]
    windows = answer["input_ids"].reshape(-1, 8) if model == "distilbert" and len(kept) > 8 else kept.reshape(1, -1)
    special |= {tokenizer.options.pad_id}
    pieces = layouts[0][2][0] if layouts else [(0, sum(token not in special for token in kept.tolist()))]
    read = tokens_read(windows, special, encoding.ids, pieces)
    assert len(encoding.ids) - len(read) == answer["truncated_tokens"].item()

    shift = len(clean) - len(clean.lstrip()) - (len(joined) - len(clean.strip()))
    places = [{*range(max(start + shift, 0), max(end + shift, 0))} for start, end in encoding.offsets]
    cut = set[int]().union(*(place for number, place in enumerate(places) if number not in read))
    held = set[int]().union(*(place for number, place in enumerate(places) if number in read))
    told = {character for start, end in spans for character in range(start, end)}
    blank = {number for number, character in enumerate(clean) if character.isspace()}
    assert cut - blank <= told
    assert told.isdisjoint(held - cut - blank)
    if spans and len(places) - 1 not in read:
        assert spans[-1][1] == len(
            clean.rstrip()
        )  # whatever stands there has no token, and nothing read comes after it
    assert bool(spans) == bool(cut - blank)
    assert all(0 <= start < end <= len(text) and {start, end - 1}.isdisjoint(blank) for start, end in spans)
    assert all(clean[one[1] : after[0]].strip() for one, after in pairwise(spans))


def test_texts_that_fit_are_not_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> Callable[..., Any]:
        return lambda *_, **__: pytest.fail(f"{name} of a text that was read whole")

    for name in ("first_unread", "gaps", "in_part"):
        monkeypatch.setattr(unread, name, refuse(name))
    for model in ("bart", "distilbert", "xlnet"):
        (answer,) = served(model)[0]([{"text": column(b"The goal won."), "title": column(b"")}])
        assert isinstance(answer, dict)
        assert answer["unread"].tolist() == [[b"[]"]]
