"""Says hello, once per tick of its timer, until it is stopped."""

from dora import Node

node = Node()
said = 0
for event in node:
    if event["type"] == "INPUT":
        said += 1
        node.send_output("greeting", [f"hello {said}"], event["metadata"])
    elif event["type"] == "STOP":
        break
# The end of the program closes the output: the listener still hears everything that was said, then the end.
