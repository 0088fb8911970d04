"""Load: what an Info Lens server does at a given rate of requests, and past the highest one that it can serve."""
