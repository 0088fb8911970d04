"""Which words of a vocabulary are the same but for a space before them."""

from __future__ import annotations

import pytest

from export.checkpoint.spacing import spacing_of


@pytest.mark.parametrize("mark", ["\u0120", "\u2581"])
def test_words_have_two_forms_where_the_vocabulary_has_both(mark: str) -> None:
    found = spacing_of({"the": 0, f"{mark}the": 3, f"{mark}of": 1, mark: 2, "s": 4})
    assert found.spaced.tolist() == [3, 1, 2, 3, 4]
    assert found.unspaced.tolist() == [0, 1, 2, 0, 4]


def test_without_such_words_every_word_is_itself() -> None:
    found = spacing_of({"a": 0, "##b": 1})
    assert found.spaced.tolist() == found.unspaced.tolist() == [0, 1]
