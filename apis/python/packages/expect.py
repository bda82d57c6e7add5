"""Ends well when INPUT has come COUNT times: `expect.py INPUT COUNT`. Fails if its inputs end before."""

import sys

from dora import Node

wanted, count = sys.argv[1], int(sys.argv[2])
heard = 0
for event in Node():
    if event["type"] == "INPUT" and event["id"] == wanted:
        heard += 1
        if heard == count:
            print(f"heard {wanted} {heard} times")
            sys.exit(0)
sys.exit(f"{wanted} came {heard} times, {count} were expected")
