"""What feedback costs: an answer beside one of a server without it, and quality over a full store."""
