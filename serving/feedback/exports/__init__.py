"""Ratings as files: for spreadsheets, for programs, for training, and for a look with Datasette.

`columns` says what a row holds, `exporting` writes a file beside its place and moves it there; the others are formats.
"""
