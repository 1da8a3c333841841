"""What has to stand before anything is cloned: SSH keys, known hosts, tokens, cookies.

Source: upstream pkg/clonerefs/run.go (createRecords).
"""

import contextlib
import os
import shlex
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from prow_async.api.clonerecords import NO_REFS, Command, Record
from prow_async.api.podoptions import CloneRefsOptions
from prow_async.core import clone
from prow_async.podutils import clone_run, clone_token, logs

_FOREIGN = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_TRACE_REDACT",
)
"""Variables that would lead git to another repository, or to tell secrets."""
_FIXED = {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"}
_SETTINGS = (("protocol.ext.allow", "never"), ("core.askPass", "true"), ("gc.auto", "0"), ("maintenance.auto", "false"))
_FILE_BYTES = 1 << 20
_AGENT_LINES = 16


class SetupFailed(Exception):
    """Nothing can be cloned. The message is for people, and already in the record's last command."""


class Setup:
    """What all clones share, and the commands that made it. Fields are final once `prepared` hands it over."""

    def __init__(self, options: CloneRefsOptions, runner: clone_run.Runner, log: logs.Log) -> None:
        self.env: clone.Variables = ()
        self.settings: clone.Variables = ()
        self.tokens: clone_token.Tokens = clone_token.NoTokens()
        self._options = options
        self._runner = runner
        self._log = log
        self._commands: list[Command] = []

    def record(self, failed: bool = False) -> Record:
        """Return the record of setting up."""
        return Record(NO_REFS, tuple(self._commands), failed)

    def prepare(self, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
        """Do it all, and yield each process that has to run as long as clones do. Raises SetupFailed.

        Args:
            folder: a private one, for sockets and files that end with us.
        """
        options = self._options
        if options.key_files:
            yield self._start_agent(folder)
            for path in options.key_files:
                self._add_keys(Path(path))
        if options.host_fingerprints:
            self._know_hosts(folder)
        self._find_tokens()
        if options.cookie_path:
            self._use_cookies()

    def _start_agent(self, folder: Path) -> subprocess.Popen[bytes]:
        argv = ("ssh-agent", "-D", "-a", str(folder / "agent"))
        begun = time.monotonic_ns()
        try:
            agent = self._runner.start(argv, "/", self._runner.environment({}))
        except (OSError, clone_run.Stopped) as error:
            raise self._failed("ssh-agent", f"the SSH agent cannot be started: {error}") from error
        said = _until_ready(agent)
        found = [part.strip() for part in said.split(";") if part.strip().startswith("SSH_AUTH_SOCK=")]
        if not found:
            _end(agent, self._runner)
            raise self._failed("ssh-agent", "the SSH agent does not start", said)
        self._done("ssh-agent", said, begun)
        self._log.info("Started SSH agent")
        self.env = (("SSH_AUTH_SOCK", found[0].partition("=")[2]), ("SSH_AGENT_PID", str(agent.pid)))
        return agent

    def _add_keys(self, path: Path) -> None:
        try:
            files = list(_key_files(path))
        except OSError as error:
            raise self._failed(f'ssh-add "{path}"', f"SSH keys cannot be read: {error}") from error
        for file in files:
            begun = time.monotonic_ns()
            command = clone.Command(("ssh-add", str(file)), "/", self.env)
            outcome = self._runner.run(command, {})
            if outcome.error:
                raise self._failed(f'ssh-add "{file}"', f"{outcome.error}: SSH key {file} is refused", outcome.output)
            self._done(f'ssh-add "{file}"', outcome.output, begun)
            self._log.info("Added SSH key", path=str(file))

    def _know_hosts(self, folder: Path) -> None:
        path = folder / "known_hosts"
        begun = time.monotonic_ns()
        path.write_text("".join(f"{line.rstrip()}\n" for line in self._options.host_fingerprints))
        self._done(f'write "{path}"', "", begun)
        ssh = shutil.which("ssh", path=self._runner.environment({}).get("PATH"))
        if ssh is None:
            raise self._failed("which ssh", "ssh is not there: install it, or put it on PATH")
        self._done("which ssh", ssh, begun)
        self.env += (("GIT_SSH_COMMAND", f"{shlex.quote(ssh)} -o UserKnownHostsFile={shlex.quote(str(path))}"),)

    def _find_tokens(self) -> None:
        options = self._options
        if options.oauth_token_file:
            token = self._secret(options.oauth_token_file, "OAuth token")
            self.tokens = clone_token.OneToken(token)
        elif options.github_app_id:
            key = self._secret(options.github_app_private_key_file, "GitHub App private key")
            try:
                from prow_async.podutils import clone_app

                app = clone_app.App(options.github_app_id, key, options.github_api_endpoints)
                self.tokens = clone_app.AppTokens(app, self._runner, self._log.censor)
            except clone_token.NoToken as error:
                raise self._failed(f"GitHub App {options.github_app_id}", str(error)) from error

    def _secret(self, path: str, what: str) -> str:
        try:
            with open(path, "rb") as file:
                text = file.read(_FILE_BYTES).decode().strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not text"
            raise self._failed(f'read "{path}"', f"the {what} cannot be read from {path}: {why}") from error
        self._log.censor.add([text])
        if not text:
            raise self._failed(f'read "{path}"', f"the {what} in {path} is empty")
        return text

    def _use_cookies(self) -> None:
        """Let git send cookies; submodules' commands too, which know no repository's own settings."""
        path = self._options.cookie_path
        if not os.access(path, os.R_OK):
            self._log.warning("Cannot read http cookiefile", path=path)
        if all(refs.skip_submodules for refs in self._options.refs):
            return
        self.settings += (("http.cookiefile", path),)
        self._done(f'git setting http.cookiefile="{path}"', "", time.monotonic_ns())

    def _done(self, command: str, output: str, begun_ns: int) -> None:
        censor = self._log.censor
        self._commands.append(Command(censor(command), censor(output), duration=time.monotonic_ns() - begun_ns))

    def _failed(self, command: str, why: str, output: str = "") -> SetupFailed:
        censor = self._log.censor
        self._commands.append(Command(censor(command), censor(output), censor(why)))
        return SetupFailed(censor(why))


@contextlib.contextmanager
def prepared(options: CloneRefsOptions, runner: clone_run.Runner, log: logs.Log) -> Iterator[tuple[Setup, str]]:
    """Set up what clones need, for as long as the block runs. Gives the setup, and why it failed ("" when well)."""
    running: list[subprocess.Popen[bytes]] = []
    with tempfile.TemporaryDirectory(prefix="clonerefs-") as folder:
        setup = Setup(options, runner, log)
        why = ""
        try:
            try:
                for process in setup.prepare(Path(folder)):
                    running.append(process)  # noqa: PERF402 - what runs must be known even when the rest fails
            except SetupFailed as failed:
                why = str(failed)
            yield setup, why
        finally:
            for process in running:
                _end(process, runner)


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of every command: the given one, made safe for git."""
    env = {name: value for name, value in environ.items() if name not in _FOREIGN} | _FIXED
    return env | with_settings(env, _SETTINGS)


def with_settings(env: Mapping[str, str], settings: clone.Variables) -> dict[str, str]:
    """Return the variables that give git more settings, after those which the environment gives already."""
    given = env.get("GIT_CONFIG_COUNT", "")
    first = int(given) if given.isascii() and given.isdigit() and len(given) < 5 else 0
    out = {"GIT_CONFIG_COUNT": str(first + len(settings))}
    for number, (key, value) in enumerate(settings, first):
        out[f"GIT_CONFIG_KEY_{number}"], out[f"GIT_CONFIG_VALUE_{number}"] = key, value
    return out


def _end(agent: subprocess.Popen[bytes], runner: clone_run.Runner) -> None:
    runner.end(agent)
    if agent.stdout is not None:
        agent.stdout.close()


def _until_ready(agent: subprocess.Popen[bytes]) -> str:
    """Return what an agent says until its socket is open, or until it ends."""
    assert agent.stdout is not None
    said = b""
    for _ in range(_AGENT_LINES):
        line = agent.stdout.readline(4096)
        said += line
        if not line or b"echo Agent pid" in line or b"SSH_AUTH_SOCK" in line:
            break
    return said.decode(errors="replace")


def _key_files(path: Path) -> Iterator[Path]:
    """Yield the files at a path, or below it, but for what Kubernetes' own links in a volume lead to."""
    if not stat.S_ISDIR(path.stat().st_mode):
        yield path
        return
    for name in sorted(os.listdir(path)):
        if not name.startswith(".."):
            yield from _key_files(path / name)
