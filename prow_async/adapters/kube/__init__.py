"""Kubernetes behind ports/kube, written on ports/transport."""
