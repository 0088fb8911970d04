"""The versions of the tables of feedback, and the way between them: an environment of Alembic.

A new version is a file in `versions`; `serving.feedback.database.schema` says which is the newest. A store brings an
older database up to it when it opens, and `python -m serving feedback migrate` does so by hand, forth and back.
"""
