"""What was kept last of many, for the rooms that a model serves. Pure."""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeVar

Value = TypeVar("Value")


class Recent(OrderedDict[tuple[str, str], Value]):
    """What was kept last, by cache domain and one name in it. Of more than ``most`` the oldest goes."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def keep(self, key: tuple[str, str], value: Value) -> None:
        self[key] = value
        self.move_to_end(key)
        while len(self) > self._most:
            self.popitem(last=False)

    def forget(self, cache: str) -> None:
        """All of one domain."""
        for key in [key for key in self if key[0] == cache]:
            del self[key]
