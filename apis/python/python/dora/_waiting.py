"""How a node waits in asyncio: on the descriptor of its bell, which the loop watches. No thread, one wake-up per event."""

from __future__ import annotations

import asyncio
import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dora.dora import Node

_LONGEST_MONOPOLY = 0.001
"""Seconds that a task which finds event after event may keep other tasks from running."""


class Waiting:
    """The tasks that wait for events of one node."""

    def __init__(self, node: Node) -> None:
        self._node = weakref.ref(node)
        self._turn = node._turn()
        self._tasks: tuple[asyncio.AbstractEventLoop, asyncio.Lock] | None = None
        self._yielded = 0.0

    async def receive(self, timeout: float | None) -> dict[str, Any] | None:
        """The next event; one of type ERROR when the time is over; None once the stream has ended."""
        loop = asyncio.get_running_loop()
        if loop.time() - self._yielded > _LONGEST_MONOPOLY:
            await asyncio.sleep(0)
            self._yielded = loop.time()
        if timeout is None:
            return await self._receive(loop)
        if not timeout >= 0:
            raise ValueError(f"timeout is {timeout}: give seconds from 0 on, or None to wait endlessly")
        try:
            async with asyncio.timeout(timeout):
                return await self._receive(loop)
        except TimeoutError:
            text = f"Timeout event stream error: Receiver timed out after {timeout} s"
            return {"kind": "dora", "type": "ERROR", "id": None, "error": text}

    async def _receive(self, loop: asyncio.AbstractEventLoop) -> dict[str, Any] | None:
        """Takes an event and returns it without a pause between, so that no cancellation loses it."""
        node = self._node()
        if node is None:
            return None
        async with self._lock(loop):
            if not self._turn.acquire(False):
                raise RuntimeError("another thread is waiting for events of this node: await them there, or here")
            try:
                while (event := node._look()) is False:
                    await _ring(node, loop)
                    self._yielded = loop.time()
                return event  # type: ignore[return-value]  # a bool is False, which it is not
            finally:
                self._turn.release()

    def _lock(self, loop: asyncio.AbstractEventLoop) -> asyncio.Lock:
        """What the tasks of a loop queue at. A lock belongs to one loop, and a program may run one after the other."""
        if self._tasks is None or self._tasks[0] is not loop:
            self._tasks = (loop, asyncio.Lock())
        return self._tasks[1]


async def _ring(node: Node, loop: asyncio.AbstractEventLoop) -> None:
    """Waits until there may be an event."""
    descriptor, timer = node._descriptor(), node._begin_wait()
    if descriptor is None or timer is None:
        return
    rung: asyncio.Future[None] = loop.create_future()
    loop.add_reader(descriptor, _settle, rung)
    due = loop.call_later(timer, _settle, rung) if timer >= 0 else None
    try:
        await rung
    finally:
        if due is not None:
            due.cancel()
        if not loop.is_closed():
            loop.remove_reader(descriptor)
        node._end_wait()


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
