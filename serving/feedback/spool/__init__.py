"""What the database cannot take now, on the disk: acknowledged once it lies there, and brought over in its order.

`disk` writes files, `lines` says how an entry looks in one, `folders` gives each door a folder of its own, and `spool`
is all of it.
"""
