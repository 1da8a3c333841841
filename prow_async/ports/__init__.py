"""Protocols named by need. Adapters and sandbox worlds implement them; actors and plugins speak to nothing else."""
