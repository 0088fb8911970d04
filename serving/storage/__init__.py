"""Where the server keeps what outlives it: a file of SQLite in the cache, or a PostgreSQL that several servers share.

`kept` says what is kept and how messages call it, `location` where, and `database` opens it. Importing this package
loads no database library.
"""
