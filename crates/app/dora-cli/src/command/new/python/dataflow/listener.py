"""Prints what it hears."""

from dora import Node

for event in Node():
    if event["type"] == "INPUT":
        greeting = event["value"][0].as_py()
        print(f"heard: {greeting}")
    elif event["type"] == "STOP":
        break
