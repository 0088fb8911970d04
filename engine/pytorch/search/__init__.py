"""Beam search on static buffers: the slots, and what one step does with the scores of the words."""
