"""The flags of clonerefs, for a person at a shell; a pod has CLONEREFS_OPTIONS.

Source: upstream pkg/clonerefs/options.go (AddFlags, Complete) and parse.go.
"""

import re
from typing import Any

import msgspec

from prow_async.api import podoptions
from prow_async.api.errors import CannotStart
from prow_async.api.prowjob import Pull, Refs
from prow_async.core import goflags, podflags
from prow_async.core.goflags import Flag
from prow_async.core.podflags import PodFlag, pod_flag

_NAME = "clonerefs"
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)


def parse_refs(text: str) -> Refs:
    """Read `org,repo=base[:sha][,number[:sha[:ref]]]...`. Raises ValueError that says what is wrong.

    >>> parse_refs("o,r=main:abc,5:def").pulls[0].sha
    'def'
    """
    names, equals, listed = text.partition("=")
    org, comma, repo = names.partition(",")
    if not equals:
        raise ValueError("there is no '=' between the repository and its refs")
    if not comma:
        raise ValueError("it does not start with ORG,REPO")
    if not listed:
        raise ValueError("it names no ref")
    base, *pulls = listed.split(",")
    base_ref, *more = base.split(":")
    if len(more) > 1:
        raise ValueError(f"the base {base!r} is not REF or REF:SHA")
    return Refs(org, repo, base_ref=base_ref, base_sha=more[0] if more else "", pulls=tuple(map(_pull, pulls)))


def _pull(text: str) -> Pull:
    number, *more = text.split(":")
    if len(more) > 2:
        raise ValueError(f"the pull request {text!r} is not NUMBER, NUMBER:SHA or NUMBER:SHA:REF")
    if not _NUMBER.fullmatch(number):
        raise ValueError(f"the pull request {text!r} does not start with a number")
    sha, ref = [*more, "", ""][:2]
    return Pull(int(number), sha=sha, ref=ref)


def _refs_of_flags(options: dict[str, Any], flags: goflags.Flags) -> None:
    """Fill `refs` from --repo, with paths and addresses by the formats. Raises CannotStart."""
    if not flags["repo"]:
        return
    found = []
    for text in flags["repo"]:
        try:
            refs = parse_refs(text)
        except ValueError as error:
            raise CannotStart(f"{_NAME}: --repo={text!r}: {error}") from error
        found.append(
            msgspec.to_builtins(refs)
            | {
                key: formatted
                for name, key in (("clone-alias", "path_alias"), ("uri-prefix", "clone_uri"))
                if (formatted := _formatted(name, flags[name], refs))
            }
        )
    options["refs"] = found


def _formatted(flag: str, text: str, refs: Refs) -> str:
    if not text:
        return ""
    from prow_async.core import gotemplate  # a pod never needs it, and it is slow to import

    try:
        return gotemplate.parse(text, "format").execute({"Org": refs.org, "Repo": refs.repo})
    except gotemplate.TemplateError as error:
        raise CannotStart(f"{_NAME}: --{flag}={text!r}: {error}") from error


PROGRAM = podflags.Program(
    name=_NAME,
    variable=podoptions.CLONEREFS_ENV,
    flags=(
        pod_flag(Flag("src-root", "str", "", "the folder to clone below")),
        pod_flag(Flag("log", "str", "", "the file that takes the clone records")),
        pod_flag(Flag("git-user-name", "str", "ci-robot", "who makes merges")),
        pod_flag(Flag("git-user-email", "str", "ci-robot@k8s.io", "that one's address")),
        PodFlag(Flag("repo", "strings", (), "ORG,REPO=BASE[:SHA][,NUMBER[:SHA[:REF]]]...; may be repeated"), ""),
        pod_flag(Flag("ssh-key", "strings", (), "file or folder of SSH keys to use; may be repeated"), "key_files"),
        PodFlag(Flag("clone-alias", "str", "", "template of the path to clone to: {{.Org}}, {{.Repo}}"), ""),
        PodFlag(Flag("uri-prefix", "str", "", "template of the address to clone from: {{.Org}}, {{.Repo}}"), ""),
        pod_flag(Flag("max-workers", "int", 0, "clones at a time; 0 is all at once"), "max_parallel_workers"),
        pod_flag(Flag("cookiefile", "str", "", "file of the cookies that git sends"), "cookie_path"),
        pod_flag(Flag("fail", "bool", False, "end with an error when a clone fails")),
    ),
    zero={"src_root": "", "log": "", "refs": []},
    finish=_refs_of_flags,
)
