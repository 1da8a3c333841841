"""Asks GitHub what a pull request is made of, for `prow-async run`."""

from prow_async.adapters import logs
from prow_async.api.errors import CannotStart, ProwError
from prow_async.apps import flags, mkpj, process
from prow_async.core import mkpj as decide


def complete(program: str, found: decide.Found, wanted: decide.Code, parsed: flags.Flags) -> decide.Code:
    """Complete what is said of a pull request. Raises CannotStart."""

    async def ask(shell: process.Shell) -> decide.Code:
        async with process.connect_github(shell) as github:
            try:
                return await mkpj.from_github(github, found, wanted)
            except ProwError as error:
                where = f"{found.repo}#{wanted.pull_number}"
                raise CannotStart(f"{program}: GitHub does not say what {where} is made of: {error}") from error

    answer: decide.Code = process.run_loop(ask, process.new_shell("run", parsed, logs.Censor()))
    return answer
