"""A small Kubernetes API server: a synchronous state machine (`world`) with two doors (`direct`, `http`)."""
