"""Testing a node without a dataflow.

::

    from dora.testing import MockNode

    def test_doubling():
        node = MockNode([("number", [1, 2])])
        double(node)  # the code under test, which takes the node as an argument
        assert node.outputs["doubled"][0].to_pylist() == [2, 4]
"""

from __future__ import annotations

import time
import uuid
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

import pyarrow as pa

from dora._mock import MockSample, MockSources
from dora.arrays import prepare
from dora.events import INPUT_CLOSED

__all__ = ["MockNode"]


class MockNode:
    """Takes the place of `dora.Node` in a test: it gives prepared events, and keeps what is sent.

    inputs: (input id, data) pairs, with any data that `Node.send_output` takes; or whole events as dicts, for example
    `{"type": "INPUT_CLOSED", "id": "image"}`. A STOP with id ALL_INPUTS_CLOSED is added unless a STOP is there.
    metadata: what each INPUT event has in its metadata; each gets a copy, and a `timestamp` if there is none.
    dataflow_descriptor, dataflow_id, node_config, is_restart, restart_count: what the methods of these names return.
    service_responses: by output id, the data of the responses to the requests that are sent there, in order. Each comes as
    an INPUT event with that id as the input and the `request_id` of its request.

    Attributes, by what the node under test has done:
    outputs: by output id, the list of the data that were sent, as pyarrow arrays.
    metadata: by output id, the list of the metadata that were sent with them.
    logs: list of dicts with level, message, target and fields.
    service_requests, service_responses_sent: lists of dicts with output_id, data and metadata.
    """

    def __init__(
        self,
        inputs: Iterable[tuple[str, Any] | Mapping[str, Any]],
        metadata: Mapping[str, Any] | None = None,
        *,
        dataflow_descriptor: Mapping[str, Any] | None = None,
        dataflow_id: str | None = None,
        node_config: Mapping[str, Any] | None = None,
        is_restart: bool = False,
        restart_count: int = 0,
        service_responses: Mapping[str, Sequence[Any]] | None = None,
    ) -> None:
        self._events = deque(_event(entry, metadata) for entry in inputs)
        if not any(event.get("type") == "STOP" for event in self._events):
            self._events.append({"kind": "dora", "type": "STOP", "id": "ALL_INPUTS_CLOSED"})
        self._sources = MockSources()
        self._had_turn = False
        self._descriptor = dict(dataflow_descriptor or {"nodes": []})
        self._dataflow_id = dataflow_id or str(uuid.uuid4())
        self._config = dict(node_config or {"inputs": {}, "outputs": []})
        self._restart_count = max(restart_count, int(is_restart))
        self._responses = {output: deque(data) for output, data in (service_responses or {}).items()}
        self.outputs: dict[str, list[pa.Array]] = {}
        self.metadata: dict[str, list[dict[str, Any]]] = {}
        self.logs: list[dict[str, Any]] = []
        self.service_requests: list[dict[str, Any]] = []
        self.service_responses_sent: list[dict[str, Any]] = []

    def next(self, timeout: float | None = None) -> dict[str, Any] | None:
        """The next event, at once; None when all were given."""
        _check(timeout)
        return (self._sources.take_now() if self._is_turn_of_sources() else None) or self._prepared()

    def __iter__(self) -> MockNode:
        return self

    def __next__(self) -> dict[str, Any]:
        event = self.next()
        if event is None:
            raise StopIteration
        return event

    async def recv_async(self, timeout: float | None = None) -> dict[str, Any] | None:
        """The next event; None when all were given. Waits only for the items of other sources."""
        _check(timeout)
        return (await self._sources.take() if self._is_turn_of_sources() else None) or self._prepared()

    def __aiter__(self) -> MockNode:
        return self

    async def __anext__(self) -> dict[str, Any]:
        event = await self.recv_async()
        if event is None:
            raise StopAsyncIteration
        return event

    def try_recv(self) -> dict[str, Any] | None:
        """The next event; None when all were given."""
        return self.next()

    def drain(self) -> list[dict[str, Any]]:
        """All events that were not given yet.

        Raises RuntimeError when all were.
        """
        if not self._events:
            raise RuntimeError("Could not drain events. Channel is closed")
        return list(self)

    def is_empty(self) -> bool:
        """Whether all events were given."""
        return not self._events

    def send_output(self, output_id: str, data: Any, metadata: dict[str, Any] | None = None) -> None:
        """Keep the data in `outputs` and their metadata in `metadata`, as the receiver would see them."""
        array, described = _array(data)
        self.outputs.setdefault(output_id, []).append(array)
        self.metadata.setdefault(output_id, []).append(_sent(metadata, described))

    def send_output_raw(self, output_id: str, data_length: int, metadata: dict[str, Any] | None = None) -> MockSample:
        """Memory to write. What is sent of it is kept in `outputs`, as an array of UInt8."""
        return MockSample(data_length, lambda sent: self.send_output(output_id, sent, metadata))

    def send_service_request(self, output_id: str, data: Any, metadata: dict[str, Any] | None = None) -> str:
        """Keep the request in `service_requests`; the next of the `service_responses` for it becomes the next event."""
        request_id = str(uuid.uuid4())
        metadata = {**(metadata or {}), "request_id": request_id}
        self.send_output(output_id, data, metadata)
        self.service_requests.append({"output_id": output_id, "data": data, "metadata": metadata})
        if responses := self._responses.get(output_id):
            response = responses.popleft()
            self._events.appendleft(_event((output_id, response), {"request_id": request_id}))
        return request_id

    def send_service_response(self, output_id: str, data: Any, metadata: dict[str, Any]) -> None:
        """Keep the response in `service_responses_sent`."""
        self.send_output(output_id, data, metadata)
        self.service_responses_sent.append({"output_id": output_id, "data": data, "metadata": metadata})

    def merge_external_events(self, subscription: Any) -> None:
        """Give the items of a source, which must end, as events of kind `external`: in turn with the prepared events, and
        all of them before the last STOP.

        Raises TypeError if it is nothing to iterate over.
        """
        self._sources.add(subscription)

    def _is_turn_of_sources(self) -> bool:
        self._had_turn = not self._had_turn
        only_stop_is_left = len(self._events) == 1 and self._events[0].get("type") == "STOP"
        return only_stop_is_left or (self._had_turn and bool(self._events))

    def _prepared(self) -> dict[str, Any] | None:
        return self._events.popleft() if self._events else None

    def log(
        self, level: str, message: str, target: str | None = None, fields: dict[str, str] | None = None
    ) -> None:
        """Keep the message in `logs`."""
        self.logs.append({"level": level, "message": message, "target": target, "fields": fields})

    def log_error(self, message: str) -> None:
        """Keep an error in `logs`."""
        self.log("error", message)

    def log_warn(self, message: str) -> None:
        """Keep a warning in `logs`."""
        self.log("warn", message)

    def log_info(self, message: str) -> None:
        """Keep a message in `logs`."""
        self.log("info", message)

    def log_debug(self, message: str) -> None:
        """Keep a message for whoever looks for a fault in `logs`."""
        self.log("debug", message)

    def log_trace(self, message: str) -> None:
        """Keep a message for whoever follows each step in `logs`."""
        self.log("trace", message)

    def dataflow_descriptor(self) -> dict[str, Any]:
        """What the constructor was given."""
        return self._descriptor

    def node_config(self) -> dict[str, Any]:
        """What the constructor was given."""
        return self._config

    def dataflow_id(self) -> str:
        """What the constructor was given, or a random UUID."""
        return self._dataflow_id

    def is_restart(self) -> bool:
        """Whether `restart_count` is above 0."""
        return self._restart_count > 0

    def restart_count(self) -> int:
        """What the constructor was given."""
        return self._restart_count

    def timestamp(self) -> datetime:
        """The time now, as an aware datetime in UTC."""
        return _now()


