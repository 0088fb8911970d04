"""Manifests for Kubernetes, monitoring, and ``python -m k8s``, which checks them."""
