"""How far something long is: a bar in a terminal, lines in a file, and what brings both from Ray's workers."""
