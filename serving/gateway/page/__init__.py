"""The page for people: its files, as the door sends them to browsers."""

from .routes import Page, add_page

__all__ = ["Page", "add_page"]
