"""Nodes of a dataflow, in Python.

A node receives events and sends outputs::

    from dora import Node

    node = Node()
    for event in node:
        if event["type"] == "INPUT":
            node.send_output("doubled", [2 * number for number in event["value"].to_pylist()])

`dora run dataflow.yml` starts the nodes of a dataflow. See `help(dora.Node)`.
"""

from dora.arrays import to_numpy
from dora.builder import DataflowBuilder
from dora.command import build, run
from dora.dora import SampleBuffer, SampleHandler, __version__
from dora.errors import Stopping
from dora.events import INPUT_CLOSED, DoraStatus
from dora.node import Node

__author__ = "Dora-rs Authors"

__all__ = [
    "INPUT_CLOSED",
    "DataflowBuilder",
    "DoraStatus",
    "Node",
    "SampleBuffer",
    "SampleHandler",
    "Stopping",
    "__author__",
    "__version__",
    "build",
    "run",
    "to_numpy",
]
