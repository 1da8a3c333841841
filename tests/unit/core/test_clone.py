"""Which commands clone refs, what must not be cloned, and how failures are told."""

import json

import msgspec
import pytest

from prow_async.api import clonerecords, podoptions
from prow_async.api.clonerecords import Command, Record
from prow_async.api.errors import CannotStart
from prow_async.api.prowjob import Pull, Refs
from prow_async.core import clone, clone_check, clone_flags, clone_told, podflags

SHA = "0123456789" * 4
REFS = Refs("o", "r", base_ref="main")
URI = "https://github.com/o/r.git"


def said(commands: list[clone.Command]) -> list[str]:
    return [" ".join(command.argv) for command in commands]


def plan(**changes: object) -> clone.Plan:
    refs = msgspec.structs.replace(REFS, **changes)
    return clone.Plan(refs, "/go/src/github.com/o/r", clone.uri_for(refs))


def test_without_a_sha_the_branch_is_fetched_and_its_head_checked_out() -> None:
    assert said(plan().base(clone.Who())) == [
        "mkdir -p /go/src/github.com/o/r",
        "git init",
        f"git fetch {URI} --tags --prune",
        f"git fetch {URI} main",
        "git checkout FETCH_HEAD",
        "git branch --force main FETCH_HEAD",
        "git checkout main",
    ]


@pytest.mark.parametrize(
    ("changes", "fetches"),
    [
        ({"clone_depth": 5}, [f"--depth 5 {URI} --tags --prune", f"--depth 5 {URI} main"]),
        ({"clone_depth": -1}, [f"{URI} --tags --prune", f"{URI} main"]),
        ({"blobless_fetch": True}, [f"--filter=blob:none {URI} --tags --prune", f"--filter=blob:none {URI} main"]),
        ({"blobless_fetch": False}, [f"{URI} --tags --prune", f"{URI} main"]),
        ({"skip_fetch_head": True, "base_sha": SHA}, [f"{URI} {SHA}"]),
        (
            {"sparse_checkout_files": ("a", "b"), "clone_depth": 9},
            [f"--depth 1 --filter=blob:none --no-tags {URI} main"],
        ),
    ],
)
def test_fetches_of_the_base(changes: dict[str, object], fetches: list[str]) -> None:
    found = said(plan(**changes).base(clone.Who()))
    assert [line.removeprefix("git fetch ") for line in found if line.startswith("git fetch")] == fetches


def test_sparse_checkouts_are_set_up_around_the_fetch() -> None:
    found = said(plan(sparse_checkout_files=("a", "b c")).base(clone.Who("ann", "a@b", "/cookies")))
    assert found[1:6] == [
        "git init",
        "git config user.name ann",
        "git config user.email a@b",
        "git sparse-checkout init",
        f"git fetch --depth 1 --filter=blob:none --no-tags {URI} main",
    ]
    assert found[6] == "git sparse-checkout set a b c"


def test_pulls_are_fetched_by_ref_then_sha_then_number_and_never_cut_short() -> None:
    pulls = (Pull(1, sha=SHA, ref="refs/changes/1"), Pull(2, sha=SHA), Pull(3))
    made = plan(pulls=pulls, clone_depth=1, blobless_fetch=True)
    assert said(made.pulls(100)) == [
        f"git fetch --filter=blob:none {URI} refs/changes/1",
        f"git merge --no-ff {SHA}",
        f"git fetch --filter=blob:none {URI} {SHA}",
        f"git merge --no-ff {SHA}",
        f"git fetch --filter=blob:none {URI} pull/3/head",
        "git merge --no-ff FETCH_HEAD",
        "git submodule update --init --recursive",
    ]
    merges = [command for command in made.pulls(100) if command.step == "merge"]
    assert [dict(command.env)["GIT_AUTHOR_DATE"] for command in merges] == ["101", "102", "103"]
    assert str(merges[0]) == (
        f"PWD=/go/src/github.com/o/r GIT_AUTHOR_DATE=101 GIT_COMMITTER_DATE=101 git merge --no-ff {SHA}"
    )


@pytest.mark.parametrize("changes", [{"skip_submodules": True}, {"sparse_checkout_files": ("a",)}])
def test_submodules_can_be_left_out(changes: dict[str, object]) -> None:
    assert said(plan(**changes).pulls(1)) == []


