"""The comparison of an export with its checkpoint."""
