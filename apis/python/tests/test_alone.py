"""What needs no dataflow: MockNode, the builder, words, and what is written down about the types."""

from __future__ import annotations

import asyncio
import datetime
import inspect
import subprocess
import sys
import tempfile
import unittest
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import dora
import numpy as np
import pyarrow as pa
from dora.testing import MockNode


SETTINGS = Path(__file__).resolve().parents[1] / "pyproject.toml"
"""The settings of mypy."""


class Words(unittest.TestCase):
    def test_input_closed_equals_both_spellings(self) -> None:
        for spelling in ("INPUT_CLOSED", "InputClosed"):
            self.assertTrue(dora.INPUT_CLOSED == spelling and spelling == dora.INPUT_CLOSED)
            self.assertFalse(dora.INPUT_CLOSED != spelling or spelling != dora.INPUT_CLOSED)
        self.assertFalse(dora.INPUT_CLOSED == "INPUT" or dora.INPUT_CLOSED == 3)  # type: ignore[comparison-overlap]
        self.assertEqual({"INPUT_CLOSED": 1}[dora.INPUT_CLOSED], 1)
        self.assertEqual(str(dora.INPUT_CLOSED), "INPUT_CLOSED")
        match dora.INPUT_CLOSED:
            case "InputClosed":
                pass
            case _:
                self.fail("match compares")

    def test_status(self) -> None:
        self.assertEqual([status.value for status in dora.DoraStatus], [0, 1, 2])

    def test_everything_public_is_documented(self) -> None:
        for name in dora.__all__:
            self.assertTrue(name.startswith("__") or inspect.getdoc(getattr(dora, name)), name)
        for kind in (dora.Node, dora.SampleHandler, MockNode, dora.DataflowBuilder):
            for name, member in inspect.getmembers(kind, callable):
                self.assertTrue(name.startswith("_") or inspect.getdoc(member), f"{kind.__name__}.{name}")

    def test_the_stub_has_the_methods_of_the_native_class(self) -> None:
        public = {name for name in dir(dora.Node) if not name.startswith("__") and name not in object.__dict__}
        mocked = {name for name in dir(MockNode) if not name.startswith("_")}
        missing = {name for name in public if not name.startswith("_")} - mocked
        self.assertEqual({name for name in missing if "extension" not in name}, set(), "MockNode lacks them")


class Mocked(unittest.TestCase):
    def test_events_and_outputs(self) -> None:
        node = MockNode([("tick", pa.array([0])), ("image", np.eye(2))], {"a": 1})
        for event in node:
            if event["type"] == "INPUT":
                node.send_output("result", [42], event["metadata"])
        self.assertEqual([array.to_pylist() for array in node.outputs["result"]], [[42], [42]])
        self.assertEqual(node.metadata["result"][0], {"a": 1})
        self.assertIsNone(node.next())

    def test_numpy_arrays_are_as_in_a_dataflow(self) -> None:
        event = MockNode([("image", np.eye(2))]).next()
        assert event is not None
        self.assertTrue(np.array_equal(dora.to_numpy(event), np.eye(2)))
        self.assertIsInstance(event["metadata"]["timestamp"], datetime.datetime)

    def test_whole_events(self) -> None:
        node = MockNode([{"type": "INPUT_CLOSED", "id": "a"}, {"kind": "external", "value": 3}, {"type": "STOP", "id": "MANUAL"}])
        closed, external, stop = list(node)
        self.assertTrue(closed["type"] == "InputClosed" and closed["kind"] == "dora")
        self.assertEqual(external, {"kind": "external", "value": 3, "id": None})
        self.assertEqual(stop["id"], "MANUAL")

    def test_asynchronously(self) -> None:
        async def types() -> list[str]:
            return [event["type"] async for event in MockNode([("a", [1])])]

        self.assertEqual(asyncio.run(types()), ["INPUT", "STOP"])

    def test_services_and_logs(self) -> None:
        node = MockNode([], service_responses={"add": [[3]]}, is_restart=True)
        request = node.send_service_request("add", [1, 2])
        answer = node.next()
        assert answer is not None
        self.assertEqual((answer["id"], answer["value"].to_pylist()), ("add", [3]))
        self.assertEqual(answer["metadata"]["request_id"], request)
        node.send_service_response("sum", [3], answer["metadata"])
        self.assertEqual(node.service_responses_sent[0]["output_id"], "sum")
        node.log_warn("careful")
        self.assertEqual(node.logs[0]["level"], "warn")
        self.assertTrue(node.is_restart() and node.restart_count() == 1)

    def test_memory_is_written_and_kept(self) -> None:
        node = MockNode([])
        with node.send_output_raw("a", 3, {"way": "with"}) as buffer:
            view = np.asarray(buffer)
            view[:] = 7
            del view
        self.assertEqual((node.outputs["a"][0].to_pylist(), node.metadata["a"]), ([7, 7, 7], [{"way": "with"}]))
        sample = node.send_output_raw("b", 2)
        open_view = sample.as_memoryview()
        open_view[:] = b"ok"
        self.assertRaisesRegex(RuntimeError, "view", sample.send)
        open_view.release()
        sample.send()
        self.assertEqual(node.outputs["b"][0].to_pylist(), list(b"ok"))
        for again in (sample.send, sample.as_buffer, sample.as_memoryview):
            self.assertRaisesRegex(RuntimeError, "already", again)
        with self.assertRaises(KeyError), node.send_output_raw("c", 1):
            raise KeyError("discarded")
        self.assertNotIn("c", node.outputs)

    def test_other_sources_take_turns_and_end_before_the_stop(self) -> None:
        def failing() -> Iterator[int]:
            yield 1
            raise ValueError("no more")

        node = MockNode([("a", [1]), ("a", [2])])
        node.merge_external_events([10, 20, 30, 40])
        kinds = [event.get("value") if event["kind"] == "external" else event["type"] for event in node]
        self.assertEqual(kinds, [10, "INPUT", 20, "INPUT", 30, 40, "STOP"])
        self.assertRaises(TypeError, node.merge_external_events, 3)
        node = MockNode([])
        node.merge_external_events(failing())
        one, error, stop = node
        self.assertEqual((one["value"], str(error["value"]), stop["type"]), (1, "no more", "STOP"))

    def test_asynchronous_sources(self) -> None:
        async def numbers() -> AsyncIterator[int]:
            for number in range(3):
                await asyncio.sleep(0)
                yield number

        async def received() -> list[Any]:
            node = MockNode([])
            node.merge_external_events(numbers())
            return [event.get("value") async for event in node]

        async def blocking() -> None:
            node = MockNode([])
            node.merge_external_events(numbers())
            self.assertRaisesRegex(RuntimeError, "recv_async", node.next)

        self.assertEqual(asyncio.run(received()), [0, 1, 2, None])
        asyncio.run(blocking())
        node = MockNode([])
        node.merge_external_events(numbers())
        self.assertEqual([event.get("value") for event in node], [0, 1, 2, None])

    def test_wrong_data_are_refused_as_in_a_dataflow(self) -> None:
        self.assertRaises(TypeError, MockNode([]).send_output, "a", None)


