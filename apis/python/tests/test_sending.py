"""What Python nodes send, and what arrives, in real dataflows."""

from __future__ import annotations

import unittest

from support import Dataflow

SENDER_OF_ARRAYS = """
from arrays import arrays
from dora import Node
node = Node()
for array in arrays:
    node.send_output("data", array)
"""

class Sending(Dataflow):
    def test_what_people_try_first_arrives(self) -> None:
        sender = """
            import array, numpy as np, pyarrow as pa
            from dora import Node
            class Capsule:
                def __init__(self, array): self.array = array
                def __arrow_c_array__(self, schema=None): return self.array.__arrow_c_array__(schema)
            class Tensor:
                def __init__(self, array): self.array = array
                def __dlpack__(self, **options): return self.array.__dlpack__(**options)
                def __dlpack_device__(self): return self.array.__dlpack_device__()
            node = Node()
            for data in [
                b"ab", bytearray(b"ab"), memoryview(b"ab"), array.array("d", [0.5, 1.5]),
                pa.array(["x", None]), pa.array([[1], [2, 3]]), pa.array(range(10))[3:5], pa.array([{"a": 1, "b": "c"}]),
                1, 0.5, True, "text", [1, 2], ["a"], (), {"a": 1, "b": [2]},
                Capsule(pa.array([1, 2], pa.int16())), Tensor(np.arange(3, dtype=np.float32)), np.int16(7),
                np.array(["a", "b"]),
            ]:
                node.send_output("data", data, {"of": type(data).__name__})
        """
        receiver = """
            from dora import Node
            node = Node()
            got = [(str(event["value"].type), event["value"].to_pylist()) for event in node if event["type"] == "INPUT"]
            expected = [
                ("uint8", [97, 98]), ("uint8", [97, 98]), ("uint8", [97, 98]), ("double", [0.5, 1.5]),
                ("string", ["x", None]), ("list<item: int64>", [[1], [2, 3]]), ("int64", [3, 4]),
                ("struct<a: int64, b: string>", [{"a": 1, "b": "c"}]),
                ("int64", [1]), ("double", [0.5]), ("bool", [True]), ("string", ["text"]), ("int64", [1, 2]),
                ("string", ["a"]), ("null", []), ("struct<a: int64, b: list<item: int64>>", [{"a": 1, "b": [2]}]),
                ("int16", [1, 2]), ("float", [0.0, 1.0, 2.0]), ("int16", [7]), ("string", ["a", "b"]),
            ]
            for found, wanted in zip(got, expected, strict=True):
                assert found == wanted, (found, wanted)
            print("all arrived")
        """
        self.assertIn("all arrived", self.pair(sender, receiver))

    def test_arrow_arrays_arrive_as_they_are(self) -> None:
        arrays = """
            import datetime, decimal, pyarrow as pa
            numbers = [f"{kind}int{bits}" for kind in ("", "u") for bits in (8, 16, 32, 64)] + ["float32", "float64"]
            arrays = [pa.array([0, None, 2, 3], getattr(pa, name)())[1:3] for name in numbers]
            arrays += [pa.array([True, None, False])[1:], pa.array(["a", None, "b"])[1:], pa.array([b"a", None, b"b"])[1:]]
            arrays += [pa.array(["a", "b"], pa.large_string()), pa.array(["a", "b", "a"]).dictionary_encode()]
            arrays += [pa.array([datetime.datetime(2024, 5, 6)], pa.timestamp("us", "UTC")), pa.array([decimal.Decimal("1.5")])]
            # memory that does not lie as Arrow's types must
            arrays += [pa.Array.from_buffers(pa.int64(), 2, [None, pa.py_buffer(bytes(range(17)))[1:]])]
        """
        self.program("arrays", arrays)
        receiver = """
            from arrays import arrays
            from dora import Node
            got = [event["value"] for event in Node() if event["type"] == "INPUT"]
            for found, sent in zip(got, arrays, strict=True):
                assert found.type == sent.type and found.equals(sent), (found, sent)
                found.validate(full=True)
            print("all arrived")
        """
        self.assertIn("all arrived", self.pair(SENDER_OF_ARRAYS, receiver))

    def test_numpy_arrays_come_back_with_shape_and_type_uncopied(self) -> None:
        arrays = """
            import numpy as np
            arrays = [
                np.arange(24, dtype=np.uint8).reshape(2, 3, 4), np.arange(6.0).reshape(2, 3)[:, ::2], np.float16([[1], [2]]),
                np.array([[True, False]]), np.array([1 + 2j]), np.array(5), np.zeros((0, 3), dtype=np.int32),
                np.array(["2024-05-06"], dtype="datetime64[D]"), np.arange(4, dtype=">i4"), np.asfortranarray(np.eye(3)),
                np.arange(1_000_000).reshape(1000, 1000),
            ]
        """
        self.program("arrays", arrays)
        receiver = """
            import numpy as np, dora
            from arrays import arrays
            events = [event for event in dora.Node() if event["type"] == "INPUT"]
            for event, sent in zip(events, arrays, strict=True):
                got = dora.to_numpy(event)
                assert got.shape == sent.shape and got.dtype == sent.dtype.newbyteorder("="), (got, sent)
                assert np.array_equal(got, sent) and not got.flags.writeable
            assert got.__array_interface__["data"][0] == event["value"].buffers()[1].address
            event["metadata"]["shape"] = [1, 2]
            try:
                dora.to_numpy(event)
            except ValueError as error:
                assert "passed on" in str(error)
                print("all came back")
        """
        self.assertIn("all came back", self.pair(SENDER_OF_ARRAYS, receiver))

    def test_wrong_data_say_what_would_be_right(self) -> None:
        sender = """
            import numpy as np, pyarrow as pa
            from dora import Node
            node = Node()
            wrong = {
                "None is no data": None, "dora cannot send a object": object(), "one type": [1, "a"],
                "combine_chunks": pa.chunked_array([[1]]), "pyarrow.array": pa.scalar(1),
                "fields": np.zeros(1, dtype=[("a", int)]), "send a list": np.array([["a"]]),
            }
            for words, data in wrong.items():
                try:
                    node.send_output("data", data)
                except TypeError as error:
                    assert words in str(error), error
                else:
                    raise AssertionError(words)
            for wrong, raised in {"x": TypeError, 3: TypeError}.items():
                try:
                    node.send_output("data", [1], wrong)
                except raised:
                    continue
                raise AssertionError(wrong)
            for metadata, raised in [({1: 2}, TypeError), ({"a": 2**70}, ValueError)]:
                try:
                    node.send_output("data", [1], metadata)
                except raised:
                    continue
                raise AssertionError(metadata)
            try:
                node.send_output("no spaces", [1])
            except RuntimeError as error:
                assert "no spaces" in str(error)
                print("all refused")
        """
        self.assertIn("all refused", self.pair(sender, "from dora import Node\nfor event in Node(): pass"))

    def test_an_unknown_output_warns_once_or_raises(self) -> None:
        sender = """
            from dora import Node
            node = Node()
            for _ in range(3):
                node.send_output("dta", [1])
        """
        receiver = "from dora import Node\nfor event in Node(): pass"
        printed = self.pair(sender, receiver)
        self.assertEqual(printed.count("output `dta` is ignored"), 1, printed)
        printed = self.pair(sender, receiver, code=1, env={"DORA_STRICT": "1"})
        self.assertIn("RuntimeError: output `dta` is not an open output of this node", printed)

    def test_passed_on_metadata_keep_no_stale_time(self) -> None:
        origin = """
            import time
            from dora import Node
            node = Node()
            node.send_output("data", [1], {"frame": 7})
            answer = node.next()["metadata"]
            assert answer["frame"] == 7
            sent = node.next()["metadata"]["first"]
            assert answer["timestamp"] > sent, (answer, sent)
            print("a time of its own")
        """
        echo = """
            from dora import Node
            node = Node()
            event = node.next()
            node.send_output("data", event["value"], event["metadata"])
            node.send_output("data", [2], {"first": event["metadata"]["timestamp"]})
        """
        self.assertIn("a time of its own", self.pair(origin, echo))

    def test_memory_written_in_place(self) -> None:
        sender = """
            import numpy as np
            from dora import Node
            node = Node()
            with node.send_output_raw("data", 1000, {"way": "with"}) as buffer:
                assert len(buffer) == 1000
                view = np.asarray(buffer)
                view[:] = 1
                del view
            sample = node.send_output_raw("data", 4)
            view = sample.as_memoryview()
            assert sample.as_memoryview() is view and sample.as_buffer() is sample.as_buffer() and not view.readonly
            view[:] = b"four"
            try:
                sample.send()
            except RuntimeError as error:
                assert "view" in str(error)
            view.release()
            buffer = sample.as_buffer()
            sample.send()
            for again in (sample.send, sample.as_buffer, sample.as_memoryview):
                try:
                    again()
                except RuntimeError as error:
                    assert "already" in str(error)
                    continue
                raise AssertionError(again)
            try:
                memoryview(buffer)
            except BufferError:
                pass
            else:
                raise AssertionError("a view of memory that was sent")
            try:
                with node.send_output_raw("data", 10) as buffer:
                    raise KeyError("discarded")
            except KeyError:
                pass
            for output in ("unknown", "no spaces"):
                try:
                    node.send_output_raw(output, 10)
                except RuntimeError as error:
                    assert output in str(error)
                    continue
                raise AssertionError(output)
            print("as agreed")
        """
        receiver = """
            from dora import Node
            first, second, *end = Node()
            assert first["value"].to_pylist() == [1] * 1000 and first["metadata"]["way"] == "with"
            assert bytes(second["value"].to_pylist()) == b"four"
            assert all(event["type"] != "INPUT" for event in end), end
            print("two arrived")
        """
        printed = self.pair(sender, receiver)
        self.assertIn("as agreed", printed)
        self.assertIn("two arrived", printed)

    def test_services(self) -> None:
        client = """
            from dora import Node
            node = Node()
            ids = [node.send_service_request("data", [number], {"request_id": "mine"}) for number in range(3)]
            answers = {}
            while len(answers) < 3:
                event = node.next()
                answers[event["metadata"]["request_id"]] = event["value"].to_pylist()
            assert [answers[id] for id in ids] == [[0], [1], [4]], answers
            print("answered")
        """
        server = """
            from dora import Node
            node = Node()
            for event in node:
                if event["type"] == "INPUT":
                    number = event["value"][0].as_py()
                    node.send_service_response("data", [number * number], event["metadata"])
        """
        self.assertIn("answered", self.pair(client, server))


