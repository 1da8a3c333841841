"""git, as a subprocess: blocking, bounded, and deaf to everything a hostile name could tell it."""
