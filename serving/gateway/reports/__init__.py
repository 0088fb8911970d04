"""Kept reports over HTTP: given back to whoever has the id, and removed. ``/v1/analyze`` makes them (`keep`)."""
