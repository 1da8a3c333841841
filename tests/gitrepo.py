"""A real git repository to fetch from, with commits made as a person makes them."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

ENV = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_AUTHOR_NAME": "ann",
    "GIT_AUTHOR_EMAIL": "ann@example.com",
    "GIT_AUTHOR_DATE": "1700000000 +0000",
    "GIT_COMMITTER_NAME": "ann",
    "GIT_COMMITTER_EMAIL": "ann@example.com",
    "GIT_COMMITTER_DATE": "1700000000 +0000",
}


def git(folder: Path, *arguments: str, text: str = "") -> str:
    """Run git in a folder; return what it printed."""
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env={**ENV, "HOME": str(folder)}, input=text, capture_output=True, text=True
    )
    assert done.returncode == 0, f"git {arguments}: {done.stderr}"
    return done.stdout.strip()


class Origin:
    """The bare repository `ORG/REPO.git` below a folder, which stands for a server."""

    def __init__(self, base: Path, name: str = "o/r") -> None:
        self.folder = base / f"{name}.git"
        self.folder.mkdir(parents=True)
        git(self.folder, "init", "--quiet", "--bare", "-b", "main")
        git(self.folder, "config", "uploadpack.allowFilter", "true")
        git(self.folder, "config", "uploadpack.allowAnySHA1InWant", "true")

    def commit(self, files: Mapping[str, str | None], *parents: str, link: Mapping[str, str] | None = None) -> str:
        """Commit on top of the first parent: texts by path, None removes; `link` are symbolic links."""
        index = {"GIT_INDEX_FILE": str(self.folder / "index.tmp")}
        env = {**ENV, **index, "HOME": str(self.folder)}

        def run(*arguments: str, text: str = "") -> str:
            done = subprocess.run(
                ["git", *arguments], cwd=self.folder, env=env, input=text, capture_output=True, text=True, check=True
            )
            return done.stdout.strip()

        run("read-tree", parents[0] if parents else "--empty")
        for mode, listed in (("100644", files), ("120000", link or {})):
            for path, text in listed.items():
                if text is None:
                    run("update-index", "--index-info", text=f"0 {'0' * 40}\t{path}\n")
                    continue
                blob = run("hash-object", "-w", "--stdin", text=text)
                run("update-index", "--add", "--cacheinfo", f"{mode},{blob},{path}")
        above = [word for parent in parents for word in ("-p", parent)]
        sha = run("commit-tree", run("write-tree"), *above, "-m", "change")
        run("update-ref", f"refs/heads/b-{sha[:12]}", sha)
        return sha
