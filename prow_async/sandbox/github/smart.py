"""git over HTTP: what a git client asks of `http://HOST/ORG/REPO.git`, decided without a socket.

Source: gitprotocol-http(5), gitprotocol-v2(5); GitHub's answers to those who may not.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from functools import partial
from typing import IO, Any, Literal

import msgspec

from prow_async.sandbox.github import guarding, landing
from prow_async.sandbox.github.git.command import Git
from prow_async.sandbox.github.ground import alone, git_of
from prow_async.sandbox.github.records import Repository
from prow_async.sandbox.github.refusal import Refusal
from prow_async.sandbox.github.steps import Steps, ask
from prow_async.sandbox.github.world import World

Service = Literal["git-upload-pack", "git-receive-pack"]
_PATH = re.compile(r"/([^/]+)/([^/]+?)(?:\.git)?/(info/refs|git-upload-pack|git-receive-pack)")
_SERVICES: dict[str, Service] = {"git-upload-pack": "git-upload-pack", "git-receive-pack": "git-receive-pack"}
_PROTOCOL = re.compile(r"[a-z0-9=.:]{1,64}")
_NO_CACHE = {"cache-control": "no-cache, max-age=0, must-revalidate", "expires": "Fri, 01 Jan 1980 00:00:00 GMT"}
PUSH_LIMIT_S = 1800.0
"""So long git may take to read a push."""
ASK_LIMIT_BYTES = 32 * 1024 * 1024
"""What a fetch may send, unpacked: a list of commits wanted and had."""


class GitCall(msgspec.Struct, frozen=True):
    """A request of a git client that may go on. `login` is empty for nobody in particular."""

    repo: Repository
    git: Git
    service: Service
    advertise: bool
    login: str
    protocol: str

    @property
    def answer_type(self) -> str:
        kind = "advertisement" if self.advertise else "result"
        return f"application/x-{self.service}-{kind}"

    @property
    def headers(self) -> dict[str, str]:
        return {"content-type": self.answer_type, **_NO_CACHE}

    @property
    def preface(self) -> bytes:
        """What comes before git's own words: the name of the service, but for protocol 2."""
        if not self.advertise or (self.service == "git-upload-pack" and "version=2" in self.protocol.split(":")):
            return b""
        line = f"# service={self.service}\n"
        return f"{len(line) + 4:04x}{line}0000".encode()

    @property
    def arguments(self) -> list[str]:
        """git's arguments; it reads the request's body and writes the answer's."""
        verb = self.service.removeprefix("git-")
        options = ["--stateless-rpc", *(["--http-backend-info-refs"] if self.advertise else [])]
        return [verb, *options, str(self.git.folder)]

    @property
    def environment(self) -> dict[str, str]:
        return {"GIT_PROTOCOL": self.protocol} if self.protocol else {}


def find(world: World, method: str, target: str, headers: Mapping[str, str], now_s: float) -> GitCall | None:
    """Recognise a git client's request; None when it is none. Header names are lower-case.

    Raises Refusal: 401 for who has to say who they are, 403, 404, 415.
    """
    path, _, query = target.partition("?")
    found = _PATH.fullmatch(path)
    if found is None or world.git is None:
        return None
    org, name, what = found.groups()
    service = _SERVICES.get(query.removeprefix("service=") if what == "info/refs" else what)
    if service is None or method != ("GET" if what == "info/refs" else "POST"):
        raise Refusal(403, "Please upgrade your git client.")
    if method == "POST" and headers.get("content-type", "") != f"application/x-{service}-request":
        raise Refusal(415, "Unsupported Media Type")
    token = _token(headers.get("authorization", ""))
    login = _login(world, token, now_s)
    repo = world.repo(org, name)
    scope = world.scope_of(token)
    elsewhere = scope is not None and repo.org.lower() != scope[1]
    role = world.permission(repo, login) if login and not elsewhere else None
    if repo.private and role is None:
        raise Refusal(404, "Repository not found.") if login else Refusal(401, "Repository not found.")
    if service == "git-receive-pack" and not login:
        raise Refusal(401, "No anonymous write access.")
    if service == "git-receive-pack" and role not in ("push", "maintain", "admin"):
        raise Refusal(403, f"Permission to {repo.full_name}.git denied to {login}.")
    protocol = headers.get("git-protocol", "")
    git = git_of(world, repo)
    return GitCall(repo, git, service, what == "info/refs", login, protocol if _PROTOCOL.fullmatch(protocol) else "")


def _token(authorization: str) -> str:
    """Return the token that was sent, as Bearer, token or the password of Basic; empty when none was."""
    scheme, _, rest = authorization.strip().partition(" ")
    token = rest.strip()
    if scheme.lower() == "basic":
        try:
            user, _, password = base64.b64decode(token, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise Refusal(401, "Bad credentials") from None
        token = password if password not in ("", "x-oauth-basic") else user
    if authorization and not token:
        raise Refusal(401, "Invalid username or token.")
    return token


def _login(world: World, token: str, now_s: float) -> str:
    """Return whose token it is; empty for none. Raises Refusal (401) for a token the world does not know."""
    login = world.login_of(token, now_s) if token else ""
    if login is None:
        raise Refusal(401, "Invalid username or token.")
    return login


def receive(world: World, call: GitCall, body: IO[bytes], now_s: float) -> Steps[bytes]:
    """Take a push whose body lies in a file; return git's report. All that came of it has been told by then.

    Raises Refusal (400) for a body that git cannot read at all.
    """
    assert world.git is not None, "found only where there is git"
    git = yield from alone(world, call.repo)
    limit: tuple[str, ...] = ("-c", f"receive.maxInputSize={world.git.push_limit_bytes}")
    any_code = range(-64, 256)  # what it ends with matters less than its report, which says which ref failed and why
    about: dict[str, Any] = {"input": body, "env": call.environment, "ok": any_code, "timeout_s": PUSH_LIMIT_S}
    protected = guarding.protected(world, call.repo, call.login)
    if protected:
        hooks = yield from ask(partial(guarding.hooks, git.folder))
        limit += ("-c", f"core.hooksPath={hooks}")
        about["env"] |= {"PROTECTED": protected}
    code, report = yield from ask(partial(git.run_coded, *limit, *call.arguments, **about))
    yield from landing.settle(world, call.repo, call.login, now_s)
    if code and not report:
        raise Refusal(400, "The push could not be read.")
    return report
