"""The HTTP servers that people, GitHub and Prometheus talk to."""
