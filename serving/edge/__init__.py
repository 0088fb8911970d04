"""A server's edge: TLS, web pages of other origins, proxies, traces. Checked at the start; the door keeps to it."""
