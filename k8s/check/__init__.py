"""Rules that the manifests keep, checked without a cluster."""
