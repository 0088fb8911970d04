"""Files over HTTP: an article out of one, tables of articles in, tables of answers out."""

from .operations import FILE_OPERATIONS
from .routes import add_file_routes

__all__ = ["FILE_OPERATIONS", "add_file_routes"]
