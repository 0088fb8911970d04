"""Questions to the server's JSON API: how both clients ask them, with retries until the time is up."""

from .asking import Asking, AsyncAsking, Question, no_http

__all__ = ["Asking", "AsyncAsking", "Question", "no_http"]
