"""Interrupts a process while it waits. A test copies this file beside the nodes that import it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

PATIENCE = 60
"""Seconds after which a process counts as one that never waits."""


def await_sleep(pid: int) -> None:
    """Waits until the main thread of a process sleeps. Nothing tells of it, so the kernel is asked again and again."""
    deadline = time.monotonic() + PATIENCE
    while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "S":
        if time.monotonic() > deadline:
            raise TimeoutError(f"process {pid} does not wait")
        os.sched_yield()


def interrupt_once_asleep() -> None:
    """Sends SIGINT to this process as soon as it waits for something."""
    subprocess.Popen([sys.executable, __file__, str(os.getpid())])


if __name__ == "__main__":
    await_sleep(int(sys.argv[1]))
    os.kill(int(sys.argv[1]), signal.SIGINT)
