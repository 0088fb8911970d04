"""Users who wait for each answer: Locust."""
