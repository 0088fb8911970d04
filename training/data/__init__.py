"""Tables of articles: read, checked, cleaned, split and described."""
