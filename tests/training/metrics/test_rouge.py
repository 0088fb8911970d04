"""ROUGE and the lead that summaries are compared with."""

import pytest

from training.metrics.summarization import lead_k, rouge


def test_lead_k_is_the_first_sentences() -> None:
    assert lead_k("One. Two. Three.", 2) == "One.\nTwo."
    assert lead_k("One.", 3) == "One."
    with pytest.raises(ValueError, match="at least 1 sentence, not 0"):
        lead_k("One.", 0)


def test_rouge_of_a_copy_is_100_and_of_something_else_0() -> None:
    assert rouge(["The cat sat. It slept."], ["The cat sat. It slept."])["rougeLsum"] == pytest.approx(100)
    assert rouge(["dogs bark"], ["The cat sat."])["rouge1"] == 0


def test_rouge_counts_shared_words() -> None:
    result = rouge(["the cat sat on it"], ["the cat ran to it"])
    assert result["rouge1"] == pytest.approx(60)
    assert result["rouge2"] == pytest.approx(25)
    assert result["words"] == 5


def test_rouge_refuses_unequal_lists() -> None:
    with pytest.raises(ValueError, match="one reference per prediction, not 1 for 2"):
        rouge(["a", "b"], ["a"])
