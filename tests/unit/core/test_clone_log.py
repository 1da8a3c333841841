"""Clone records as text for people."""

from prow_async.api.clonerecords import NO_REFS, Command, Record
from prow_async.api.prowjob import Refs
from prow_async.core import clone_log

REFS = Refs("o", "r", base_ref="main", base_sha="abc")


def test_nothing_happened() -> None:
    assert clone_log.text(()) == ""
    assert clone_log.text((Record(NO_REFS),)) == ""


def test_what_was_done_and_how_it_ended() -> None:
    setup = Record(NO_REFS, (Command("ssh-add key", error="exit status 1"),))
    good = Record(
        REFS, (Command("git init", "Initialized\n\n"), Command("git fetch")), final_sha="f1nal", duration=1_500_000_000
    )
    bad = Record(REFS, (Command("git fetch", "fatal: no", "exit status 128"),), failed=True)
    assert clone_log.text((setup, good, bad)).splitlines() == [
        "# Setting up the environment",
        "$ ssh-add key",
        "# Error: exit status 1",
        "# Cloning o/r at main:abc",
        "$ git init",
        "Initialized",
        "",
        "$ git fetch",
        "# Final SHA: f1nal",
        "# Took 1.5s",
        "# Cloning o/r at main:abc",
        "$ git fetch",
        "fatal: no",
        "# Error: exit status 128",
        "# Failed",
    ]
