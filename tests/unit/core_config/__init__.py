"""Configuration: YAML, durations, patterns, cron, templates, and the loading of it all."""
