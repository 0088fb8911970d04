"""Models on their way to a server: lists of their hashes, and folders that are fetched by them.

`sums` reads and writes a list, `source` opens a file of a folder, a bucket or a URL, `fetch` brings all of them here.
"""
