"""Counts what arrives on its inputs, and sends the count."""

from dora import Node

node = Node()
count = 0
for event in node:
    if event["type"] == "INPUT":
        count += 1
        print(f"message {count} came on `{event['id']}`")
        node.send_output("count", [count], event["metadata"])
    elif event["type"] == "STOP":
        break
