"""What goes wrong in Python nodes, and what is told about it, in real dataflows."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import unittest

import interrupt
from support import PATIENCE, Dataflow

LISTENER = "from dora import Node\nfor event in Node(): pass"


def one_way(queue_size: int) -> str:
    """A dataflow in which `b` receives losslessly what `a` sends."""
    return f"""\
        nodes:
          - id: a
            path: a.py
            outputs: [data]
          - id: b
            path: b.py
            inputs:
              data: {{source: a/data, queue_size: {queue_size}, queue_policy: backpressure}}
    """


class Ends(Dataflow):
    """How a node ends, and what the summary says of it."""

    def test_a_traceback_is_shown_once_with_its_level_and_names_the_cause(self) -> None:
        failing = """
            from dora import Node
            node = Node()
            def develop():
                raise ValueError("out of film")
            develop()
        """
        lines = self.pair(failing, LISTENER, "--log-format", "json", code=1).splitlines()
        entries = [entry for line in lines if (entry := self.json(line)) and entry.get("node_id") == "a"]
        (told,) = [entry for entry in entries if "Traceback" in entry["message"]]
        self.assertEqual(told["level"].lower(), "error", told)
        self.assertTrue(told["message"].endswith("ValueError: out of film"), told)
        self.assertEqual(told["fields"]["exception"], "ValueError")
        self.assertTrue(told["file"].endswith("a.py") and told["line"] == 5, told)
        printed = self.pair(failing, LISTENER, code=1)
        self.assertEqual(printed.partition("Dataflow failed")[0].count("Traceback"), 1, printed)
        self.assertIn("ValueError: out of film", printed.partition("Dataflow failed")[2])

    def test_a_failure_is_told_to_whom_the_node_feeds(self) -> None:
        failing = "from dora import Node\nnode = Node()\nraise ValueError('out of film')"
        watching = """
            from dora import Node
            failed = [event for event in Node() if event["type"] == "NODE_FAILED"]
            assert [event["id"] for event in failed] == ["a"] and failed[0]["value"]["affected_input_ids"] == ["data"]
            assert "ValueError: out of film" in failed[0]["value"]["error"], failed
            print("b knows why")
        """
        self.assertIn("b knows why", self.pair(failing, watching, code=1))

    def test_an_exit_code_is_the_nodes_own(self) -> None:
        printed = self.pair("import sys\nfrom dora import Node\nnode = Node()\nsys.exit(3)", LISTENER, code=1)
        self.assertIn("`a` failed: exited with code 3", printed)

    def test_a_crash_in_an_extension_leaves_the_lines_of_python_that_called_it(self) -> None:
        crashing = """
            import ctypes
            from dora import Node
            node = Node()
            def into_the_void():
                ctypes.string_at(0)
            into_the_void()
        """
        told = self.pair(crashing, LISTENER, code=1).partition("Dataflow failed")[2]
        self.assertIn("SIGSEGV", told)
        self.assertIn("in into_the_void", told)

    def test_a_thread_that_fails_is_told_and_the_node_goes_on(self) -> None:
        failing = """
            import threading
            from dora import Node
            node = Node()
            def fail(): raise KeyError("lens")
            thread = threading.Thread(target=fail, name="focus")
            thread.start()
            thread.join()
            node.send_output("data", "sent all the same")
        """
        printed = self.pair(failing, "from dora import Node\nprint(Node().next()['value'][0])")
        self.assertIn("Exception in thread focus", printed)
        self.assertIn("KeyError: 'lens'", printed)
        self.assertIn("sent all the same", printed)


class Children(Dataflow):
    def test_a_spawned_child_is_no_node_and_its_parent_stays_one(self) -> None:
        spawning = """
            import multiprocessing
            from dora import Node

            def child(numbers):
                try:
                    Node()
                except RuntimeError as error:
                    return str(error), sum(numbers)

            if __name__ == "__main__":
                node = Node()
                numbers = node.next()["value"].to_pylist()
                with multiprocessing.get_context("spawn").Pool(2) as pool:
                    for error, total in pool.map(child, [numbers] * 4):
                        assert "started this process as a child" in error and total == 6, (error, total)
                node.send_output("data", "four children")
        """
        answered = """
            from dora import Node
            node = Node()
            node.send_output("data", [1, 2, 3])
            print(node.next()["value"][0])
        """
        self.assertIn("four children", self.pair(spawning, answered))

    def test_a_forked_child_is_no_node(self) -> None:
        forking = """
            import multiprocessing
            from dora import Node
            node = Node()
            value = node.next()["value"]
            def child(answers):
                try:
                    node.send_output("data", [1])
                except RuntimeError as error:
                    answers.put((str(error), value.to_pylist(), node.next()["type"], node.next()))
            context = multiprocessing.get_context("fork")
            answers = context.Queue()
            process = context.Process(target=child, args=(answers,))
            process.start()
            error, values, event, end = answers.get()
            process.join()
            assert "forked" in error and values == [1] * 1000 and event == "ERROR" and end is None, (error, values)
            node.send_output("data", [process.exitcode])
        """
        answered = """
            from dora import Node
            node = Node()
            node.send_output("data", [1] * 1000)
            assert node.next()["value"].to_pylist() == [0]
            print("the parent still is one")
        """
        self.assertIn("the parent still is one", self.pair(forking, answered))


class Starts(Dataflow):
    def test_a_process_is_one_node_at_most(self) -> None:
        twice = """
            from dora import Node
            node = Node()
            assert Node() is node and Node("another name") is node
            node.send_output("data", [1])
            del node
            try:
                Node()
            except RuntimeError as error:
                assert "node before" in str(error), error
                print("one at most")
        """
        self.assertIn("one at most", self.pair(twice, LISTENER))

    def test_a_process_that_is_no_node_is_told_what_to_do(self) -> None:
        env = {key: value for key, value in os.environ.items() if not key.startswith("DORA_")}
        command = [sys.executable, "-c", "from dora import Node; Node()"]
        failed = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        self.assertNotEqual(failed.returncode, 0)
        self.assertIn("Could not initiate node from environment variable", failed.stderr)
        self.assertIn("dora run", failed.stderr)


class Interrupted(Dataflow):
    """Ctrl-C, wherever a node is blocked."""

    def setUp(self) -> None:
        super().setUp()
        shutil.copy(interrupt.__file__, self.directory)
        # Opening one end of it waits for the other.
        os.mkfifo(self.directory / "go")

    def test_in_a_wait_for_events(self) -> None:
        waiting = """
            from dora import Node
            from interrupt import interrupt_once_asleep
            node = Node()
            interrupt_once_asleep()
            try:
                node.next()
            except KeyboardInterrupt:
                print("interrupted")
        """
        self.assertIn("interrupted", self.pair(waiting, LISTENER))

    def test_before_the_dataflow_starts(self) -> None:
        waiting = """
            from dora import Node
            from interrupt import interrupt_once_asleep
            interrupt_once_asleep()
            try:
                Node()
            except KeyboardInterrupt:
                print("interrupted")
                open("go", "w").close()
        """
        # The other one is not ready before the interrupt.
        late = "from dora import Node\nopen('go').close()\nNode()"
        printed = self.pair(waiting, late, code=None)
        self.assertIn("interrupted", printed)

    def test_in_a_send_that_waits_for_room(self) -> None:
        sending = """
            from dora import Node
            from interrupt import interrupt_once_asleep
            node = Node()
            interrupt_once_asleep()
            sent = 0
            try:
                while True:
                    node.send_output("data", b"x" * 1000)
                    sent += 1
            except KeyboardInterrupt:
                print("interrupted after", sent)
                open("go", "w").close()
            node.next()  # the node goes on: the other one is done
        """
        # It takes nothing before the sender was interrupted, and then everything that was queued.
        slow = """
            from dora import Node
            node = Node()
            open("go").close()
            received = [event for event in node.drain() if event["type"] == "INPUT"]
            print("took", len(received))
        """
        printed = self.pair(sending, slow)
        self.assertIn("interrupted after 1000", printed)
        self.assertIn("took 1000", printed)

    def test_a_handler_that_raises_nothing_lets_the_wait_go_on(self) -> None:
        waiting = """
            import signal
            from dora import Node
            from interrupt import interrupt_once_asleep
            def handle(*_):
                print("handled", flush=True)
                open("go", "w").close()
            signal.signal(signal.SIGINT, handle)
            node = Node()
            interrupt_once_asleep()
            while node.next()["type"] != "INPUT_CLOSED": pass
            print("went on")
        """
        late = "from dora import Node\nnode = Node()\nopen('go').close()"
        printed = self.pair(waiting, late)
        self.assertLess(printed.index("handled"), printed.index("went on"))

    def test_of_the_whole_dataflow_while_a_node_waits_for_room(self) -> None:
        sending = """
            import os
            from dora import Node
            node = Node()
            print("sender", os.getpid(), flush=True)
            while True:
                node.send_output("data", b"x")
        """
        self.program("a", sending)
        receiving = """
            from dora import Node
            node = Node()
            open("go").close()
            for event in node:
                if event["type"] == "STOP": break
        """
        self.program("b", receiving)
        with self.start_flow(one_way(2)) as process:
            assert process.stdout is not None
            told = next(line for line in process.stdout if "sender" in line)
            interrupt.await_sleep(int(told.split()[-1]))
            process.send_signal(signal.SIGINT)
            open(self.directory / "go", "w").close()
            rest, _ = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 0, rest)
        self.assertNotIn("Traceback", rest)


class Memory(Dataflow):
    def test_an_array_that_is_kept_holds_only_its_chunk(self) -> None:
        sender = """
            import numpy as np
            from dora import Node
            node, picture = Node(), np.zeros(1_000_000, dtype=np.uint8)
            for number in range(300):
                picture[:] = number % 251
                node.send_output("data", picture)
        """
        keeper = """
            from dora import Node
            kept, seen = None, 0
            for event in Node():
                if event["type"] == "INPUT":
                    kept = event["value"] if kept is None else kept
                    assert event["value"][999_999].as_py() == seen % 251
                    seen += 1
            assert seen == 300 and kept[999_999].as_py() == 0
            print("kept one of", seen)
        """
        # Of 300 MB at most 16 MB are there at a time: what is released is used again, beside the one that is kept.
        self.program("a", sender)
        self.program("b", keeper)
        self.assertIn("kept one of 300", self.run_flow(one_way(4), "--memory", "16MB"))


if __name__ == "__main__":
    unittest.main()
