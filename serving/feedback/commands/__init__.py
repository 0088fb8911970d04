"""``python -m serving feedback``: what an operator does with what is kept."""
