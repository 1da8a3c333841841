"""Why a clone failed, in words for the person whose pull request it is. git's own words stay in the record's output."""

import re
from collections.abc import Sequence

from prow_async.api.prowjob import Pull
from prow_async.core import clone

_SHOWN_FILES = 20
_LAST_WORDS = 500
_ELSEWHERE: tuple[tuple[str, str], ...] = (
    (r"Host key verification failed", "the SSH host's key is not known: list it in ssh_host_fingerprints"),
    (r"Permission denied \(publickey|no mutual signature", "the SSH host takes none of the keys that are there"),
    (
        r"could not read (?:Username|Password)|terminal prompts disabled|Authentication failed|returned error: 40[13]",
        "it asks for credentials, and there are none or they are refused",
    ),
    (
        r"[Rr]epository (?:'.*' )?not found|does not appear to be a git repository|returned error: 404"
        r"|repository '.*' does not exist",
        "there is no such repository, or the credentials may not see it",
    ),
    (r"[Cc]ould not resolve host(?:name)?", "its host's name cannot be resolved"),
    (
        r"Failed to connect|Couldn't connect|[Cc]onnection (?:refused|reset|timed out|closed)|No route to host"
        r"|Network is unreachable|Operation timed out|unable to connect|Empty reply|early EOF|hung up unexpectedly"
        r"|RPC failed|returned error: 5\d\d",
        "it cannot be reached, or the connection broke",
    ),
    (r"SSL certificate|server certificate|unable to get local issuer", "its certificate is not trusted"),
    (r"transport '.*' not allowed", "this kind of address is not allowed"),
)
_NO_SPACE = re.compile(r"No space left on device|[Dd]isk quota exceeded")
_NO_REF = re.compile(r"couldn't find remote ref (\S+)")
_NO_COMMIT = re.compile(
    r"not our ref|unadvertised object|not something we can merge|unable to read tree|pathspec '.*' did not match"
    r"|did not send all necessary objects|reference is not a tree|not a valid object name|bad object"
)


def why(plan: clone.Plan, command: clone.Command, output: str, conflicts: Sequence[str] = ()) -> str:
    """Return why this command of a plan failed; git's last words when there is nothing better to say.

    Args:
        output: what the command printed, in English.
        conflicts: paths that a merge left in conflict.
    """
    if _NO_SPACE.search(output):
        return "the disk is full"
    match command.step:
        case "merge":
            return _merge(plan, command, output, conflicts)
        case "fetch":
            return _fetch(plan, command, output)
        case "checkout":
            if _NO_COMMIT.search(output):
                return f"{_base(plan)} is not in what was fetched from {plan.uri}"
        case "submodules":
            return f"a submodule cannot be fetched: {_elsewhere(output) or last_words(output)}"
        case "prepare":
            pass
    return last_words(output)


def last_words(output: str) -> str:
    """Return the lines in which git says what is wrong, or the last ones, shortened to one line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    told = [line for line in lines if line.startswith(("fatal:", "error:", "remote:"))] or lines
    return "; ".join(told[-3:])[-_LAST_WORDS:]


def _fetch(plan: clone.Plan, command: clone.Command, output: str) -> str:
    what = _pull(command.pull) if command.pull else _base(plan)
    missing = _NO_REF.search(output)
    if missing and missing[1] == "HEAD":
        return f"{plan.uri} has no default branch, which is fetched unless skip_fetch_head is set"
    if missing:
        return f"{what}: {plan.uri} has no ref {missing[1]}"
    if _NO_COMMIT.search(output):
        return f"{what}: {plan.uri} does not give that commit (gone after a force-push?)"
    elsewhere = _elsewhere(output)
    return f"{what}: {plan.uri}: {elsewhere}" if elsewhere else f"{what}: {last_words(output)}"


def _merge(plan: clone.Plan, command: clone.Command, output: str, conflicts: Sequence[str]) -> str:
    pull = command.pull
    if pull is None:
        return last_words(output)
    what = _pull(pull)
    if conflicts:
        before = [f"#{one.number}" for one in plan.refs.pulls[: plan.refs.pulls.index(pull)]]
        onto = f"{plan.refs.base_ref} with {', '.join(before)} merged" if before else plan.refs.base_ref
        more = len(conflicts) - _SHOWN_FILES
        files = ", ".join(conflicts[:_SHOWN_FILES]) + (f" and {more} more" if more > 0 else "")
        return f"{what} conflicts with {onto} in {files}: it has to be rebased"
    if _NO_COMMIT.search(output):
        return f"{what}: {pull.sha} is not in what was fetched from {pull.ref or plan.uri} (gone after a force-push?)"
    if "unrelated histories" in output:
        depth = plan.refs.clone_depth
        hint = f"; clone_depth {depth} may be too shallow to reach where they part" if depth else ""
        return f"{what} shares no history with {plan.refs.base_ref}{hint}"
    return f"{what} does not merge: {last_words(output)}"


def _elsewhere(output: str) -> str:
    return next((text for pattern, text in _ELSEWHERE if re.search(pattern, output)), "")


def _base(plan: clone.Plan) -> str:
    refs = plan.refs
    return f"{refs.base_ref} at {refs.base_sha}" if refs.base_sha else refs.base_ref


def _pull(pull: Pull) -> str:
    return f"pull request #{pull.number}{f' at {pull.sha}' if pull.sha else ''}"
