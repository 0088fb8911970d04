"""Promotions: what a registry holds of a task, which version may become the champion, and why others may not."""
