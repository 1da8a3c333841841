"""explain ORG/REPO#N [JOB]: why the jobs of a pull request did or did not run, as hook decided it.

A running hook answers; without one, what its inbox's folder keeps is read and decided again here.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import aiohttp

from prow_async.actors.explainer import Explainer
from prow_async.adapters import clock as clocks
from prow_async.adapters import decisions as decisions_file
from prow_async.adapters.metrics import PrometheusMetrics
from prow_async.api.errors import CannotStart, Retry
from prow_async.apps import flags, process
from prow_async.apps.flags import Flag
from prow_async.plugins import trigger
from prow_async.ports.plugin import Reads

PROGRAM = "prow-async explain"
FLAGS = (
    Flag("hook", "str", "http://localhost:9090", "where hook (or `up`) serves its metrics"),
    Flag("inbox-dir", "str", "", "read this folder of an inbox instead of asking a running hook"),
    Flag("now", "bool", False, "tell as well what a push at this moment would start (asks GitHub, through hook)"),
)
_PLACE = re.compile(r"([A-Za-z0-9_.-]+)/([A-Za-z0-9_.-]+)#([0-9]{1,9})")


def is_pull(word: str) -> bool:
    """True when a word names a pull request rather than a ProwJob."""
    return "#" in word or "/" in word


def main(argv: Sequence[str]) -> int:
    parsed = flags.parse(PROGRAM, FLAGS, argv)
    words = parsed.words
    place = _PLACE.fullmatch(words[0]) if words else None
    if place is None or len(words) > 2 or words[-1].startswith("-"):
        raise CannotStart("usage: prow-async explain [flags] ORG/REPO#NUMBER [JOB]; flags come first")
    job = words[1] if len(words) == 2 else ""
    org, repo, number = place[1], place[2], int(place[3])
    if parsed["inbox-dir"]:
        if parsed["now"]:
            raise CannotStart("--now asks GitHub through a running hook: leave --inbox-dir away")
        print(process.run_loop(_from_folder, Path(parsed["inbox-dir"]), (org, repo, number), job), end="")
        return 0
    query = f"?job={quote(job, safe='')}&now={'true' if parsed['now'] else 'false'}"
    address = f"{parsed['hook'].rstrip('/')}/explain/{org}/{repo}/{number}{query}"
    print(process.run_loop(_from_hook, address, parsed["hook"]), end="")
    return 0


async def _from_hook(address: str, hook: str) -> str:
    try:
        timeout = aiohttp.ClientTimeout(total=60)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(address) as answer:
            text = await answer.text()
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise CannotStart(
            f"no hook answers at {hook} ({str(error) or type(error).__name__}): name it with --hook, or its inbox's"
            " folder with --inbox-dir"
        ) from error
    if answer.status != 200:
        raise CannotStart(f"{hook} answers {answer.status}: {text.strip()[:500]}")
    return text


async def _from_folder(folder: Path, pull: tuple[str, str, int], job: str) -> str:
    path = folder / decisions_file.NAME
    if not path.is_file():
        raise CannotStart(f"{path} is not there: hook keeps its decisions beside its inbox (--inbox-dir)")
    async with decisions_file.opened(path, clocks.SystemClock(), PrometheusMetrics()) as kept:
        try:
            return await Explainer((trigger.PLUGIN,), kept, _no_reads).pull(*pull, job)
        except Retry as error:
            trouble = error
    raise CannotStart(f"{path}: {trouble.why}") from trouble


def _no_reads() -> Reads:
    raise AssertionError("unreachable: only a question about now reads")
