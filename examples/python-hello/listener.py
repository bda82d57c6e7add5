"""Listens, and fails if a greeting is missing."""

from dora import Node

heard = 0
for event in Node():
    if event["type"] == "INPUT":
        heard += 1
        print(event["value"][0].as_py())
        assert event["metadata"]["count"] == heard, event

assert heard == 5, f"expected five greetings, heard {heard}"
