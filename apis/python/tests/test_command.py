"""`dora.build`, `dora.run` and `DataflowBuilder` with the real command."""

from __future__ import annotations

import os
import sys
import textwrap
import unittest
from pathlib import Path

from support import Dataflow, dora

TALKER = "from dora import Node\nNode().send_output('greeting', 'hello')"
LISTENER = "from dora import Node\nprint('heard', [event['value'][0] for event in Node() if event['type'] == 'INPUT'])"


class Command(Dataflow):
    def run_script(self, text: str) -> str:
        """What a program printed that is no node, with the command under test first on its PATH."""
        path = os.pathsep.join([str(Path(dora()).resolve().parent), str(Path(sys.executable).parent), os.environ["PATH"]])
        return self.run_python("-c", textwrap.dedent(text), env={"PATH": path})

    def test_a_dataflow_is_put_together_built_and_run(self) -> None:
        self.program("talker", TALKER)
        self.program("listener", LISTENER)
        printed = self.run_script("""
            from pathlib import Path
            from dora import DataflowBuilder, build, run
            with DataflowBuilder() as flow:
                talker = flow.add_node("talker").path("talker.py").build("touch built")
                flow.add_node("listener", path="listener.py").add_input("greeting", talker.add_output("greeting"), 5)
                flow.to_yaml("flow.yml")
            build("flow.yml")
            assert Path("built").exists()
            run(Path("flow.yml"))
            print("ran")
        """)
        self.assertIn("heard [<pyarrow.StringScalar: 'hello'>]", printed)
        self.assertIn("ran", printed)

    def test_a_dataflow_is_stopped_in_time(self) -> None:
        # Its timer never ends. A busy machine may not have started it by then.
        self.program("waiter", "from dora import Node\nfor event in Node(): pass")
        printed = self.run_script("""
            from dora import DataflowBuilder, run
            flow = DataflowBuilder()
            flow.add_node("waiter").path("waiter.py").add_input("tick", "dora/timer/millis/20")
            flow.to_yaml("flow.yml")
            run("flow.yml", stop_after=0.5)
            print("stopped")
        """)
        self.assertIn("stopped", printed)

    def test_failures_are_raised(self) -> None:
        self.program("failing", "raise SystemExit(3)")
        printed = self.run_script("""
            from dora import DataflowBuilder, build, run
            flow = DataflowBuilder()
            flow.add_node("failing").path("failing.py").build("no-such-program-anywhere")
            flow.to_yaml("flow.yml")
            flow = DataflowBuilder()
            flow.add_node("failing").path("failing.py")
            flow.to_yaml("good.yml")
            for call, path in [(build, "flow.yml"), (run, "good.yml"), (run, "missing.yml")]:
                try:
                    call(path)
                except RuntimeError as error:
                    print("raised:", error)
        """)
        for words in ("`dora build flow.yml` failed", "`dora run good.yml` failed", "`dora run missing.yml` failed"):
            self.assertIn(f"raised: {words} with exit code 1", printed)

    def test_a_node_may_run_a_dataflow_of_its_own(self) -> None:
        self.program("talker", TALKER)
        self.program("listener", LISTENER)
        inner = """
            nodes:
              - {id: talker, path: talker.py, outputs: [greeting]}
              - {id: listener, path: listener.py, inputs: {greeting: talker/greeting}}
        """
        (self.directory / "inner.yml").write_text(textwrap.dedent(inner))
        self.program("outer", "from dora import Node, run\nnode = Node()\nrun('inner.yml')\nprint('both ran')")
        path = os.pathsep.join([str(Path(dora()).resolve().parent), str(Path(sys.executable).parent), os.environ["PATH"]])
        printed = self.run_flow("nodes:\n  - {id: outer, path: outer.py}", env={"PATH": path})
        self.assertIn("heard", printed)
        self.assertIn("both ran", printed)


if __name__ == "__main__":
    unittest.main()
