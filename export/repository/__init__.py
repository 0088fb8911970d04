"""The model repository: its artefacts, its deployments, its generated files, and publishing a model."""
