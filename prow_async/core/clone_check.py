"""What may not be cloned: options that contradict each other, and refs that would make git do something else.

Most of refs comes from people outside: branch names, repositories' own configuration. Nothing of it may be taken for an
option, a helper program, a second refspec, or a path out of the sources' root.

Source: upstream pkg/clonerefs/options.go (Validate); the checks of refs are ours (docs/parity.md).
"""

import re
from collections.abc import Iterator

from prow_async.api.podoptions import CloneRefsOptions
from prow_async.api.prowjob import Refs
from prow_async.core import clone

_SCHEMES = frozenset({"https", "http", "ssh", "git", "git+ssh", "ssh+git", "ftp", "ftps", "file"})
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_HELPER = re.compile(r"[A-Za-z0-9][A-Za-z0-9+.-]*::")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_HOST_LIKE_OPTION = re.compile(r"(?:[A-Za-z0-9+.-]+://)?(?:[^/@]*@)?\[?-")
_NO_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|\.$|/$|^/|(?:^|/)\.|\.lock(?:/|$)|^[-+]|^@$")
"""What git itself lets into no ref name, and what a fetch takes for more than a name."""
_SHOWN = 200


def options_mistake(options: CloneRefsOptions) -> str:
    """Return why these options cannot be worked with, "" when they can."""
    if not options.src_root:
        return "no source root is given"
    if not options.log:
        return "no file for the clone records is given"
    if not options.refs:
        return "no refs to clone are given"
    if options.max_parallel_workers < 0:
        return f"max_parallel_workers is {options.max_parallel_workers}, less than 0"
    app, key = options.github_app_id, options.github_app_private_key_file
    if (app or key) and options.oauth_token_file:
        return "both an OAuth token and a GitHub App are given: one of them has to go"
    if (app or key) and not options.github_api_endpoints:
        return "a GitHub App needs GitHub API endpoints"
    if app and not key:
        return f"GitHub App {app} needs the file of its private key"
    if key and not app:
        return "a GitHub App's private key needs the App's ID"
    return next((text for text, same in _in_one_place(options) if same), "")


def options_warnings(options: CloneRefsOptions) -> list[str]:
    """Return what is odd about these options but works: several repositories in one folder, the last one wins."""
    return [text for text, same in _in_one_place(options) if not same]


def _in_one_place(options: CloneRefsOptions) -> Iterator[tuple[str, bool]]:
    """Yield each pair of refs that go to one folder, and whether they are of one repository."""
    seen: dict[str, Refs] = {}
    for refs in options.refs:
        folder = clone.folder_for(refs, options.src_root)
        before = seen.get(folder)
        if before is not None:
            same = (before.org, before.repo) == (refs.org, refs.repo)
            yield f"refs of {before.full_name} and of {refs.full_name} are both to be cloned to {folder}", same
        seen[folder] = refs


def refs_mistake(refs: Refs, src_root: str) -> str:
    """Return why these refs must not be given to git, "" when they may."""
    for field, text in _texts(refs):
        if _CONTROL.search(text):
            return f"{field} {_quoted(text)} has a line break or another control character in it"
    root = clone.folder_for(Refs("", "", path_alias="."), src_root)
    if not clone.folder_for(refs, src_root).startswith(f"{root.rstrip('/')}/"):
        return f"path {_quoted(refs.path_alias or refs.repo_link or refs.full_name)} leads out of {root}"
    if not refs.base_ref:
        return "base_ref is empty: no branch is named to clone"
    for field, text in _names(refs):
        if text and _NO_REF.search(text):
            return f"{field} {_quoted(text)} cannot be the name of a ref or commit"
    for text in refs.sparse_checkout_files:
        if not text or text.startswith("-"):
            return f"sparse_checkout_files has {_quoted(text)}, which is no path"
    return uri_mistake(clone.uri_for(refs))


def uri_mistake(uri: str) -> str:
    """Return why an address must not be fetched from, "" when it may."""
    scheme = _SCHEME.match(uri)
    if _HELPER.match(uri) or (scheme and scheme[1].lower() not in _SCHEMES):
        known = ", ".join(sorted(_SCHEMES))
        return f"address {_quoted(uri)} is none of the kinds that may be fetched from ({known}, or host:path)"
    if uri.startswith("-") or ((scheme or ":" in uri) and _HOST_LIKE_OPTION.match(uri)):
        return f"address {_quoted(uri)} would be taken for an option"
    return ""


def _texts(refs: Refs) -> Iterator[tuple[str, str]]:
    """Yield all that reaches git, by field."""
    yield from (("org", refs.org), ("repo", refs.repo), ("repo_link", refs.repo_link), ("clone_uri", refs.clone_uri))
    yield "path_alias", refs.path_alias
    yield from (("sparse_checkout_files", text) for text in refs.sparse_checkout_files)
    yield from _names(refs)


def _names(refs: Refs) -> Iterator[tuple[str, str]]:
    """Yield what git has to take for a ref or a commit, by field."""
    yield from (("base_ref", refs.base_ref), ("base_sha", refs.base_sha))
    for pull in refs.pulls:
        yield from ((f"ref of pull request {pull.number}", pull.ref), (f"sha of pull request {pull.number}", pull.sha))


def _quoted(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")
