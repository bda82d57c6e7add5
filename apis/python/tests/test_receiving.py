"""How Python nodes receive, in real dataflows."""

from __future__ import annotations

import os
import unittest

from support import Dataflow

TUTORIAL = """
from dora import Node
node = Node()
for event in node:
    event_type = event["type"]
    event_id = event["id"]
    if event_type == "INPUT": data = event["value"]            # a pyarrow array, not copied
    elif event_type == "STOP": break
    elif event_type == "InputClosed": print(event_id, "closed")
    elif event_type == "RELOAD": pass
    elif event_type == "ERROR": print(event["error"])
"""


class Receiving(Dataflow):
    def test_the_tutorial_runs_as_it_stands(self) -> None:
        printed = self.pair('from dora import Node\nNode().send_output("data", b"ab")', TUTORIAL)
        self.assertIn("data closed", printed)

    def test_a_flush_withdraws_what_was_not_received(self) -> None:
        os.mkfifo(self.directory / "sent")
        sender = """
            from dora import Node
            node = Node()
            for number, metadata in enumerate([{}, {"request_id": "r"}, {}, {"flush": True}, {}]):
                node.send_output("data", [number], metadata)
            open("sent", "w").close()
        """
        receiver = """
            from dora import Node
            node = Node()
            open("sent").close()
            print("took", [event["value"][0].as_py() for event in node if event["type"] == "INPUT"])
        """
        self.assertIn("took [1, 3, 4]", self.pair(sender, receiver))

    def test_events_have_what_the_documentation_says(self) -> None:
        sender = r"""
            import datetime, numpy as np
            from dora import Node
            time = datetime.datetime(2024, 5, 6, 7, 8, 9, 123456, datetime.timezone.utc)
            Node().send_output("data", b"\x01\x02", {
                "b": True, "i": 7, "f": 0.5, "s": "text", "li": [1, 2], "lf": [1, 0.5], "ls": ["a"], "none": [],
                "t": time, "np": np.float32(1.5), "tuple": (3,), "array": np.arange(2), "timestamp": time,
            })
        """
        receiver = """
            import datetime, pyarrow as pa
            from dora import Node
            node = Node()
            first, closed, stop = list(node)
            assert (first["kind"], first["type"], first["id"]) == ("dora", "INPUT", "data"), first
            assert isinstance(first["value"], pa.UInt8Array) and first["value"].to_pylist() == [1, 2], first
            sent = first["metadata"].pop("timestamp")
            assert sent.tzinfo == datetime.timezone.utc
            assert datetime.timedelta(0) <= node.timestamp() - sent < datetime.timedelta(minutes=1)
            assert first["metadata"] == {
                "b": True, "i": 7, "f": 0.5, "s": "text", "li": [1, 2], "lf": [1.0, 0.5], "ls": ["a"], "none": [],
                "t": datetime.datetime(2024, 5, 6, 7, 8, 9, 123456, datetime.timezone.utc), "np": 1.5, "tuple": [3],
                "array": [0, 1],
            }, first["metadata"]
            assert first["metadata"]["b"] is True
            assert closed == {"kind": "dora", "type": "INPUT_CLOSED", "id": "data"}
            assert stop == {"kind": "dora", "type": "STOP", "id": "ALL_INPUTS_CLOSED"}
            assert node.next() is None and node.try_recv() is None
            try:
                node.drain()
            except RuntimeError as error:
                assert "Channel is closed" in str(error)
            else:
                raise AssertionError("drain after the end")
            print("as documented")
        """
        self.assertIn("as documented", self.pair(sender, receiver))

    def test_waits_end_with_their_time(self) -> None:
        waiting = """
            from dora import Node
            node = Node()
            assert node.try_recv() is None and node.is_empty() and node.drain() == []
            event = node.next(timeout=0.05)
            assert event["type"] == "ERROR" and event["id"] is None, event
            assert event["error"].startswith("Timeout event stream error: Receiver timed out"), event
            for wrong in (-1, float("nan")):
                try:
                    node.next(timeout=wrong)
                except ValueError:
                    continue
                raise AssertionError(wrong)
            node.send_output("data", [1])
            assert node.next(timeout=float("inf"))["type"] == "INPUT"
            print("waited")
        """
        answering = """
            from dora import Node
            node = Node()
            assert node.next()["type"] == "INPUT"
            node.send_output("data", [1])
        """
        self.assertIn("waited", self.pair(waiting, answering))

    def test_threads_share_a_node(self) -> None:
        sender = """
            import threading
            from dora import Node
            node = Node()
            def send(first):
                for number in range(first, first + 250):
                    node.send_output("data", [number])
            threads = [threading.Thread(target=send, args=(250 * index,)) for index in range(4)]
            for thread in threads: thread.start()
            for thread in threads: thread.join()
        """
        receiver = """
            import threading
            from dora import Node
            node = Node()
            numbers = []
            def receive():
                for event in node:
                    if event["type"] == "INPUT":
                        numbers.extend(event["value"].to_pylist())
            threads = [threading.Thread(target=receive) for _ in range(3)]
            for thread in threads: thread.start()
            for thread in threads: thread.join()
            assert sorted(numbers) == list(range(1000)), len(numbers)
            print("all of them")
        """
        self.assertIn("all of them", self.pair(sender, receiver))

    def test_an_array_is_not_copied_and_outlives_its_node(self) -> None:
        sender = """
            import numpy as np
            from dora import Node
            node = Node()
            node.send_output("data", np.arange(1_000_000))
            node.send_output("data", np.zeros(1_000_000, dtype=int))
        """
        receiver = """
            import gc
            from dora import Node
            node = Node()
            first, second = node.next()["value"], node.next()["value"]
            address = first.buffers()[1].address
            maps = [line.split(maxsplit=5) for line in open("/proc/self/maps")]
            ranges = [(*(int(end, 16) for end in line[0].split("-")), line[-1]) for line in maps]
            name = next(name for start, end, name in ranges if start <= address < end)
            assert "memfd" in name, name
            del node, second
            gc.collect()
            assert first[999_999].as_py() == 999_999
            print("still there")
        """
        self.assertIn("still there", self.pair(sender, receiver))

    def test_other_sources_are_merged(self) -> None:
        merging = """
            import queue, threading
            from dora import Node
            node = Node()
            words = queue.SimpleQueue()
            node.merge_external_events(iter(words.get, None))
            async def numbers():
                for number in range(40):
                    yield number
            node.merge_external_events(numbers())
            words.put("one")
            seen, counted, messages = [], [], 0
            while len(seen) < 2 or len(counted) < 40 or not messages:
                event = node.next()
                if event["kind"] == "external":
                    assert set(event) == {"kind", "id", "value"} and event["id"] is None
                    (counted if isinstance(event["value"], int) else seen).append(event["value"])
                    if event["value"] == "one":
                        threading.Timer(0.1, words.put, ("two",)).start()  # comes while the node sleeps
                elif event["type"] == "INPUT":
                    messages += 1
            assert seen == ["one", "two"] and counted == list(range(40)), (seen, counted)
            print("merged")
        """
        sender = """
            from dora import Node
            node = Node()
            node.send_output("data", [1])
            for event in node: pass
        """
        self.assertIn("merged", self.pair(merging, sender))


