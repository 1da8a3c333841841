"""The actor kernel: mailboxes, keyed actors, supervisor, timers, backoff. It has never heard of Prow."""
