"""Pieces of HTML in a text: taking them out, and counting what is left."""
