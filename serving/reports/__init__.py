"""Kept reports: an article's answers, given back to whoever has the id, until their time is up.

`options` says whether reports are kept and `rule` when they can be; `records` says what a report is, `store` keeps
them, and `keeper` is what the door asks, without ever waiting for long. Importing this package loads no database
library.
"""
