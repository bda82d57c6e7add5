"""The class `Node`: what its native half does, and what only Python can: asyncio, and merging other sources."""

from __future__ import annotations

import atexit
import os
import weakref
from typing import TYPE_CHECKING, Any

from dora import _logging
from dora.dora import Node as _NativeNode

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Awaitable, Iterable

    from dora._waiting import Waiting

_open: weakref.WeakSet[Node] = weakref.WeakSet()


class Node(_NativeNode):
    """A node of a dataflow.

    ::

        node = Node()
        for event in node:
            if event["type"] == "INPUT":
                print(event["id"], event["value"])

    `Node()` connects this process, which `dora run` has started, and returns when all nodes of the dataflow are ready.
    `Node("name")` does the same there; elsewhere it joins a running dataflow as the dynamic node of this name, and leaves it
    as the node that it was before.

    An event is a dict. Each has "kind" ("dora"; or "external", see `merge_external_events`), and "id" (None where there is
    none). By "type":

    =================  =======================  =============================================================
    type               id                       further keys
    =================  =======================  =============================================================
    INPUT              the input                value: pyarrow array, in shared memory, not copied;
                                                metadata: dict with `timestamp` (aware datetime, when it was
                                                sent) and what the sender added
    INPUT_CLOSED       the input                none; no more messages come in it
    INPUT_RECOVERED    the input                none; it was closed for its silence, and speaks again
    STOP               MANUAL or                none; the node should end. Queued inputs may still be received
                       ALL_INPUTS_CLOSED
    NODE_RESTARTED     a node it receives from  none
    NODE_FAILED        a node it receives from  value: dict of source_node_id, error, affected_input_ids
    PARAM_UPDATE       the parameter            value
    PARAM_DELETED      the parameter            none
    RELOAD             the operator, or None    none
    ERROR              None                     error: text; also when the timeout of a wait is over
    =================  =======================  =============================================================

    Every way to receive gives the same events in the same order: iteration, `next`, `try_recv`, `drain`, `recv_async`.
    A process that `dora run` started is one node: `Node()` gives the same one again. It may be shared by threads; while one
    waits, others run, and may send. A process that was forked from a node is no node itself.

    Raises RuntimeError if the process was not started as a node, or the dataflow does not start.
    """

    def __new__(cls, node_id: str | None = None, daemon_port: int | None = None) -> Node:
        if "DORA_NODE_CONFIG" in os.environ:
            for node in _open:
                if type(node) is cls and node._process == os.getpid():
                    return node
        elif node_id is not None:
            _close_nodes()
        return super().__new__(cls, node_id, daemon_port)

    def __init__(self, node_id: str | None = None, daemon_port: int | None = None) -> None:
        del node_id, daemon_port  # `__new__` has used them
        if self in _open:
            return
        self._process = os.getpid()
        self._waiting: Waiting | None = None
        _open.add(self)
        _logging.install(self)

    async def recv_async(self, timeout: float | None = None) -> dict[str, Any] | None:
        """Wait for the next event while other tasks run.

        timeout and result are those of `next`. It may be cancelled, without losing an event.

        Raises RuntimeError if another thread is waiting for events of this node.
        """
        return await self._await(timeout)

    def __aiter__(self) -> Node:
        return self

    async def __anext__(self) -> dict[str, Any]:
        event = await self._await(None)
        if event is None:
            raise StopAsyncIteration
        return event

    def _await(self, timeout: float | None) -> Awaitable[dict[str, Any] | None]:
        if self._waiting is None:
            from dora._waiting import Waiting  # brings asyncio, which a program that does not await starts sooner without

            self._waiting = Waiting(self)
        return self._waiting.receive(timeout)

    def merge_external_events(self, subscription: Iterable[Any] | AsyncIterable[Any]) -> None:
        """Receive the items of another source as events: `{"kind": "external", "id": None, "value": item}`.

        subscription: anything to iterate over, with `for` or with `async for`. A thread of its own does that, in an event
        loop of its own if need be, and stays 16 items ahead at most. It ends with the node; the events of the node end
        when those of the dataflow do, whether the source has ended or not.

        An exception that it raises comes as an external event whose value is the exception.
        """
        from dora._external import Feeder  # brings asyncio

        Feeder.start(self, subscription)


@atexit.register
def _close_nodes() -> None:
    """Ends what nodes are left before the interpreter takes itself apart."""
    for node in list(_open):
        node._close()
