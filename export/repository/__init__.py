"""The model repository: configurations, artefacts, and how a model takes its place."""