class Asyncio(Dataflow):
    SENDER = """
        from dora import Node
        node = Node()
        for number in range(2000):
            node.send_output("data", [number])
    """

    def test_it_works_beside_other_tasks_and_at_exit(self) -> None:
        receiver = """
            import asyncio
            from dora import Node
            node = Node()
            async def tick():
                global ticks
                ticks = 0
                while True:
                    ticks += 1
                    await asyncio.sleep(0)
            async def main():
                ticking = asyncio.create_task(tick())
                numbers = []
                while (event := await node.recv_async()) is not None:
                    if event["type"] == "INPUT":
                        numbers.append(event["value"][0].as_py())
                assert numbers == list(range(2000)), len(numbers)
                assert ticks > 1
                print("in order")
            asyncio.run(main())
        """
        self.assertIn("in order", self.pair(self.SENDER, receiver))

    def test_tasks_share_a_node_and_may_be_cancelled(self) -> None:
        receiver = """
            import asyncio
            from dora import Node
            node = Node()
            numbers = []
            async def receive():
                async for event in node:
                    if event["type"] == "INPUT":
                        numbers.append(event["value"][0].as_py())
            async def impatient():
                for _ in range(200):
                    event = await node.recv_async(timeout=0.0001)
                    if event is None: return
                    if event["type"] == "INPUT":
                        numbers.append(event["value"][0].as_py())
                    else:
                        assert event["type"] != "ERROR" or "timed out" in event["error"], event
            async def main():
                cancelled = asyncio.create_task(receive())
                await asyncio.sleep(0.01)
                cancelled.cancel()
                await asyncio.gather(receive(), impatient(), receive())
            asyncio.run(main())
            assert sorted(numbers) == list(range(2000)), len(numbers)
            print("none was lost")
        """
        self.assertIn("none was lost", self.pair(self.SENDER, receiver))

    def test_one_loop_after_the_other(self) -> None:
        receiver = """
            import asyncio
            from dora import Node
            node = Node()
            for number in range(5):
                event = asyncio.run(node.recv_async())
                assert event["value"].to_pylist() == [number], event
            assert node.next()["value"].to_pylist() == [5]
            async def blocked():
                async def never():
                    while (await node.recv_async()) is not None: pass
                task = asyncio.create_task(never())
                while not node._turn().locked(): await asyncio.sleep(0)
                await task
            asyncio.run(blocked())
            print("all loops")
        """
        self.assertIn("all loops", self.pair(self.SENDER, receiver))

    def test_a_call_that_would_block_the_loop_for_ever_is_refused(self) -> None:
        waiting = """
            import asyncio
            from dora import Node
            node = Node()
            async def main():
                task = asyncio.create_task(node.recv_async())
                await asyncio.sleep(0.05)
                assert node.try_recv() is None
                try:
                    node.next()
                except RuntimeError as error:
                    assert "recv_async" in str(error)
                    print("refused")
                node.send_output("data", [1])
                assert (await task)["type"] == "INPUT_CLOSED"
            asyncio.run(main())
        """
        self.assertIn("refused", self.pair(waiting, "from dora import Node\nnode = Node()\nnode.next()"))

    def test_a_merged_async_source_runs_in_the_loop_at_hand(self) -> None:
        merging = """
            import asyncio
            from dora import Node
            node = Node()
            async def main():
                source = asyncio.Queue()
                async def items():
                    while True: yield await source.get()
                node.merge_external_events(items())
                for number in range(50):
                    source.put_nowait(number)
                got = [(await node.recv_async())["value"] for _ in range(50)]
                assert got == list(range(50)), got
                print("merged")
            asyncio.run(main())
        """
        self.assertIn("merged", self.pair(merging, "from dora import Node\nfor event in Node(): pass"))


class Ending(Dataflow):
    def test_a_thread_in_a_wait_does_not_disturb_the_end_of_the_interpreter(self) -> None:
        leaving = """
            import queue, threading
            from dora import Node
            node, source, received = Node(), queue.Queue(), threading.Event()
            node.merge_external_events(iter(source.get, None))
            threading.Thread(target=lambda: [received.set() for event in node], daemon=True).start()
            source.put("the thread that has received this waits for the next event, another one for the queue")
            received.wait()
            print("leaving")
        """
        for _ in range(3):
            self.assertIn("leaving", self.pair(leaving, "from dora import Node\nfor event in Node(): pass"))


if __name__ == "__main__":
    unittest.main()