def _check(timeout: float | None) -> None:
    if timeout is not None and not timeout >= 0:
        raise ValueError(f"timeout is {timeout}: give seconds from 0 on, or None to wait endlessly")


def _now() -> datetime:
    return datetime.fromtimestamp(time.time(), timezone.utc)


def _array(data: Any) -> tuple[pa.Array, dict[str, Any] | None]:
    if isinstance(data, pa.Array):
        return data, None
    if isinstance(data, bytes):
        data = bytearray(data)
    return prepare(data)


def _sent(metadata: Mapping[str, Any] | None, described: dict[str, Any] | None) -> dict[str, Any]:
    passed = {key: value for key, value in (metadata or {}).items() if not _is_stale(key, value)}
    return {**passed, **(described or {})}


def _is_stale(key: str, value: Any) -> bool:
    """Whether this is the time of another message, passed on with its metadata."""
    return key == "timestamp" and isinstance(value, datetime)


def _event(entry: tuple[str, Any] | Mapping[str, Any], metadata: Mapping[str, Any] | None) -> dict[str, Any]:
    if not isinstance(entry, Mapping):
        input_id, data = entry
        value, described = _array(data)
        metadata = {"timestamp": _now(), **(metadata or {}), **(described or {})}
        return {"kind": "dora", "type": "INPUT", "id": input_id, "value": value, "metadata": metadata}
    event = {"id": None, **entry}
    if event.get("kind", "dora") == "dora":
        event["kind"] = "dora"
        if event.get("type") == "INPUT_CLOSED":
            event["type"] = INPUT_CLOSED
    return event
