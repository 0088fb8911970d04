"""Where the time of one request goes."""
