"""The report of a run: a document with everything, a page for people, and its pictures."""
