"""What people say of answers: ratings, what a server keeps, and how good its models are by them."""

from .clients import AsyncFeedback, Feedback

__all__ = ["AsyncFeedback", "Feedback"]
