"""Real git repositories behind the small GitHub: bare folders, and git itself as a subprocess. All of it blocks."""
