"""One file per plugin: its help, its gathering half, its pure decide."""
