"""Names by what they belong to, as small as can be: there is an entry for almost every ProwJob there is."""

from collections.abc import Hashable


class NameIndex:
    """Most keys have one name. Keys are held by their hashes alone: who reads has to compare what a name stands for."""

    def __init__(self) -> None:
        self._names: dict[int, str | tuple[str, ...]] = {}

    def at(self, key: Hashable) -> tuple[str, ...]:
        """Return the names put under a key, in that order, and those of any key with the same hash."""
        names = self._names.get(hash(key), ())
        return (names,) if isinstance(names, str) else names

    def put(self, key: Hashable, name: str) -> None:
        names = self.at(key)
        if name not in names:
            self._names[hash(key)] = (*names, name) if names else name

    def drop(self, key: Hashable, name: str) -> None:
        left = tuple(one for one in self.at(key) if one != name)
        if left:
            self._names[hash(key)] = left[0] if len(left) == 1 else left
        else:
            self._names.pop(hash(key), None)

    def __len__(self) -> int:
        return len(self._names)
