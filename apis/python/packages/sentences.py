"""Says a sentence at each tick."""

from dora import Node

node = Node()
for event in node:
    if event["type"] == "INPUT":
        node.send_output("sentence", ["a green square"])