class Identity(Dataflow):
    def test_a_node_knows_its_place(self) -> None:
        asking = """
            import uuid
            from dora import Node
            node = Node("another-name")
            config = node.node_config()
            assert config["outputs"] == ["data"] and config["inputs"]["data"]["source"] == "b/data", config
            assert config["inputs"]["data"]["queue_size"] == 1000
            assert [node["id"] for node in node.dataflow_descriptor()["nodes"]] == ["a", "b"]
            assert str(uuid.UUID(node.dataflow_id())) == node.dataflow_id()
            assert node.is_restart() is False and node.restart_count() == 0
            print("knows")
        """
        self.assertIn("knows", self.pair(asking, "from dora import Node\nfor event in Node(): pass"))

    def test_log_lines_have_their_level(self) -> None:
        logging = """
            import logging
            from dora import Node
            node = Node()
            node.log_warn("by the node")
            node.log("error", "with fields", target="part", fields={"key": "value"})
            logging.getLogger("module").warning("without a configuration")
            logging.basicConfig(level=logging.INFO)
            logging.getLogger("module").info("with %s", "arguments")
        """
        receiver = "from dora import Node\nfor event in Node(): pass"
        printed = self.pair(logging, receiver, "--log-format", "json")
        import json

        lines = {}
        for line in printed.splitlines():
            if line.startswith("{"):
                entry = json.loads(line)
                lines[entry.get("message")] = entry.get("level", "").lower()
        wanted = {
            "by the node": "warn",
            "with fields": "error",
            "without a configuration": "warn",
            "with arguments": "info",
        }
        self.assertEqual({text: lines.get(text) for text in wanted}, wanted, printed)


if __name__ == "__main__":
    unittest.main()
