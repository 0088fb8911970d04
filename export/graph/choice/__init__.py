"""The head of a summarizer that chooses sentences instead of writing words."""
