"""The embedded default: small worlds with real rules, each a synchronous state machine with two doors."""
