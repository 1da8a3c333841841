"""The REST routes of the small GitHub, one module per area of GitHub's reference."""
