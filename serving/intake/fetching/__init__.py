"""Fetches a page that a stranger names, and nothing that only this server can reach.

>>> from serving.intake.fetching.fetcher import fetch
>>> from serving.intake.fetching.options import FetchOptions
>>> fetched = await fetch("https://news.example/story", FetchOptions())

`targets` reads what a link names, `addresses` and `allow` say where it may lead, `connecting` keeps each connection to
the addresses that were checked, `inflating` and `kinds` keep what comes back to its limits, and `fetcher` does all
of it in order. Importing this package, or `options`, loads no HTTP library: whoever only starts the door does without.
"""
