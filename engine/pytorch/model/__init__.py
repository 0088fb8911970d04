"""BART's encoder and one step of its decoder, and where their weights come from."""
