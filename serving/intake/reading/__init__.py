"""What runs inside a reading process: bytes of strangers in, articles and tables out."""
