"""An hour under load, and whether the server at its end is the one of its beginning."""
