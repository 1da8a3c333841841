"""Which pushes the protection of branches lets through: git asks a hook about each ref, whose words are chosen here.

Source: docs.github.com, about protected branches; githooks(5), `update`.
"""

from pathlib import Path
from typing import Any

from prow_async.sandbox.github.records import Repository
from prow_async.sandbox.github.world import World

_HOOK = """#!/bin/sh
# Called with a ref, where it is, and where it shall be. PROTECTED has three lines for each protected ref: its name,
# what may be done to it (words, and commits it may be moved to), why nothing else may.
no() { echo "error: GH006: Protected branch update failed for $ref." >&2; echo "error: $1" >&2; exit 1; }
may() { case " $allowed " in *" $1 "*) return 0 ;; esac; return 1; }
exists() { case $1 in *[!0]*) return 0 ;; esac; return 1; }
while IFS= read -r ref && IFS= read -r allowed && IFS= read -r why; do
  [ "$ref" = "$1" ] || continue
  if ! exists "$3"; then may delete || no "Cannot delete this protected branch"; exit 0; fi
  if exists "$2" && ! may force; then
    git merge-base --is-ancestor "$2" "$3" || no "Cannot force-push to this protected branch"
  fi
  may push || may "$3" || no "$why"
done <<END
$PROTECTED
END
"""
_MOST_COMMITS = 1000
"""So many commits are named to the hook, the latest: there is a limit to what a process can be told."""


def protected(world: World, repo: Repository, login: str) -> str:
    """Return what the hook has to know of a push by somebody; "" when nothing is protected."""
    lines: list[str] = []
    for branch, rule in repo.protections.items():
        allowed, why = _allowed(world, repo, (branch, rule), login)
        lines += [f"refs/heads/{branch}", " ".join(allowed), " ".join(why.split())]
    return "\n".join(lines)


def hooks(folder: Path) -> Path:
    """Put the hook into a repository; return the folder it is in. Blocks."""
    place = folder / "hooks"
    place.mkdir(exist_ok=True)
    hook = place / "update"
    if not hook.is_file() or hook.read_text() != _HOOK:
        hook.write_text(_HOOK)
        hook.chmod(0o755)
    return place


def _allowed(
    world: World, repo: Repository, protection: tuple[str, dict[str, Any]], login: str
) -> tuple[list[str], str]:
    """Return what may be done to a branch, and why nothing else may."""
    branch, rule = protection
    words = [word for word, key in (("force", "allow_force_pushes"), ("delete", "allow_deletions")) if rule.get(key)]
    if not rule.get("enforce_admins") and world.permission(repo, login) == "admin":
        return [*words, "push"], ""
    restrictions = rule.get("restrictions")
    if restrictions is not None and not _is_named(world, repo, restrictions, login):
        return words, "You're not authorized to push to this branch."
    if rule.get("required_pull_request_reviews"):
        return [*words, *world.ready_heads(repo, branch)], "Changes must be made through a pull request."
    contexts = (rule.get("required_status_checks") or {}).get("contexts") or ()
    if not contexts:
        return [*words, "push"], ""
    known = list(dict.fromkeys([*repo.statuses, *repo.check_runs]))
    passed = [sha for sha in known if not world.lacking_check(repo, rule, sha)]
    return [*words, *passed[-_MOST_COMMITS:]], f'Required status check "{contexts[0]}" is expected.'


def _is_named(world: World, repo: Repository, restrictions: dict[str, Any], login: str) -> bool:
    """Say whether somebody stands in the list of those who may push, or in a team that does."""
    if login.lower() in {name.lower() for name in (*restrictions.get("users", ()), *restrictions.get("apps", ()))}:
        return True
    teams = world.org(repo.org).teams if restrictions.get("teams") else {}
    return any(login.lower() in teams[slug].members for slug in restrictions.get("teams", ()) if slug in teams)