@pytest.mark.parametrize(
    ("refs", "folder", "uri"),
    [
        (REFS, "/go/src/github.com/o/r", URI),
        (Refs("o", "r", path_alias="k8s.io/x"), "/go/src/k8s.io/x", URI),
        (
            Refs("https://g.example.com", "x/y", repo_link="https://g.example.com/x/y"),
            "/go/src/g.example.com/x/y",
            "https://g.example.com/x/y.git",
        ),
        (Refs("o", "r", clone_uri="git@h:o/r"), "/go/src/github.com/o/r", "git@h:o/r"),
        (Refs("o", "r", repo_link="http://h/x", clone_uri="u", path_alias="a//b/"), "/go/src/a/b", "u"),
    ],
)
def test_paths_and_addresses(refs: Refs, folder: str, uri: str) -> None:
    assert clone.folder_for(refs, "/go") == folder
    assert clone.folder_for(refs, "//go/") == folder
    assert clone.uri_for(refs) == uri


@pytest.mark.parametrize(
    ("uri", "bare"),
    [
        ("https://github.com/o/r.git", "https://github.com/o/r.git"),
        ("HTTPS://ann:pw@h:8443/o/r", "HTTPS://h:8443/o/r"),
        ("http://h/o@x/r", "http://h/o@x/r"),
    ],
)
def test_tokens_are_for_one_address(uri: str, bare: str) -> None:
    found, settings = clone.authorized(uri, "", "tok")
    assert (found, settings[0][0]) == (bare, f"http.{bare}.extraHeader")
    assert settings[0][1] == "Authorization: Basic dG9rOngtb2F1dGgtYmFzaWM="
    assert clone.authorized(uri, "x-access-token", "tok")[1][0][1] == ("Authorization: Basic eC1hY2Nlc3MtdG9rZW46dG9r")


@pytest.mark.parametrize("uri", ["git@github.com:o/r", "ssh://git@h/o/r", "file:///o/r", "/o/r"])
def test_other_addresses_get_no_token(uri: str) -> None:
    assert clone.authorized(uri, "", "tok") == (uri, ())


HOSTILE = [
    ({"base_ref": "--upload-pack=touch x"}, "base_ref '--upload-pack=touch x' cannot be the name of a ref"),
    ({"base_ref": ""}, "base_ref is empty"),
    ({"base_ref": "a\nb"}, r"base_ref 'a\\nb' has a line break"),
    ({"base_ref": "a..b"}, "cannot be the name"),
    ({"base_ref": "a:refs/heads/b"}, "cannot be the name"),
    ({"base_ref": "+a"}, "cannot be the name"),
    ({"base_ref": "a b"}, "cannot be the name"),
    ({"base_ref": "@{-1}"}, "cannot be the name"),
    ({"base_ref": "x" * 5000 + "~"}, "xxx...' cannot be the name"),
    ({"base_sha": "-c"}, "base_sha '-c'"),
    ({"base_sha": "HEAD^{/x}"}, "base_sha"),
    ({"pulls": (Pull(3, sha="--exec=x"),)}, "sha of pull request 3 '--exec=x'"),
    ({"pulls": (Pull(3, ref="refs/*:refs/*"),)}, "ref of pull request 3"),
    ({"clone_uri": "ext::sh -c touch% x"}, "none of the kinds"),
    ({"clone_uri": "fd::17"}, "none of the kinds"),
    ({"clone_uri": "hg://h/r"}, "none of the kinds"),
    ({"clone_uri": "--upload-pack=x"}, "taken for an option"),
    ({"clone_uri": "ssh://-oProxyCommand=x/r"}, "taken for an option"),
    ({"clone_uri": "git@-oProxyCommand=x:r"}, "taken for an option"),
    ({"clone_uri": "https://h/r\n[core]"}, "line break"),
    ({"repo_link": "ext::x"}, "none of the kinds"),
    ({"org": "o\0"}, "control character"),
    ({"path_alias": "../../etc"}, "leads out of /go/src"),
    ({"path_alias": ".."}, "leads out of /go/src"),
    ({"path_alias": "."}, "leads out of /go/src"),
    ({"repo_link": "https://../../x"}, "leads out of /go/src"),
    ({"sparse_checkout_files": ("a", "--stdin")}, "sparse_checkout_files has '--stdin'"),
    ({"sparse_checkout_files": ("a\nb",)}, "line break"),
    ({"sparse_checkout_files": ("",)}, "which is no path"),
]


