"""Finds and reads the configuration files in a state of a repository.

Source: upstream pkg/config/inrepoconfig.go ReadProwYAML: the folder `.prow` hides the file `.prow.yaml`, even when it
is empty.
"""

import msgspec

from prow_async.adapters import prowignore
from prow_async.adapters.git.mirror import Entry, Mirror
from prow_async.adapters.prowignore import Ignored
from prow_async.api.errors import Refused
from prow_async.core import inrepo
from prow_async.core.config_load import SourceFile

_YAML = (".yaml", ".yml")


class Place(msgspec.Struct, frozen=True):
    """Where the files of a state are. Equal places hold equal files: `key` is made of what git calls them by."""

    source: Entry | None = None
    ignore: Entry | None = None

    @property
    def key(self) -> str:
        return " ".join(entry.id for entry in (self.source, self.ignore) if entry is not None)


def find(mirror: Mirror, tree: str) -> Place:
    """Look a tree's top over."""
    found = {entry.path: entry for entry in mirror.entries(tree, inrepo.FOLDER, inrepo.FILE, prowignore.NAME)}
    folder, file, ignore = (found.get(name) for name in (inrepo.FOLDER, inrepo.FILE, prowignore.NAME))
    if folder is not None and folder.is_folder:
        return Place(folder, ignore if ignore is not None and ignore.is_file else None)
    return Place(file) if file is not None and file.is_file else Place()


def read(mirror: Mirror, place: Place) -> list[SourceFile]:
    """Read the files of a place, in the order of their paths.

    Raises: Refused when they are too many or too large; Retry for trouble on the way.
    """
    if place.source is None:
        return []
    if place.source.is_file:
        return [SourceFile(inrepo.FILE, mirror.read([place.source.id], inrepo.MAX_BYTES)[0])]
    listed = mirror.below(place.source.id, inrepo.MAX_BYTES)
    below = [(f"{inrepo.FOLDER}/{entry.path}", entry.id) for entry in listed if entry.is_file]
    files = [(path, id_) for path, id_ in below if path.endswith(_YAML)]
    rules = [(path, id_) for path, id_ in below if path.rpartition("/")[2] == prowignore.NAME]
    if len(files) + len(rules) > inrepo.MAX_FILES:
        raise Refused(f"{inrepo.FOLDER} holds {len(files) + len(rules)} files; {inrepo.MAX_FILES} are allowed")
    if place.ignore is not None:
        rules.append((prowignore.NAME, place.ignore.id))
    ignored = _ignored(mirror, rules, place.source.id)
    files = [(path, id_) for path, id_ in files if not prowignore.leaves_out(_above(path, ignored), path)]
    data = mirror.read([id_ for _, id_ in files], inrepo.MAX_BYTES, place.source.id)
    sources = [SourceFile(path, content) for (path, _), content in zip(files, data, strict=True)]
    return sorted(sources, key=lambda source: source.path)


def _ignored(mirror: Mirror, rules: list[tuple[str, str]], tree: str) -> dict[str, Ignored]:
    """Read the `.prowignore` files, by their folders."""
    found = {}
    for (path, _), content in zip(rules, mirror.read([id_ for _, id_ in rules], inrepo.MAX_BYTES, tree), strict=True):
        folder = path.rpartition("/")[0]
        found[folder] = Ignored(folder, content)
    return found


def _above(path: str, ignored: dict[str, Ignored]) -> list[Ignored]:
    """Return what stands in the folders that lead to a file, from the top down."""
    steps = path.split("/")[:-1]
    folders = ("/".join(steps[:depth]) for depth in range(len(steps) + 1))
    return [ignored[folder] for folder in folders if folder in ignored]
