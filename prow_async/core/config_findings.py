"""Gathers what is wrong with, and worth saying of, one configuration while its sections are completed."""

from collections.abc import Callable

from prow_async.core import gotemplate, patterns, selectors, urls
from prow_async.core.goconvert import Finding


class Findings:
    """Errors keep the configuration from being used, warnings do not. Paths begin at the top of the document."""

    def __init__(self) -> None:
        self.errors: list[Finding] = []
        self.warnings: list[Finding] = []

    def wrong(self, text: str, *path: str | int) -> None:
        self.errors.append(Finding(path, text))

    def warn(self, text: str, *path: str | int) -> None:
        self.warnings.append(Finding(path, text))

    def template(self, text: str, *path: str | int, further: frozenset[str] = frozenset()) -> None:
        """Note a Go template that does not parse; it may use `further` functions."""
        name = next(str(step) for step in reversed(path) if "template" in str(step) or step in ("title", "body"))
        try:
            gotemplate.parse(text, name, further)
        except gotemplate.TemplateError as error:
            self.wrong(str(error), *path)

    def pattern(self, text: str, *path: str | int) -> None:
        """Note a regular expression that does not compile."""
        self._asked(patterns.problem, text, path)

    def url(self, text: str, *path: str | int) -> None:
        """Note a URL that does not parse."""
        self._asked(urls.problem, text, path)

    def selector(self, text: str, *path: str | int) -> None:
        """Note a label selector that does not parse."""
        try:
            selectors.parse_labels(text)
        except selectors.BadSelector as error:
            self.wrong(f'"{text}" is no label selector: {error}', *path)

    def both(self, one: object, other: object, names: str, *path: str | int) -> bool:
        """Note two keys that exclude each other; True when both are set."""
        if one and other:
            self.wrong(f"{names} cannot both be set", *path)
            return True
        return False

    def _asked(self, ask: Callable[[str], str | None], text: str, path: tuple[str | int, ...]) -> None:
        why = ask(text)
        if why:
            self.wrong(why, *path)
