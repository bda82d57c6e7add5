"""Dataflows of small Python programs, run by the real `dora`, for the tests of this directory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import textwrap
import unittest
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[3]

PATIENCE = 60
"""Seconds after which a dataflow counts as hung."""


def dora() -> str:
    """The command under test: DORA_TEST_BINARY, else the newest build of this repository."""
    if given := os.environ.get("DORA_TEST_BINARY"):
        return given
    builds = [REPOSITORY / "target" / profile / "dora" for profile in ("release", "debug")]
    found = sorted((path for path in builds if path.exists()), key=lambda path: path.stat().st_mtime)
    if not found:
        raise unittest.SkipTest("there is no `dora` command: build it, or name it in DORA_TEST_BINARY")
    return str(found[-1])


class Dataflow(unittest.TestCase):
    """A test with a directory of its own, and nodes that are Python programs in it."""

    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory(prefix="dora-python-")
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)

    def program(self, name: str, text: str) -> None:
        """Writes the program NAME.py."""
        (self.directory / f"{name}.py").write_text(textwrap.dedent(text))

    def run_flow(self, flow: str, *arguments: str, code: int | None = 0, env: dict[str, str] | None = None) -> str:
        """Runs a dataflow file; what all of it printed. Fails if the exit code is another; None: any."""
        with self.start_flow(flow, *arguments, env=env) as process:
            try:
                printed, _ = process.communicate(timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        if code is not None:
            self.assertEqual(process.returncode, code, printed)
        return printed

    def start_flow(self, flow: str, *arguments: str, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
        """Starts a dataflow file. What all of it prints is on the process's standard output."""
        (self.directory / "dataflow.yml").write_text(textwrap.dedent(flow))
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        return subprocess.Popen(
            [dora(), "run", "dataflow.yml", *arguments],
            cwd=self.directory,
            env={**os.environ, "PATH": path, **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run_python(self, *arguments: str, env: dict[str, str]) -> str:
        """What a program printed that no dataflow has started. Fails unless it ends well."""
        finished = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.directory,
            env={**os.environ, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
        )
        self.assertEqual(finished.returncode, 0, finished.stdout)
        return finished.stdout

    @staticmethod
    def json(line: str) -> dict[str, Any] | None:
        """The object that a line holds, if it does."""
        if not line.startswith("{"):
            return None
        entry: dict[str, Any] = json.loads(line)
        return entry

    def pair(self, a: str, b: str, *arguments: str, code: int | None = 0, env: dict[str, str] | None = None) -> str:
        """Runs two nodes that receive losslessly what the other one sends on its output `data`."""
        self.program("a", a)
        self.program("b", b)
        flow = """\
            nodes:
              - id: a
                path: a.py
                outputs: [data]
                inputs:
                  data: {source: b/data, queue_size: 1000}
              - id: b
                path: b.py
                outputs: [data]
                inputs:
                  data: {source: a/data, queue_size: 1000, queue_policy: backpressure}
        """
        return self.run_flow(flow, *arguments, code=code, env=env)
