"""Seeded lives of the whole engine on virtual time: everything outside is embedded, and everything goes wrong."""
