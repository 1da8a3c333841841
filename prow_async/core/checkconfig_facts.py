"""What checkconfig's warnings look at."""

from collections.abc import Callable, Iterable, Mapping

import msgspec

from prow_async.api.config import Config
from prow_async.api.errors import Problem
from prow_async.api.plugin_config import PluginConfig

ANY_SCOPE = "*"


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """All that the warnings look at.

    `main_line` finds the line of a path in the main file, `plugin_place` the file and the line of one in plugins.yaml
    and its supplemental files.
    """

    config: Config
    plugins: PluginConfig
    config_path: str
    plugins_path: str = ""
    """"" where there is no plugin configuration: nothing is to be said of plugins then."""
    unknown: tuple[Problem, ...] = ()
    job_files: frozenset[str] = frozenset()
    supplementals: Mapping[str, tuple[str, ...]] = {}
    """Each supplemental file, of plugins too, with the folders that lead to it."""
    touched: Mapping[str, frozenset[str]] = {}
    """Each supplemental file with the orgs and repos that it sets something for; ANY_SCOPE is everything."""
    required_annotations: tuple[str, ...] = ()
    cluster_status: Mapping[str, str] | None = None
    """By cluster alias; None where no status file can be read."""
    without_owners: frozenset[str] = frozenset()
    """Repositories where GitHub shows no OWNERS file; asked for only by the warning that looks at them."""
    app_installations: tuple[str, ...] | None = None
    """Organizations that have the GitHub App; None where GitHub was not asked."""
    main_line: Callable[[tuple[str | int, ...]], int] = lambda path: 0
    plugin_place: Callable[[tuple[str | int, ...]], tuple[str, int]] = lambda path: ("", 0)

    def at(self, text: str, *path: str | int) -> Problem:
        return Problem(self.config_path, self.main_line(path), text)

    def at_plugins(self, text: str, *path: str | int) -> Problem:
        return Problem(*self.plugin_place(path), text)


Check = Callable[[Facts], Iterable[Problem]]
