"""Latency and throughput of a running server with one client."""
