"""Ratings to learn from: the server's exports of feedback, what people think of each article, and a table of that."""