@pytest.mark.parametrize(("changes", "text"), HOSTILE, ids=[repr(changes)[:40] for changes, _ in HOSTILE])
def test_refs_that_would_make_git_do_something_else_are_refused(changes: dict[str, object], text: str) -> None:
    mistake = clone_check.refs_mistake(msgspec.structs.replace(REFS, **changes), "/go")
    assert text.replace("\\\\", "\\") in mistake
    assert len(mistake) < 400


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"base_ref": "release-1.2", "base_sha": SHA},
        {"base_ref": "feature/#12@home_ü"},
        {"base_ref": "refs/tags/v1.2.3-rc.1+build"},
        {"pulls": (Pull(3, sha=SHA, ref="refs/changes/00/123/1"),)},
        {"clone_uri": "git@github.com:o/r.git"},
        {"clone_uri": "ssh://git@h:29418/o/r"},
        {"clone_uri": "[::1]:o/r"},
        {"clone_uri": "/srv/git/o/r.git"},
        {"clone_uri": "file:///srv/-odd/r"},
        {"path_alias": "a/../b"},
        {"sparse_checkout_files": ("docs/", "!x", "a b")},
    ],
)
def test_usual_refs_are_fine(changes: dict[str, object]) -> None:
    assert clone_check.refs_mistake(msgspec.structs.replace(REFS, **changes), "/go") == ""


OPTIONS = podoptions.CloneRefsOptions(src_root="/go", log="/log", refs=(REFS,))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"src_root": ""}, "no source root"),
        ({"log": ""}, "no file for the clone records"),
        ({"refs": ()}, "no refs"),
        ({"refs": (REFS, REFS)}, "refs of o/r and of o/r are both to be cloned to /go/src/github.com/o/r"),
        ({"max_parallel_workers": -1}, "less than 0"),
        ({"github_app_id": "1", "github_api_endpoints": ("e",)}, "needs the file of its private key"),
        ({"github_app_private_key_file": "k", "github_api_endpoints": ("e",)}, "needs the App's ID"),
        ({"github_app_id": "1", "github_app_private_key_file": "k"}, "needs GitHub API endpoints"),
        ({"github_app_id": "1", "oauth_token_file": "t"}, "one of them has to go"),
        ({"oauth_token_file": "t"}, ""),
        ({"github_app_id": "1", "github_app_private_key_file": "k", "github_api_endpoints": ("e",)}, ""),
    ],
)
def test_options_that_contradict_themselves(changes: dict[str, object], text: str) -> None:
    mistake = clone_check.options_mistake(msgspec.structs.replace(OPTIONS, **changes))
    assert text in mistake
    assert bool(mistake) is bool(text)


def test_different_repositories_in_one_place_are_a_warning() -> None:
    other = Refs("o", "s", base_ref="main", path_alias="github.com/o/r")
    options = msgspec.structs.replace(OPTIONS, refs=(REFS, other))
    assert clone_check.options_mistake(options) == ""
    assert clone_check.options_warnings(options) == [
        "refs of o/r and of o/s are both to be cloned to /go/src/github.com/o/r"
    ]


@pytest.mark.parametrize(
    ("output", "step", "text"),
    [
        ("fatal: unable to access 'x': Could not resolve host: h", "fetch", "its host's name cannot be resolved"),
        ("Host key verification failed.\r\nfatal: Could not read", "fetch", "list it in ssh_host_fingerprints"),
        ("git@h: Permission denied (publickey).", "fetch", "none of the keys that are there"),
        (
            "remote: Repository not found.\nfatal: repository 'x' not found",
            "fetch",
            "or the credentials may not see it",
        ),
        ("fatal: write error: No space left on device", "checkout", "the disk is full"),
        ("error: pathspec 'x' did not match any file(s)", "checkout", f"is not in what was fetched from {URI}"),
        ("fatal: transport 'ext' not allowed", "submodules", "this kind of address is not allowed"),
        ("warning: x\nfatal: odd\n", "submodules", "a submodule cannot be fetched: fatal: odd"),
        ("a\nb\n\nc\nd", "prepare", "b; c; d"),
        ("", "prepare", ""),
    ],
)
def test_failures_are_told_for_people(output: str, step: clone.Step, text: str) -> None:
    told = clone_told.why(plan(), clone.Command(("git", "x"), "/", step=step), output)
    assert told.endswith(text)
    assert bool(told) is bool(text)


def test_many_conflicts_are_counted() -> None:
    one = Pull(4, sha=SHA)
    command = clone.Command(("git", "merge"), "/", step="merge", pull=one)
    told = clone_told.why(plan(pulls=(one,)), command, "CONFLICT", [f"f{number}" for number in range(25)])
    assert told.endswith("f18, f19 and 5 more: it has to be rebased")


