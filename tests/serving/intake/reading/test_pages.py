"""Web pages: the article without what stands around it, what the page says of it, and reviews in its markup."""

from __future__ import annotations

import codecs

import pytest

from serving.intake.documents import Review
from serving.intake.errors import ReadError
from serving.intake.reading.articles import read_article
from tests.serving.intake.made import MICRODATA, PARAGRAPHS, REVIEW, WORDS, page

SCRIPT = '<script type="application/ld+json">{}</script>'


def test_the_article_is_read_without_what_stands_around_it() -> None:
    found = read_article(page().encode(), url="https://harbour.example/bridge")
    assert found.text == "\n\n".join(PARAGRAPHS)
    assert (found.kind, found.title, found.author) == ("html", "Harbour bridge to close", "Jane Doe")
    assert (found.date, found.site, found.language) == ("2026-06-01", "The Harbour Post", "en")
    assert (found.reviews, found.notes) == ((), ())


@pytest.mark.parametrize(
    ("encode", "header"),
    [
        (lambda text: text.replace("utf-8", "windows-1252").encode("cp1252"), ""),
        (lambda text: text.replace("utf-8", "iso-8859-1").encode("cp1252"), ""),
        (lambda text: text.replace("utf-8", "x-nonsense").encode("cp1252"), ""),
        (lambda text: text.replace("utf-8", "unicode_escape").encode("cp1252"), "text/html; charset=zip"),
        (lambda text: text.encode("cp1252"), "text/html; charset=windows-1252"),
        (lambda text: text.replace("utf-8", "windows-1252").encode(), "text/html; charset=UTF-8"),
        (lambda text: codecs.BOM_UTF8 + text.replace("utf-8", "windows-1252").encode(), "text/html; charset=latin1"),
        (lambda text: text.encode("utf-16"), ""),
        (lambda text: text.encode("utf-16-le"), ""),
    ],
)
def test_its_encoding_is_told_by_mark_header_page_or_looks(encode, header: str) -> None:  # type: ignore[no-untyped-def]
    quoted = "\u201cA caf\u00e9 d\u00e9j\u00e0 vu\u201d, said the mayor, who was born across the water and swims there."
    found = read_article(encode(page(paragraphs=[*PARAGRAPHS, quoted])), content_type=header)
    assert found.text.endswith(quoted)


def test_reviews_of_claims_are_found_and_broken_markup_hides_none() -> None:
    head = SCRIPT.format('{"@type": "ClaimReview", broken') + SCRIPT.format(REVIEW) + SCRIPT.format("[" * 5000)
    found = read_article(page(head=head, end=MICRODATA).encode(), url="https://harbour.example/bridge")
    assert found.text == "\n\n".join(PARAGRAPHS)
    assert found.reviews == (
        Review(
            claim="The bridge has sunk.",
            rating="2 of 5",
            publisher="Checkers",
            url="https://check.example/bridge",
            date="2026-05-01",
        ),
        Review(claim="Ferries are free.", rating="Mostly false", publisher="Ann Lee"),
    )


@pytest.mark.parametrize(
    "markup",
    [
        '{"@type": "ClaimReview"}',
        '{"@type": "ClaimReview", "claimReviewed": {"a": 1}, "reviewRating": 3}',
        '{"@type": "ClaimReview", "claimReviewed": "It sank.", "reviewRating": {"ratingValue": []}}',
        '{"@type": ["Review"], "claimReviewed": "It sank.", "reviewRating": {"ratingValue": 1}}',
        '{"@type": "ClaimReview", "claimReviewed": "' + "a" * 3000 + '", "reviewRating": {"alternateName": "False"}}',
        '{"a": ' * 500 + "1" + "}" * 500 + ' "ClaimReview"',
    ],
)
def test_reviews_without_claim_or_rating_are_none(markup: str) -> None:
    assert read_article(page(head=SCRIPT.format(markup)).encode()).reviews == ()


def test_there_are_at_most_twenty_reviews() -> None:
    some = "".join(SCRIPT.format(REVIEW.replace("sunk", f"sunk {number} times")) for number in range(40))
    assert len(read_article(page(head=some).encode()).reviews) == 20


def test_links_of_reviews_are_of_the_web() -> None:
    for url in ("javascript:alert(1)", "data:text/html,x", "//check.example", "https://a b"):
        found = read_article(page(head=SCRIPT.format(REVIEW.replace("https://check.example/bridge", url))).encode())
        assert [one.url for one in found.reviews] == [None]


def test_a_piece_of_markup_is_a_page_and_a_page_without_article_is_told() -> None:
    assert read_article(f"<p>{WORDS}</p>".encode()).kind == "html"
    with pytest.raises(ReadError, match="no article was found in this page"):
        read_article(b"<!DOCTYPE html><html><body><script>render()</script></body></html>")


def test_a_short_or_odd_article_is_looked_for_again_with_a_note() -> None:
    found = read_article(f"<html><body><div><span>{WORDS}</span></div></body></html>".encode())
    assert PARAGRAPHS[1] in found.text
