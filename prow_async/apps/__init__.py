"""Composition roots: wiring only, no decisions."""
