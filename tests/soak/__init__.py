"""Long runs: many seeded lives, and kills after every write. Only with --soak."""
