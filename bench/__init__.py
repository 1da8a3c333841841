"""Measurements on public entry points, each beside the least that any program doing the same work can cost."""
