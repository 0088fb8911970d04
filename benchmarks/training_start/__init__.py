"""How soon a training run is under way, measured from outside, as a user starts it."""
