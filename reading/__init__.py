"""How an article is read: where its sentences are, and how it is laid out for a model.

The lowest room: it imports no other, and beside the standard library nothing but numpy.
"""
