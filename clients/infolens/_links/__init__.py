"""Articles that are given by a link: the server fetches the page, and the answer says what was read there."""

from .clients import AsyncLinks, Links

__all__ = ["AsyncLinks", "Links"]