class Builder(unittest.TestCase):
    def test_a_file(self) -> None:
        with dora.DataflowBuilder() as flow:
            talker = flow.add_node("talker", path="talker.py").env({"A": 1})
            listener = flow.add_node("listener").path("listener.py").args("-v")
            self.assertIs(listener.add_input("greeting", talker.add_output("greeting"), 10, "backpressure"), listener)
            listener.add_input("tick", "dora/timer/millis/10")
            text = flow.to_yaml()
        assert text is not None
        import yaml

        self.assertEqual(
            yaml.safe_load(text)["nodes"],
            [
                {"id": "talker", "path": "talker.py", "env": {"A": 1}, "outputs": ["greeting"]},
                {
                    "id": "listener",
                    "path": "listener.py",
                    "args": "-v",
                    "inputs": {
                        "greeting": {"source": "talker/greeting", "queue_size": 10, "queue_policy": "backpressure"},
                        "tick": "dora/timer/millis/10",
                    },
                },
            ],
        )

    def test_mistakes(self) -> None:
        node = dora.DataflowBuilder().add_node("a")
        self.assertRaises(ValueError, node.add_input, "b", "c/d", 0)
        self.assertRaises(ValueError, node.add_input, "b", "c/d", 1, "drop")


class Cuda(unittest.TestCase):
    def test_what_is_missing_is_told(self) -> None:
        try:
            import dora.cuda
        except ImportError as error:
            self.assertRegex(str(error), "dora.cuda needs (an NVIDIA GPU and its driver|PyTorch)")
        else:
            self.assertEqual(len(dora.cuda.__all__), 4)


class Types(unittest.TestCase):
    def test_mypy_is_content(self) -> None:
        try:
            import mypy  # noqa: F401
        except ImportError:
            self.skipTest("mypy is not installed")
        program = "import dora\nnode = dora.Node()\nreveal_type(node.next(1.0))\nnode.send_output(3, 4)\n"
        with tempfile.TemporaryDirectory() as directory:
            (Path(directory) / "program.py").write_text(program)
            options = ["--strict", "--config-file", str(SETTINGS), "--cache-dir", f"{directory}/cache"]
            for wanted, what in {
                "Success": ["-p", "dora"],
                "dict[str, Any] | None": ["program.py"],
                'incompatible type "int"; expected "str"': ["program.py"],
            }.items():
                command = [sys.executable, "-m", "mypy", *options, *what]
                checked = subprocess.run(command, cwd=directory, capture_output=True, text=True)
                self.assertIn(wanted, checked.stdout.replace("builtins.", ""), checked.stderr)


if __name__ == "__main__":
    unittest.main()
