"""What is counted of an article is what the references name, and no piece of its text."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from serving.feedback.records import Answered, Prediction
from serving.quality.document import Serving
from serving.quality.references import References
from serving.quality.tallying import WORDS_AT_ONCE, WORDS_EVERY_S, Tallies
from tests.serving.quality.said import CATEGORY, SUMMARY, write_reference

TEXT = "The MINISTER said 12 zeppelins, other zeppelins and the team"


def answered(one: Serving, label: str = "", signal: str = "") -> Answered:
    return Answered(
        task=one.task, model=one.model, version=one.version, revision=one.revision, label=label, signal=signal
    )


def prediction(*answers: Answered, words: int = 30) -> Prediction:
    return Prediction(id="A" * 22, made_us=0, text_sha256="0" * 64, words=words, answers=answers)


def counts(repository: Path, given: Prediction, text: str = TEXT, title: str | None = None) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    for one in Tallies(References(repository))(given, text, title):
        found.setdefault(f"{one.task} {one.what}", Counter())[one.bucket] += one.count
        assert one.revision in ("aaa", "bbb")
    return found


def test_labels_lengths_and_common_words_are_counted(tmp_path: Path) -> None:
    write_reference(tmp_path)
    write_reference(tmp_path, SUMMARY)
    given = prediction(answered(CATEGORY, "Sports", "no clear signal"), answered(SUMMARY))
    words = Counter({"the": 2, "minister": 1, "said": 1, "team": 1, "title": 1, "other": 4})
    assert counts(tmp_path, given, title="Title") == {
        "category label": {"Sports": 1},
        "category shown": {"doubt": 1},
        "category words": {"25": 1},
        "category vocabulary": words,
        "summary words": {"25": 1},
        "summary vocabulary": words,
    }


def test_without_a_reference_or_a_text_no_words_are_counted(tmp_path: Path) -> None:
    given = prediction(answered(CATEGORY, "Sports", "Sports"), words=0)
    without = {"category label": {"Sports": 1}, "category shown": {"shown": 1}, "category words": {"0": 1}}
    assert counts(tmp_path, given) == without
    write_reference(tmp_path, text="[")
    assert counts(tmp_path, given) == without
    write_reference(tmp_path)
    assert counts(tmp_path, given, text="") == without
    assert "category vocabulary" in counts(tmp_path, given)


def test_of_many_articles_the_words_of_a_sample_are_counted(tmp_path: Path) -> None:
    write_reference(tmp_path)
    now_s = 0.0
    tallies = Tallies(References(tmp_path), clock=lambda: now_s)

    def counted(articles: int) -> tuple[int, int]:
        found = [tallies(prediction(answered(CATEGORY, "Sports")), TEXT, None) for _ in range(articles)]
        labels = sum(any(one.what == "label" for one in each) for each in found)
        return labels, sum(any(one.what == "vocabulary" for one in each) for each in found)

    assert counted(WORDS_AT_ONCE + 50) == (WORDS_AT_ONCE + 50, WORDS_AT_ONCE)
    now_s += WORDS_EVERY_S
    assert counted(50) == (50, 1)
    now_s += 1e6 * WORDS_EVERY_S
    assert counted(500) == (500, WORDS_AT_ONCE)


def test_a_reference_that_changes_is_read_anew(tmp_path: Path) -> None:
    references, path = References(tmp_path), write_reference(tmp_path)
    first = references.find("distilbert", "1")
    assert references.find("distilbert", "1") is first
    path.write_text(path.read_text().replace('"articles": 20', '"articles": 200'))
    assert references.find("distilbert", "1")["articles"] == 200
