"""Spans that are none: what obs.span() and obs.batch() give while tracing is off. The real ones are in trace.py."""

from __future__ import annotations

from contextlib import AbstractContextManager
from types import TracebackType
from typing import Protocol, Self


class Span(Protocol):
    """A step while it goes on."""

    def set(self, **attributes: str | float) -> None:
        """Say more of it."""
        ...


class Batch(Protocol):
    """The span of mails that are worked on together."""

    def set(self, **attributes: str | float) -> None: ...

    def mail(self, number: int, name: str, **attributes: str | float) -> AbstractContextManager[Span]:
        """A step of one of the mails, by its place in the batch. Any thread may take it."""
        ...

    def about(self, number: int, **attributes: str | float) -> None:
        """Say more of one mail: its key, what became of it."""
        ...


class _Off:
    __slots__ = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def set(self, **attributes: str | float) -> None:
        """Nothing."""

    def mail(self, number: int, name: str, **attributes: str | float) -> _Off:  # noqa: ARG002
        return self

    def about(self, number: int, **attributes: str | float) -> None:
        """Nothing."""


OFF: AbstractContextManager[Span] = _Off()
OFF_BATCH: AbstractContextManager[Batch] = _Off()
