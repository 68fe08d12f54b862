"""A gateway from HTTP to gRPC, and the service behind it."""
