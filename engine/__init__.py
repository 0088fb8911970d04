"""The summarizer as a step on static buffers: an encoder, one step of decoder and beam search, and what runs them.

A step never waits for the host and never allocates, so a GPU replays it as one CUDA graph. Articles sit in slots, each
with an age and settings of its own.
"""
