"""How fast the page for people is, in a real browser."""
