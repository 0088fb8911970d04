"""The values of `infolens.types`, which exports them, by what they are about."""
