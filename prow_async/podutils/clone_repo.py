"""Clones one repository, and records how it went."""

import os
import time

from prow_async.api import clonerecords
from prow_async.api.clonerecords import Record
from prow_async.api.podoptions import CloneRefsOptions
from prow_async.api.prowjob import Refs
from prow_async.core import clone, clone_check, clone_told
from prow_async.podutils import clone_run, clone_setup, clone_token, logs

_SUBMODULE = (0o160000).to_bytes(4, "big")
"""The mode of a submodule in an index (gitformat-index(5))."""


class Repo:
    """One clone on its way.

    Args:
        who: whom merges are made by.
        runner: runs the commands, and may be stopped meanwhile: the record then tells.
    """

    def __init__(self, refs: Refs, who: clone.Who, runner: clone_run.Runner, log: logs.Log) -> None:
        self._refs = refs
        self._who = who
        self._runner = runner
        self._log = log
        self._variables: dict[str, str] = {}
        self._public: dict[str, str] = {}
        self._commands: list[clonerecords.Command] = []
        self._begun = time.monotonic_ns()

    def run(self, src_root: str, setup: clone_setup.Setup) -> Record:
        """Clone, and return the record. What goes wrong is in it."""
        refs = self._refs
        mistake = clone_check.refs_mistake(refs, src_root)
        if mistake:
            return self._refused("check refs", mistake)
        try:
            user, token = setup.tokens.token(refs.org)
        except clone_token.Stranger as error:
            user, token = "", ""
            self._log.warning("Cloning without a token", org=refs.org, error=str(error))
            asked = clonerecords.Command(f"get a token for {refs.org}", f"{error}: cloning without a token")
            self._commands.append(asked)
        except clone_token.NoToken as error:
            return self._refused(f"get a token for {refs.org}", str(error))
        uri, secret_settings = clone.authorized(clone.uri_for(refs), user, token)
        for _, value in secret_settings:
            self._log.censor.add([token, value.rpartition(" ")[2]])
        ground = self._runner.environment({})
        self._public = clone_setup.with_settings(ground, setup.settings)
        self._variables = clone_setup.with_settings(ground, (*setup.settings, *secret_settings))
        plan = clone.Plan(refs, clone.folder_for(refs, src_root), uri, setup.env)
        self._log.info("Cloning refs", refs=clone.shown(refs), path=plan.folder)
        if not self._all(plan, plan.base(self._who)) or not self._all(plan, plan.pulls(self._base_time_s(plan))):
            return self._record(failed=True)
        outcome = self._runner.run(plan.final_sha(), self._variables)
        if outcome.error:
            self._log.warning("Cannot resolve the final commit", error=outcome.error, output=outcome.output)
            return self._record()
        return self._record(final_sha=_last_word(outcome.output))

    def _all(self, plan: clone.Plan, commands: list[clone.Command]) -> bool:
        """Run commands until one fails; return whether none did."""
        censor = self._log.censor
        for command in commands:
            if command.step == "submodules" and not _may_have_submodules(plan.folder):
                continue
            begun = time.monotonic_ns()
            # A pull request chooses its submodules; what it chooses must not get our token.
            variables = self._public if command.step == "submodules" else self._variables
            outcome = self._runner.run(command, variables)
            error = self._told(plan, command, outcome) if outcome.error else ""
            done = clonerecords.Command(
                censor(str(command)), censor(outcome.output), censor(error), time.monotonic_ns() - begun
            )
            self._commands.append(done)
            fields = {"command": done.command, "output": done.output}
            if error:
                self._log.error("Command failed", error=done.error, **fields)
                return False
            self._log.info("Ran command", **fields)
        return True

    def _told(self, plan: clone.Plan, command: clone.Command, outcome: clone_run.Outcome) -> str:
        """Return why a command failed: how it ended, and what that means."""
        tries = f" ({outcome.tries} tries)" if outcome.tries > 1 else ""
        if not outcome.started or self._runner.stopped:
            return outcome.error + tries
        conflicts: list[str] = []
        if command.step == "merge":
            left = self._runner.run(plan.conflicts(), self._variables)
            conflicts = [path for path in left.output.split("\0") if path] if not left.error else []
        why = clone_told.why(plan, command, outcome.output, conflicts)
        return f"{outcome.error}{tries}{f': {why}' if why else ''}"

    def _base_time_s(self, plan: clone.Plan) -> int:
        """Return when the base was committed; now, when git does not say."""
        outcome = self._runner.run(plan.base_time(), self._variables)
        said = _last_word(outcome.output)
        if outcome.error or not said.isascii() or not said.isdigit():
            self._log.warning("Cannot tell the time of the base's commit", error=outcome.error, output=said)
            return int(time.time())
        return int(said)

    def _refused(self, command: str, why: str) -> Record:
        self._log.error("Not cloned", refs=clone.shown(self._refs), error=why)
        self._commands.append(clonerecords.Command(command, error=self._log.censor(why)))
        return self._record(failed=True)

    def _record(self, failed: bool = False, final_sha: str = "") -> Record:
        duration = time.monotonic_ns() - self._begun
        return Record(self._refs, tuple(self._commands), failed, final_sha, duration)


def _may_have_submodules(folder: str) -> bool:
    """Say whether git might find a submodule in a clone: one is configured, or stands in the index.

    Each entry of an index has its mode in four bytes. The same bytes may stand there by chance: git looks then.
    """
    if os.path.lexists(f"{folder}/.gitmodules"):
        return True
    try:
        with open(f"{folder}/.git/index", "rb") as file:
            return _SUBMODULE in file.read()
    except OSError:  # git says what is wrong
        return True


def _last_word(output: str) -> str:
    """Return what git printed last; before it may stand a warning."""
    return (output.split() or [""])[-1]


def who_of(options: CloneRefsOptions) -> clone.Who:
    """Return whom merges are made by."""
    return clone.Who(options.git_user_name, options.git_user_email, options.cookie_path)
