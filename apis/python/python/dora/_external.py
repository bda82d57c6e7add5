"""Reads another source of events for a node, a few items ahead."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import AsyncIterable, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dora.dora import Node

_AHEAD = 16
"""Items that are read before the node takes them."""

_tasks: set[asyncio.Task[None]] = set()
"""Keeps tasks alive: a loop does not."""


class Feeder:
    """Gives the items of one source to a node, as long as that exists."""

    def __init__(self, node: Node) -> None:
        self._node = weakref.ref(node)

    @classmethod
    def start(cls, node: Node, source: Iterable[Any] | AsyncIterable[Any]) -> None:
        """Begins to read: in a task if this is an async source in a running loop, else in a thread."""
        feeder = cls(node)
        if isinstance(source, AsyncIterable):
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:
                feeder._start_thread(node, lambda slots: asyncio.run(feeder._read_async(source, slots)))
            else:
                task = loop.create_task(feeder._read_in_task(source, _LoopSlots(loop)))
                _tasks.add(task)
                task.add_done_callback(_tasks.discard)
        elif isinstance(source, Iterable):
            feeder._start_thread(node, lambda slots: feeder._read(source, slots))
        else:
            raise TypeError(f"a {type(source).__name__} is no source of events: give something to iterate over")

    def _start_thread(self, node: Node, read: Any) -> None:
        slots = threading.Semaphore(_AHEAD)
        weakref.finalize(node, slots.release).atexit = False
        threading.Thread(target=read, args=(slots,), name="dora-external", daemon=True).start()

    def _give(self, item: Any, slots: Any) -> bool:
        """False: there is no node any more."""
        node = self._node()
        if node is None:
            return False
        node._push_external(item, slots)
        return True

    def _read(self, source: Iterable[Any], slots: threading.Semaphore) -> None:
        try:
            for item in source:
                slots.acquire()
                if not self._give(item, slots):
                    return
        except Exception as error:
            self._give(error, slots)

    async def _read_async(self, source: AsyncIterable[Any], slots: threading.Semaphore) -> None:
        try:
            async for item in source:
                slots.acquire()  # nothing else runs in this loop
                if not self._give(item, slots):
                    return
        except Exception as error:
            self._give(error, slots)

    async def _read_in_task(self, source: AsyncIterable[Any], slots: _LoopSlots) -> None:
        try:
            async for item in source:
                await slots.acquire()
                if not self._give(item, slots):
                    return
        except Exception as error:
            self._give(error, slots)


class _LoopSlots:
    """A semaphore that a task acquires and any thread releases."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._free = asyncio.Semaphore(_AHEAD)

    async def acquire(self) -> None:
        await self._free.acquire()

    def release(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._free.release)
