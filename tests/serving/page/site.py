"""A small news site on this machine: an article as sites have them, with what is around it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HEADLINE = "Ferries return to the bay after twelve years"
SENTENCES = (
    "Two ferries will cross the bay again from the first of May, the harbour board said on Thursday.",
    "The line was closed twelve years ago, when the tunnel under the bay was opened to cars.",
    "Since then the tunnel has been full on most mornings, and buses through it have been late by half an hour.",
    "A crossing will take eighteen minutes and cost three pounds, with bicycles carried free of charge.",
    "The board bought both ships second hand from a line in Norway and had their engines replaced by electric ones.",
    "Fishermen had feared for their berths on the east quay, and were promised new ones behind the customs house.",
    "The first timetable has forty crossings a day, and the board wants to look at it again in autumn.",
)
_PARAGRAPHS = "".join(f"<p>{one}</p>" for one in SENTENCES)
REVIEW = """<script type="application/ld+json">{"@context": "https://schema.org", "@type": "ClaimReview",
 "claimReviewed": "The ferries run on diesel", "datePublished": "2026-04-02", "url": "https://checks.example/ferries",
 "author": {"@type": "Organization", "name": "Bay Checks"},
 "reviewRating": {"@type": "Rating", "ratingValue": 1, "bestRating": 5, "alternateName": "Wrong"}}</script>"""
ARTICLE = f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{HEADLINE} - Bay News</title>
<meta property="og:title" content="{HEADLINE}"><meta property="og:site_name" content="Bay News">
<meta name="author" content="Ada Quay"><meta property="article:published_time" content="2026-04-03T08:00:00Z">
{REVIEW}</head><body><nav><a href="/">Home</a> <a href="/weather">Weather</a></nav>
<main><article><h1>{HEADLINE}</h1>{_PARAGRAPHS}</article></main>
<aside>Subscribe to our newsletter and never miss a story!</aside><footer>All rights reserved.</footer></body></html>"""
_PAGES = {"/ferries": ("text/html; charset=utf-8", ARTICLE.encode()), "/empty": ("text/html", b"<html></html>")}


class Site:
    """Where it listens."""

    def __init__(self, port: int) -> None:
        self.port = port

    @property
    def article(self) -> str:
        return f"http://127.0.0.1:{self.port}/ferries"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        kind, body = _PAGES.get(self.path, ("", b""))
        self.send_response(200 if kind else 404)
        self.send_header("Content-Type", kind or "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def running_site() -> Iterator[Site]:
    """The site, on a free port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield Site(server.server_port)
        server.shutdown()
        thread.join()
