"""From the door's event loop into the database: a bounded queue, a thread that empties it, and one that commits.

`writer` takes what is queued and has `committer` write it; what the database does not take in time goes into the spool,
and `committer` brings it from there once the database is back.
"""
