"""Cloning over HTTP from git's own server program: tokens, cookies, retries, redirects."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from prow_async.api.prowjob import Pull
from prow_async.podutils import clone_run
from tests import githttp, gitrepo
from tests.contract.clonerefs_parts import Place, main_at, refs

TOKEN = "ghp_a+secret/1234567890"
BASIC = "Basic " + base64.b64encode(f"{TOKEN}:x-oauth-basic".encode()).decode()
PATH = "github.com/o/r"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def server(place: Place) -> Iterator[githttp.GitServer]:
    with githttp.serving(place.origins) as server:
        yield server


def token_file(place: Place) -> str:
    path = place.home / "token"
    path.write_text(f"{TOKEN}\n")
    return str(path)


def assert_no_secret(place: Place, text: str, secret: str = TOKEN) -> None:
    """The secret is neither in a text nor in what was cloned, in no form."""
    forms = [secret, base64.b64encode(secret.encode()).decode(), base64.b64encode(f"{secret}:".encode()).decode()[:-4]]
    for form in forms:
        assert form not in text
        for path in place.root.rglob("*"):
            if path.is_file():
                assert form.encode() not in path.read_bytes(), path


def test_a_token_opens_the_repository_and_shows_nowhere(place: Place, server: githttp.GitServer) -> None:
    origin = place.origin()
    base = main_at(origin, origin.commit({"a": "1\n"}))
    pull = Pull(1, "ann", origin.commit({"b": "1\n"}, base))
    server.wants["/o/r.git"] = {"Authorization": BASIC}
    one = refs(origin, base, pull, clone_uri=f"{server.url}/o/r.git")
    assert "it asks for credentials, and there are none or they are refused" in place.clone(one).error
    ran = place.clone(one, oauth_token_file=token_file(place))
    assert not ran.clone.failed, ran.error
    assert_no_secret(place, ran.everything)
    fetches = [command.command for command in ran.clone.commands if " git fetch " in command.command]
    assert [line.partition(" git ")[2] for line in fetches] == [
        f"fetch {server.url}/o/r.git --tags --prune",
        f"fetch {server.url}/o/r.git {base}",
        f"fetch {server.url}/o/r.git {pull.sha}",
    ]


def test_a_token_opens_what_a_blobless_clone_leaves_for_later(place: Place, server: githttp.GitServer) -> None:
    origin = place.origin()
    base = main_at(origin, origin.commit({"a": "1\n"}))
    server.wants["/o/r.git"] = {"Authorization": BASIC}
    one = refs(origin, base, clone_uri=f"{server.url}/o/r.git", blobless_fetch=True)
    ran = place.clone(one, oauth_token_file=token_file(place))
    assert not ran.clone.failed, ran.error
    assert_no_secret(place, ran.everything)


def test_a_user_in_the_address_gives_way_to_the_token(place: Place, server: githttp.GitServer) -> None:
    origin = place.origin()
    base = main_at(origin, origin.commit({"a": "1\n"}))
    server.wants["/o/r.git"] = {"Authorization": BASIC}
    address = f"http://ann:old@{server.url.removeprefix('http://')}/o/r.git"
    ran = place.clone(refs(origin, base, clone_uri=address), oauth_token_file=token_file(place))
    assert not ran.clone.failed, ran.error


def test_a_refused_token_is_told_and_censored(place: Place, server: githttp.GitServer) -> None:
    origin = place.origin()
    server.wants["/o/r.git"] = {"Authorization": "Basic other"}
    ran = place.clone(refs(origin, clone_uri=f"{server.url}/o/r.git"), oauth_token_file=token_file(place))
    assert "it asks for credentials, and there are none or they are refused" in ran.error
    assert_no_secret(place, ran.everything)


def test_submodules_do_not_get_the_token_that_a_pull_could_send_anywhere(
    place: Place, server: githttp.GitServer
) -> None:
    other = place.origin("o/sub")
    inner = main_at(other, other.commit({"s": "1\n"}))
    origin = place.origin()
    base = main_at(origin, _with_submodule(origin, f"{server.url}/o/sub.git", inner))
    ran = place.clone(refs(origin, base, clone_uri=f"{server.url}/o/r.git"), oauth_token_file=token_file(place))
    assert not ran.clone.failed, ran.error
    assert (place.root / "src" / PATH / "sub/s").read_text() == "1\n"
    sent = {path: auth for path, auth, _ in server.seen}
    assert sent["/o/r.git/git-upload-pack"] == BASIC
    assert sent["/o/sub.git/git-upload-pack"] == ""


def _with_submodule(origin: gitrepo.Origin, url: str, sha: str) -> str:
    """Commit a submodule `sub` on top of nothing."""
    listed = f'[submodule "sub"]\n\tpath = sub\n\turl = {url}\n'
    tree = gitrepo.git(origin.folder, "rev-parse", f"{origin.commit({'.gitmodules': listed, 'a': '1'})}^{{tree}}")
    entries = gitrepo.git(origin.folder, "ls-tree", tree)
    made = gitrepo.git(origin.folder, "mktree", "--missing", text=f"{entries}\n160000 commit {sha}\tsub\n")
    return gitrepo.git(origin.folder, "commit-tree", made, "-m", "submodule")


def cookie_file(place: Place) -> str:
    path = place.home / "cookies"
    path.write_text("127.0.0.1\tFALSE\t/\tFALSE\t2147483647\tsession\ts3cr3t-cookie\n")
    return str(path)


@pytest.mark.parametrize("skip_submodules", [False, True])
def test_cookies_open_repositories_and_their_submodules(
    place: Place, server: githttp.GitServer, skip_submodules: bool
) -> None:
    other = place.origin("o/sub")
    inner = main_at(other, other.commit({"s": "1\n"}))
    origin = place.origin()
    base = main_at(origin, _with_submodule(origin, f"{server.url}/o/sub.git", inner))
    server.wants["/"] = {"Cookie": "session=s3cr3t-cookie"}
    one = refs(origin, base, clone_uri=f"{server.url}/o/r.git", skip_submodules=skip_submodules)
    ran = place.clone(one, cookie_path=cookie_file(place))
    assert not ran.clone.failed, ran.error
    assert (place.root / "src" / PATH / "sub/s").exists() is not skip_submodules
    configured = [c for c in ran.clone.commands if f"git config http.cookiefile {cookie_file(place)}" in c.command]
    assert len(configured) == skip_submodules
    assert bool(ran.records[0].commands) is not skip_submodules
    assert "s3cr3t-cookie" not in ran.everything


def test_a_missing_cookie_file_warns(place: Place) -> None:
    origin = place.origin()
    base = main_at(origin, origin.commit({"a": "1\n"}))
    ran = place.clone(refs(origin, base), cookie_path=str(place.home / "none"))
    assert not ran.clone.failed
    assert [line["msg"] for line in ran.lines if line["level"] == "warning"] == ["Cannot read http cookiefile"]


def test_fetches_are_tried_again_after_trouble(place: Place, server: githttp.GitServer) -> None:
    origin = place.origin()
    base = main_at(origin, origin.commit({"a": "1\n"}))
    server.trouble = [503, 500]
    one = refs(origin, base, clone_uri=f"{server.url}/o/r.git", skip_fetch_head=True)
    options = place.options(one)
    ran = place.run(options, clone_run.Limits(waits_s=(0.0, 0.0, 0.0)))
    assert not ran.clone.failed, ran.error
    assert server.trouble == []


def test_trouble_that_stays_is_told_with_the_number_of_tries(place: Place, server: githttp.GitServer) -> None:
    origin = place.origin()
    server.trouble = [503] * 100
    ran = place.run(
        place.options(refs(origin, clone_uri=f"{server.url}/o/r.git")), clone_run.Limits(waits_s=(0.0,) * 3)
    )
    assert ran.error == (
        f"exit status 128 (4 tries): main: {server.url}/o/r.git: it cannot be reached, or the connection broke"
    )
    assert len(server.seen) == 4


def test_a_server_that_is_not_there_is_told(place: Place, server: githttp.GitServer) -> None:
    url = server.url
    server.shutdown()
    server.server_close()
    ran = place.clone(refs(place.origin(), clone_uri=f"{url}/o/r.git"))
    assert ran.error.endswith("it cannot be reached, or the connection broke")


def test_a_renamed_repository_is_followed_with_the_token(place: Place, server: githttp.GitServer) -> None:
    origin = place.origin("o/new")
    base = main_at(origin, origin.commit({"a": "1\n"}))
    server.moved["/o/r.git"] = "/o/new.git"
    server.wants["/o/new.git"] = {"Authorization": BASIC}
    one = refs(origin, base, clone_uri=f"{server.url}/o/r.git")
    ran = place.clone(one, oauth_token_file=token_file(place))
    assert not ran.clone.failed, ran.error


@pytest.mark.parametrize(
    ("text", "said"), [(None, "No such file or directory"), (b"\n", "is empty"), (b"\xff\xfe", "it is not text")]
)
def test_a_token_file_that_is_no_good_fails_the_setup(place: Place, text: bytes | None, said: str) -> None:
    path = place.home / "token"
    if text is not None:
        path.write_bytes(text)
    ran = place.clone(refs(place.origin()), oauth_token_file=str(path))
    assert ran.code == 0
    assert [record.failed for record in ran.records] == [True]
    assert said in ran.records[0].commands[-1].error
    assert json.loads(place.log.read_bytes())[0]["refs"] == {"org": "", "repo": ""}
