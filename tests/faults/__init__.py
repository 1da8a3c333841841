"""Seeded lives in every test run; many more of them are in tests/soak."""
