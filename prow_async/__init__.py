"""Prow, the Kubernetes CI system, as an engine of actors that watch instead of poll. Start at docs/architecture.md."""

__version__ = "0.1.0"
