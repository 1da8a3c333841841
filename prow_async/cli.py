"""The command line: one program, one subcommand per component and tool."""

import gc
import os
import signal
import sys
from collections.abc import Callable, Sequence

from prow_async.api.errors import CannotStart, ConfigErrors
from prow_async.apps import flags

Main = Callable[[Sequence[str]], int]


def _hook(argv: Sequence[str]) -> int:
    from prow_async.apps import hook

    return hook.main(argv)


def _controller_manager(argv: Sequence[str]) -> int:
    from prow_async.apps import controller_manager

    return controller_manager.main(argv)


def _crier(argv: Sequence[str]) -> int:
    from prow_async.apps import crier

    return crier.main(argv)


def _sinker(argv: Sequence[str]) -> int:
    from prow_async.apps import sinker

    return sinker.main(argv)


def _horologium(argv: Sequence[str]) -> int:
    from prow_async.apps import horologium

    return horologium.main(argv)


def _up(argv: Sequence[str]) -> int:
    from prow_async.apps import all_in_one

    return all_in_one.main(argv)


def _demo(argv: Sequence[str]) -> int:
    from prow_async.apps import demo

    return demo.main(argv)


def _mkpj(argv: Sequence[str]) -> int:
    from prow_async.apps import mkpj

    return mkpj.main(argv)


def _mkpod(argv: Sequence[str]) -> int:
    from prow_async.apps import mkpod

    return mkpod.main(argv)


def _checkconfig(argv: Sequence[str]) -> int:
    from prow_async.apps import checkconfig

    return checkconfig.main(argv)


def _run(argv: Sequence[str]) -> int:
    gc.disable()  # until all is loaded (see there): what is loaded stays, and would be looked through again and again
    from prow_async.apps import run

    return run.main(argv)


def _preview(argv: Sequence[str]) -> int:
    from prow_async.apps import preview

    return preview.main(argv)


def _explain(argv: Sequence[str]) -> int:
    if any(word[:1] != "-" and "#" in word for word in argv):
        from prow_async.apps import explain_pull

        return explain_pull.main(argv)
    from prow_async.apps import explain_job

    return explain_job.main(argv)


def _commands(argv: Sequence[str]) -> int:
    from prow_async.apps import commands

    return commands.main(argv)


def _inbox(argv: Sequence[str]) -> int:
    from prow_async.apps import inbox

    return inbox.main(argv)


def _phony(argv: Sequence[str]) -> int:
    from prow_async.apps import phony

    return phony.main(argv)


def _hmac(argv: Sequence[str]) -> int:
    from prow_async.apps import hmac_tokens

    return hmac_tokens.main(argv)


def _clonerefs(argv: Sequence[str]) -> int:
    from prow_async.podutils import clonerefs

    return clonerefs.main(argv, os.environ)


def _initupload(argv: Sequence[str]) -> int:
    from prow_async.podutils import initupload

    return initupload.main(argv, os.environ)


def _entrypoint(argv: Sequence[str]) -> int:
    from prow_async.podutils import entrypoint

    return entrypoint.main(argv, os.environ)


def _sidecar(argv: Sequence[str]) -> int:
    from prow_async.podutils import sidecar

    return sidecar.main(argv, os.environ)


def _gcsupload(argv: Sequence[str]) -> int:
    from prow_async.podutils import gcsupload

    return gcsupload.main(argv, os.environ)


COMMANDS: dict[str, tuple[Main, str]] = {
    "up": (_up, "run everything in one process, on the embedded default or on your own parts"),
    "demo": (_demo, "run one job's whole life on the embedded default, tell it, exit (what `make run` does)"),
    "hook": (_hook, "receive webhooks, run plugins"),
    "controller-manager": (_controller_manager, "run ProwJobs as pods"),
    "crier": (_crier, "report ProwJobs to GitHub"),
    "sinker": (_sinker, "sweep away what is finished and old"),
    "horologium": (_horologium, "start periodic jobs"),
    "run": (_run, "run one job of a configuration here, or its pod on a cluster"),
    "checkconfig": (_checkconfig, "check a configuration and warn of what it may not mean"),
    "preview": (_preview, "show every ProwJob and pod of a configuration, and what a change of it does"),
    "explain": (_explain, "say how a ProwJob stands, or why the jobs of a pull request did or did not run"),
    "mkpj": (_mkpj, "make the ProwJob of one configured job"),
    "mkpod": (_mkpod, "make the pod of a ProwJob"),
    "commands": (_commands, "print every command of every plugin, in Markdown"),
    "inbox": (_inbox, "look at the deliveries a hook has; replay and drop them"),
    "phony": (_phony, "send a webhook of your own making to a hook"),
    "hmac": (_hmac, "make and rotate webhook secrets, and the webhooks that use them"),
    "clonerefs": (_clonerefs, "in a pod: clone a job's code"),
    "initupload": (_initupload, "in a pod: upload what is known of a run before its tests"),
    "entrypoint": (_entrypoint, "in a pod: run a test, keep its output and exit code"),
    "sidecar": (_sidecar, "in a pod: wait for the tests, upload what they leave behind"),
    "gcsupload": (_gcsupload, "in a pod: upload files and folders to where a run's files lie"),
}


def usage() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {text}" for name, (_, text) in COMMANDS.items()]
    return "\n".join(
        ["usage: prow-async COMMAND [flags]", "", *lines, "", "prow-async COMMAND --help lists its flags."]
    )


def run(argv: Sequence[str]) -> int:
    """Run one command; return the exit code: 0 well, 1 a configuration does not load, 2 it cannot start as asked."""
    if not argv or argv[0] in {"-h", "-help", "--help", "help"}:
        print(usage())
        return 0 if argv else 2
    command = COMMANDS.get(argv[0])
    if command is None:
        print(f"prow-async: no such command: {argv[0]} (see prow-async --help)", file=sys.stderr)
        return 2
    try:
        return command[0](argv[1:])
    except flags.Help as asked:
        print(asked.text)
        return 0
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # sorted below; what is none of ours is raised again
        return _tell(argv[0], error)


def _tell(command: str, error: Exception) -> int:
    """Print what stopped a command, for people; raise it again when it is a bug."""
    found = _leaves(error)
    if all(isinstance(one, BrokenPipeError) for one in found):
        return _unread()
    if all(isinstance(one, ConfigErrors) for one in found):
        for one in found:
            print(f"prow-async {command}: the configuration does not load:\n{one}", file=sys.stderr)
        return 1
    if all(isinstance(one, CannotStart) for one in found):
        for one in found:
            print(f"prow-async {command}: {str(one).removeprefix(f'prow-async {command}: ')}", file=sys.stderr)
        return 2
    if all(isinstance(one, BrokenPipeError) for one in found):
        raise found[0]
    raise error


def _unread() -> int:
    """Write nothing more: whoever read what we print has gone (`| head`). That ends a program, and is no mistake."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)
    return 128 + signal.SIGPIPE


def _leaves(error: BaseException) -> list[BaseException]:
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [leaf for one in error.exceptions for leaf in _leaves(one)]


def main() -> None:
    """Entry point of the console script."""
    try:
        code = run(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        code = _unread()
    gc.freeze()  # the interpreter would look through all that was loaded once more, for some 20 ms
    sys.exit(code)
