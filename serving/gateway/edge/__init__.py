"""The door's edge: TLS, what every answer says to browsers, proxies before the door, and spans of its requests."""
