"""The cross attention of a decoder inside the loop of a search."""
