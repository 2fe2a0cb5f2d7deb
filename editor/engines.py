"""Which engines a run can be given to: the fast one, which every run is for unless it says otherwise, and the deep one where there is one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from editor.protocol import ProtocolError
from inference.api import Engine, ModelInfo

FAST, DEEP = "fast", "deep"


@dataclass(frozen=True)
class Deep:
    """``wake`` begins to load it, where that has not happened or has failed; else it does nothing."""

    engine: Engine
    wake: Callable[[], None] = lambda: None


class Engines:
    def __init__(self, fast: Engine, deep: Deep | None = None) -> None:
        self.fast = fast
        self.deep = deep

    def of(self, name: str) -> Engine:
        """The one that a request names. Raises ProtocolError where there is none."""
        if name != DEEP:
            return self.fast
        if self.deep is None:
            raise ProtocolError("unsupported", "This server has no second model to ask (ENSEMBLE_DEEP_MODEL).")
        return self.deep.engine

    def wanted(self, name: str) -> Engine:
        """The same, for somebody who asks for it just now: one that is asleep, or has failed, begins to load. Raises ProtocolError."""
        engine = self.of(name)
        if name == DEEP and self.deep:
            self.deep.wake()
        return engine

    def forget(self, cache: str) -> None:
        for engine in self._all().values():
            engine.forget(cache)

    def close(self) -> None:
        for engine in self._all().values():
            engine.close()

    def public(self) -> dict[str, dict[str, Any]]:
        """By name, as ``welcome`` and ``engines`` tell them."""
        return {name: public_model(engine.info) for name, engine in self._all().items()}

    def _all(self) -> dict[str, Engine]:
        return {FAST: self.fast, **({DEEP: self.deep.engine} if self.deep else {})}


def public_model(info: ModelInfo) -> dict[str, Any]:
    return {"name": info.name, "state": info.state, "detail": info.detail, "progress": info.progress}
