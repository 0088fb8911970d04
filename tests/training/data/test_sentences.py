import pytest

from training.data.sentences import split_sentences


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("It rained. It snowed.", ["It rained.", "It snowed."]),
        ("Mr. Smith met Dr. Lee. They spoke.", ["Mr. Smith met Dr. Lee.", "They spoke."]),
        ("He lives in the U.S. The rest left.", ["He lives in the U.S.", "The rest left."]),
        ("The U.S. Senate voted.", ["The U.S. Senate voted."]),
        ("George W. Bush paid $3.5 million.", ["George W. Bush paid $3.5 million."]),
        ('"Really?" He nodded. "Yes." 12 left.', ['"Really?"', "He nodded.", '"Yes."', "12 left."]),
        ("A headline\n\nA first line. a lower one.", ["A headline", "A first line. a lower one."]),
        ("  \n ", []),
    ],
)
def test_split_sentences(text: str, sentences: list[str]) -> None:
    assert split_sentences(text) == sentences