def test_records_are_written_as_go_does_and_read_back() -> None:
    records = [
        Record(clonerecords.NO_REFS),
        Record(REFS, (Command("a <b>", "\u2028", "e", 5),), True, "", 7),
    ]
    data = clone.encode(records)
    assert data == (
        b'[{"refs":{"org":"","repo":""}},{"refs":{"org":"o","repo":"r","base_ref":"main"},"commands":[{"command":'
        b'"a \\u003cb\\u003e","output":"\\u2028","error":"e","duration":5}],"failed":true,"duration":7}]'
    )
    assert list(clonerecords.decode(data)) == records
    with pytest.raises(ValueError, match="truncated"):
        clonerecords.decode(b"[{")


@pytest.mark.parametrize(("failed", "fail", "code"), [(True, True, 1), (True, False, 0), (False, True, 0)])
def test_only_fail_makes_failed_clones_an_error(failed: bool, fail: bool, code: int) -> None:
    assert clone.exit_code([Record(clonerecords.NO_REFS), Record(REFS, failed=failed)], fail) == code


@pytest.mark.parametrize(
    ("text", "refs"),
    [
        ("o,r=main", Refs("o", "r", base_ref="main")),
        ("o,r=main:abc", Refs("o", "r", base_ref="main", base_sha="abc")),
        (
            "o,r=main:abc,34:def,78,9:x:refs/changes/1",
            Refs(
                "o",
                "r",
                base_ref="main",
                base_sha="abc",
                pulls=(Pull(34, sha="def"), Pull(78), Pull(9, sha="x", ref="refs/changes/1")),
            ),
        ),
        ("o,a,b=x=y", Refs("o", "a,b", base_ref="x=y")),
    ],
)
def test_refs_on_the_command_line(text: str, refs: Refs) -> None:
    assert clone_flags.parse_refs(text) == refs


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("o,r", "no '='"),
        ("o=main", "ORG,REPO"),
        ("o,r=", "names no ref"),
        ("o,r=a:b:c", "not REF or REF:SHA"),
        ("o,r=a,x", "does not start with a number"),
        ("o,r=a,", "does not start with a number"),
        ("o,r=a,1:2:3:4", "not NUMBER, NUMBER:SHA"),
    ],
)
def test_bad_refs_on_the_command_line(text: str, said: str) -> None:
    with pytest.raises(CannotStart, match=said):
        podflags.read(clone_flags.PROGRAM, podoptions.CloneRefsOptions, None, ["--repo", text])


def test_flags_make_the_options() -> None:
    argv = ["--src-root=/go", "-log", "/l", "--repo", "o,r=main:abc", "--repo=o,s=dev", "--max-workers=3", "--fail"]
    argv += ["--ssh-key=k1", "--ssh-key=k2", "--cookiefile=c"]
    argv += ["--clone-alias=x/{{.Org}}/{{.Repo}}", "--uri-prefix=https://h/{{.Repo}}"]
    found = podflags.read(clone_flags.PROGRAM, podoptions.CloneRefsOptions, None, argv)
    assert found == podoptions.CloneRefsOptions(
        src_root="/go",
        log="/l",
        git_user_name="ci-robot",
        git_user_email="ci-robot@k8s.io",
        refs=(
            Refs("o", "r", base_ref="main", base_sha="abc", path_alias="x/o/r", clone_uri="https://h/r"),
            Refs("o", "s", base_ref="dev", path_alias="x/o/s", clone_uri="https://h/s"),
        ),
        key_files=("k1", "k2"),
        max_parallel_workers=3,
        fail=True,
        cookie_path="c",
    )


def test_a_pods_cookie_flag_stands_beside_the_variable() -> None:
    text = json.dumps({"src_root": "/go", "log": "/l", "refs": None, "cookie_path": "/secrets/cookiefile/c"})
    found = podflags.read(
        clone_flags.PROGRAM, podoptions.CloneRefsOptions, text, ["--cookiefile=/secrets/cookiefile/c"]
    )
    assert (found.cookie_path, found.git_user_name, found.refs) == ("/secrets/cookiefile/c", "", ())


def test_a_bad_format_is_told() -> None:
    with pytest.raises(CannotStart, match="--clone-alias"):
        podflags.read(
            clone_flags.PROGRAM, podoptions.CloneRefsOptions, None, ["--repo=o,r=main", "--clone-alias={{.Nope"]
        )
