"""GitHub behind ports/github, written on ports/transport."""
