"""What several benchmarks share: the server, its repository, articles, requests, measurements, and reports."""
