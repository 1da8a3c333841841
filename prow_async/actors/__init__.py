"""Own state, talk over mailboxes, gather and act; the deciding is in core."""
