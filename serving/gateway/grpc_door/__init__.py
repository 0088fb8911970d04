"""The door's gRPC: KServe's service, which checks a request and passes its bytes on."""
