"""Dataflow files, written by a program."""

from __future__ import annotations

import os
from typing import Any

_POLICIES = ("drop_oldest", "drop_newest", "backpressure")


class DataflowBuilder:
    """A dataflow that is put together step by step.

    ::

        with DataflowBuilder() as flow:
            talker = flow.add_node("talker", path="talker.py")
            listener = flow.add_node("listener", path="listener.py")
            listener.add_input("greeting", talker.add_output("greeting"), queue_size=10)
            flow.to_yaml("dataflow.yml")
    """

    def __init__(self, name: str = "dora-dataflow") -> None:
        self.name = name
        self.nodes: list[Node] = []

    def add_node(self, id: str, **kwargs: Any) -> Node:
        """Add a node. `kwargs` are keys of the node as in a dataflow file."""
        node = Node(id, **kwargs)
        self.nodes.append(node)
        return node

    def to_yaml(self, path: str | os.PathLike[str] | None = None) -> str | None:
        """The dataflow file as text; with `path` it is written there instead, and None is returned."""
        import yaml  # here, because nodes have no need of it and start sooner without

        text: str = yaml.dump({"nodes": [node.to_dict() for node in self.nodes]})
        if path is None:
            return text
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return None

    def __enter__(self) -> DataflowBuilder:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class Output:
    """An output of a node, to be used as the source of inputs. Its text is `node/output`."""

    def __init__(self, node: Node, output_id: str) -> None:
        self.node = node
        self.output_id = output_id

    def __str__(self) -> str:
        return f"{self.node.id}/{self.output_id}"


class Node:
    """A node of a dataflow that is put together. Its methods return it, so that calls can be chained."""

    def __init__(self, id: str, **kwargs: Any) -> None:
        self.id = id
        self.config: dict[str, Any] = {**kwargs, "id": id}
        self.operators: list[Operator] = []

    def path(self, path: str) -> Node:
        """Set the program, or the Python file."""
        return self._set(path=path)

    def args(self, args: str) -> Node:
        """Set the arguments of the program, as one types them."""
        return self._set(args=args)

    def env(self, env: dict[str, Any]) -> Node:
        """Set environment variables."""
        return self._set(env=env)

    def build(self, build_command: str) -> Node:
        """Set the command that `dora build` runs for this node."""
        return self._set(build=build_command)

    def git(self, url: str, branch: str | None = None, tag: str | None = None, rev: str | None = None) -> Node:
        """Take the node from a git repository, at a branch, a tag or a commit."""
        places = {"branch": branch, "tag": tag, "rev": rev}
        return self._set(git=url, **{key: value for key, value in places.items() if value is not None})

    def add_operator(self, operator: Operator) -> Node:
        """Add an operator, which runs in the process of this node."""
        self.operators.append(operator)
        return self

    def add_output(self, output_id: str) -> Output:
        """Add an output. Adding it again gives the same one."""
        outputs = self.config.setdefault("outputs", [])
        if output_id not in outputs:
            outputs.append(output_id)
        return Output(self, output_id)

    def add_input(
        self,
        input_id: str,
        source: str | Output,
        queue_size: int | None = None,
        queue_policy: str | None = None,
    ) -> Node:
        """Add an input.

        source: an output of another node, as `Output` or as text: "camera/image", "dora/timer/millis/100".
        queue_size: messages that wait for this node at most. queue_policy: what happens when that many do: "drop_oldest",
        "drop_newest" or "backpressure", which makes the sender wait.

        Raises ValueError for a queue size below 1 and an unknown policy.
        """
        if queue_size is not None and queue_size < 1:
            raise ValueError(f"queue_size is {queue_size}: a queue has room for 1 message at least")
        if queue_policy is not None and queue_policy not in _POLICIES:
            raise ValueError(f"queue_policy is {queue_policy!r}: choose one of {', '.join(_POLICIES)}")
        queue = {"queue_size": queue_size, "queue_policy": queue_policy}
        chosen = {key: value for key, value in queue.items() if value is not None}
        inputs = self.config.setdefault("inputs", {})
        inputs[input_id] = {"source": str(source), **chosen} if chosen else str(source)
        return self

    def to_dict(self) -> dict[str, Any]:
        """The node as it stands in a dataflow file."""
        operators = {"operators": [operator.to_dict() for operator in self.operators]} if self.operators else {}
        return {**self.config, **operators}

    def _set(self, **values: Any) -> Node:
        self.config.update(values)
        return self


class Operator:
    """An operator of a node: a Python file or a shared library."""

    def __init__(
        self,
        id: str,
        name: str | None = None,
        description: str | None = None,
        build: str | None = None,
        python: str | None = None,
        shared_library: str | None = None,
        send_stdout_as: str | None = None,
    ) -> None:
        self.id = id
        optional = {
            "name": name,
            "description": description,
            "build": build,
            "python": python,
            "shared-library": shared_library,
            "send_stdout_as": send_stdout_as,
        }
        self.config: dict[str, Any] = {"id": id, **{key: value for key, value in optional.items() if value}}

    def to_dict(self) -> dict[str, Any]:
        """The operator as it stands in a dataflow file."""
        return self.config
