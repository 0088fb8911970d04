"""The front door beside Triton itself: what it adds to a request, and what it takes of the highest rate."""
