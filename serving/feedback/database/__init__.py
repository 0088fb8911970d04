"""The tables of feedback, and all SQL that is spoken with them; only `serving.feedback.store` uses them.

`schema` has the tables, and `making` brings a database to them (with `migrating`). `changing` writes entries in one
transaction: `counting` says which ratings count and `adding` counts up. `erasing` deletes. `reading` gives back what is
kept, and `measuring` what the quality of models is computed from.
"""
