"""What a model is measured by, and the pictures of it."""
