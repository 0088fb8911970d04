"""Plain JSON for programs: ``/v1``, its OpenAPI document, health for probes, and the page at ``/``."""

from .routes import add_routes

__all__ = ["add_routes"]
