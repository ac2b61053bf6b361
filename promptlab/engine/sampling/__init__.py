"""Makes forwards of requests, and images of forwards."""
