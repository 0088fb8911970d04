"""Articles that arrive at random moments, whether or not earlier ones are answered."""
