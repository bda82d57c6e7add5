"""What `MockNode` needs to take the place of a node: memory to write, and other sources of events."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from typing import Any

_SENT = "this sample was sent already: ask for a new one with send_output_raw"


class MockSample:
    """Takes the place of `dora.SampleHandler`: memory that is kept when it is sent."""

    def __init__(self, length: int, keep: Callable[[bytes], None]) -> None:
        self._memory: bytearray | None = bytearray(length)
        self._view: memoryview | None = None
        self._keep = keep

    def as_buffer(self) -> bytearray:
        """The memory. The same object each time.

        Raises RuntimeError once it was sent.
        """
        if self._memory is None:
            raise RuntimeError(_SENT)
        return self._memory

    def as_memoryview(self) -> memoryview:
        """The memory as a writable memoryview of bytes. The same object each time: call its `release()` before `send()`.

        Raises RuntimeError once it was sent.
        """
        memory = self.as_buffer()
        if self._view is None:
            self._view = memoryview(memory)
        return self._view

    def send(self) -> None:
        """Keep the memory as an array of UInt8.

        Raises RuntimeError if a view of it is open, or if it was sent before.
        """
        memory = self.as_buffer()
        sent = bytes(memory)
        try:
            memory.clear()  # Python refuses it as long as there is a view
        except BufferError:
            raise RuntimeError(
                "views of the sample are still open: `del` the arrays and `release()` the memoryviews made of it before it is sent"
            ) from None
        self._memory = None
        self._keep(sent)

    def __enter__(self) -> bytearray:
        return self.as_buffer()

    def __exit__(self, kind: type[BaseException] | None, _value: Any = None, _traceback: Any = None) -> None:
        if kind is not None:
            self._memory = None
        elif self._memory is not None:
            self.send()


class MockSources:
    """Other sources of events, read when an item is asked for."""

    def __init__(self) -> None:
        self._sources: deque[Iterator[Any] | AsyncIterator[Any]] = deque()

    def add(self, source: Iterable[Any] | AsyncIterable[Any]) -> None:
        """Takes turns with the sources that were added before."""
        if isinstance(source, AsyncIterable):
            self._sources.append(aiter(source) if _in_a_loop() else iter(asyncio.run(_all(source))))
        elif isinstance(source, Iterable):
            self._sources.append(iter(source))
        else:
            raise TypeError(f"a {type(source).__name__} is no source of events: give something to iterate over")

    async def take(self) -> dict[str, Any] | None:
        """The next item as an event, or the error of a source; None when all have ended."""
        while self._sources:
            source = self._sources.popleft()
            try:
                item = await anext(source) if isinstance(source, AsyncIterator) else next(source)
            except (StopIteration, StopAsyncIteration):
                continue
            except Exception as error:
                return _external(error)
            self._sources.append(source)
            return _external(item)
        return None

    def take_now(self) -> dict[str, Any] | None:
        """As `take`, where nobody can wait.

        Raises RuntimeError if the next item comes from a source that waits.
        """
        taking = self.take()
        try:
            taking.send(None)
        except StopIteration as taken:
            event: dict[str, Any] | None = taken.value
            return event
        taking.close()
        raise RuntimeError("the next item comes from an asynchronous source, which has to wait for it: use recv_async")


def _in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def _all(source: AsyncIterable[Any]) -> list[Any]:
    return [item async for item in source]


def _external(value: Any) -> dict[str, Any]:
    return {"kind": "external", "id": None, "value": value}
