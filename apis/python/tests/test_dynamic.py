"""Python programs that join a running dataflow by name, leave it, and join again."""

from __future__ import annotations

import shutil
import signal
import unittest

import interrupt
from support import PATIENCE, Dataflow

FLOW = """\
    nodes:
      - id: host
        path: host.py
        inputs:
          tick: dora/timer/millis/5
          word: guest/word
        outputs: [number]
      - id: guest
        path: dynamic
        inputs:
          number: host/number
        outputs: [word]
"""

HOST = """
    from dora import Node
    node = Node()
    for number, event in enumerate(node):
        if event["type"] == "INPUT" and event["id"] == "tick":
            node.send_output("number", [number])
        elif event["type"] == "INPUT":
            print("heard", event["value"][0].as_py(), flush=True)
        elif event["type"] == "STOP":
            break
"""


class Dynamic(Dataflow):
    def setUp(self) -> None:
        super().setUp()
        self.program("host", HOST)
        self.flow = self.start_flow(FLOW)
        self.addCleanup(self.flow.wait, PATIENCE)
        self.addCleanup(self.flow.send_signal, signal.SIGINT)
        self.seen = ""
        words = "may join; this is dataflow "
        self.dataflow = self.read_until(words).partition(words)[2].strip()

    def tearDown(self) -> None:
        assert self.flow.stdout is not None
        self.addCleanup(self.flow.stdout.close)

    def read_until(self, *words: str) -> str:
        """The line with which the dataflow has printed all of these, in whatever order."""
        assert self.flow.stdout is not None
        missing = set(words)
        for line in self.flow.stdout:
            self.seen += line
            missing = {text for text in missing if text not in line}
            if not missing:
                return line
        self.fail(f"{missing} is not in {self.seen}")

    def guest(self, name: str, text: str) -> str:
        """What a program printed that was started beside the dataflow."""
        self.program(name, text)
        return self.run_python(f"{name}.py", env={"DORA_DATAFLOW_ID": self.dataflow})

    def test_a_program_joins_leaves_and_joins_again(self) -> None:
        joining = """
            from dora import Node
            node = Node("guest")
            numbers = [node.next()["value"][0].as_py() for _ in range(3)]
            assert numbers == sorted(numbers), numbers
            node.send_output("word", "hello")
            print("saw three")
        """
        for _ in range(2):
            self.assertIn("saw three", self.guest("joining", joining))
            self.read_until("heard hello", "node `guest` has left")

    def test_a_program_makes_a_new_node_each_round(self) -> None:
        rounds = """
            from dora import Node
            for word in ["one", "two", "three"]:
                node = Node("guest")
                node.send_output("word", word)
                while node.next(timeout=0.001)["type"] != "ERROR": pass
            print("three rounds")
        """
        self.assertIn("three rounds", self.guest("rounds", rounds))
        for word in ("one", "two", "three"):
            self.read_until(f"heard {word}")

    def test_ctrl_c_ends_the_search_and_nothing_of_it_comes_later(self) -> None:
        interrupted = """
            import os, signal, socket, threading, uuid
            import interrupt
            from dora import Node
            # What was started in the background by a shell ignores it.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            # A keeper that does not answer, and whose silence is interrupted.
            silent = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            silent.bind(f"\\0dora/{os.getuid()}/{uuid.uuid4()}")
            silent.listen()
            connections = []
            def interrupt_who_asks():
                connections.append(silent.accept()[0])
                connections[0].recv(1000)
                interrupt.await_sleep(os.getpid())
                signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            threading.Thread(target=interrupt_who_asks).start()
            try:
                Node("guest")
            except KeyboardInterrupt:
                print("interrupted")
            silent.close()
            node = Node("guest")
            try:
                node.send_output("no id", [])
            except RuntimeError as error:
                print(error)
        """
        shutil.copy(interrupt.__file__, self.directory)
        self.assertRegex(self.guest("interrupted", interrupted), r"^interrupted\ninput or output id `no id`")

    def test_an_unknown_name_is_told_with_those_that_are_there(self) -> None:
        refused = """
            from dora import Node
            try:
                Node("gest")
            except RuntimeError as error:
                print(error)
        """
        self.assertIn("guest", self.guest("refused", refused))


if __name__ == "__main__":
    unittest.main()
