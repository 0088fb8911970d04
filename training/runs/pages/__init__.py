"""What the pages of an evaluation and of an experiment share: their style, and how pictures are drawn."""
