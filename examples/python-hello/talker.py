"""Says hello five times, a bit louder each time."""

from dora import Node

node = Node()
for count, event in enumerate(node, start=1):
    if event["type"] == "STOP":
        break
    node.send_output("greeting", "hello" + "!" * count, {"count": count})
    if count == 5:
        break
