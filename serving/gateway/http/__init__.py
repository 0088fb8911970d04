"""The HTTP door: KServe v2 as Triton speaks it, for the models that people may ask and nothing else.

``make_app`` makes the application, and `DoorRunner` runs it with the door's limits:

>>> runner = DoorRunner(make_app(parts, Bodies(parts.options.limits)), parts.options.limits, shutdown_timeout=10)
>>> await runner.setup()
>>> await web.TCPSite(runner, parts.options.host, parts.options.http_port).start()
"""

from .app import make_app
from .body import Bodies
from .protocol import DoorRunner

__all__ = ["Bodies", "DoorRunner", "make_app"]
