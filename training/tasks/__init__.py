"""What the kinds of answers train on, and how good they become."""
