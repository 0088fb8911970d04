"""Quality over HTTP and as metrics: computed now and then beside the event loop, out of what people said of answers."""
