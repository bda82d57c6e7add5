"""A benchmark node in Python, for this project and for dora-rs alike: roles and variables are those of src/node.rs.

    sender    sends BENCH_SIZE bytes each BENCH_GAP_MS (0: back to back)
    receiver  a latency row, or a rate row when the gap is 0, and what was lost
    ticker    sends at once, and with each of BENCH_TICKS ticks
    stamp     writes the time of its first message
    awaiter   receives everything through `recv_async`

BENCH_VARIANT: `inplace` writes 8 bytes into memory of the node, `copy` has an array copied.
"""

import os
import time

import numpy as np
import pyarrow as pa
from dora import Node

now_ns = time.perf_counter_ns  # CLOCK_MONOTONIC on Linux, shared by all processes


def number(name, default):
    return int(os.environ.get(name, default))


SIZE, GAP_MS, WARM, COUNT = (number(f"BENCH_{name}", value) for name, value in [("SIZE", 8), ("GAP_MS", 5), ("WARM", 20), ("COUNT", 400)])
METRIC = os.environ.get("BENCH_METRIC", "")

if cpu := os.environ.get("BENCH_CPU"):
    os.sched_setaffinity(0, {int(cpu)})


def append(variable, text):
    """One write, so that the lines of several processes do not mix."""
    if path := os.environ.get(variable):
        with open(path, "a", buffering=1 << 20) as file:
            file.write(text)


def row(metric, middle, worst, count):
    append("BENCH_CSV", f"{os.environ.get('BENCH_PEER', 'dora')},python,{metric},{SIZE},{middle},{worst},{count}\n")


def percentile(samples, share):
    return sorted(samples)[round((len(samples) - 1) * share)] / 1e3


def send():
    node = Node()
    payload = np.full(SIZE, 7, dtype=np.uint8)
    stamp, array = payload[:8].view(np.uint64), pa.array(payload)
    in_place = os.environ.get("BENCH_VARIANT") == "inplace"
    time.sleep(number("BENCH_SETTLE_MS", 200) / 1000)
    for _ in range(WARM + COUNT):
        if GAP_MS:
            time.sleep(GAP_MS / 1000)
        if in_place:
            now = now_ns()
            with node.send_output_raw("out", SIZE) as buffer:
                memoryview(buffer)[:8] = now.to_bytes(8, "little")
        else:
            stamp[0] = now_ns()
            node.send_output("out", array)


def receive():
    times, arrived = [], 0
    for event in Node():
        if event["type"] != "INPUT":
            continue
        if GAP_MS:
            value, now = event["value"], now_ns()
            times.append((int(value[:8].to_numpy().view(np.uint64)[0]), now))
        else:
            arrived += 1
            if arrived == WARM:
                first = now_ns()
            last = arrived == WARM + COUNT and now_ns()
    if GAP_MS:
        arrived, measured = len(times), times[WARM:]
        append("BENCH_RAW", "".join(f"{sent},{now - sent}\n" for sent, now in measured))
        spans = [now - sent for sent, now in measured]
        row(METRIC, percentile(spans, 0.5), percentile(spans, 0.99), len(spans))
    elif last:
        rate = COUNT / ((last - first) / 1e9)
        row(METRIC, round(rate), rate * SIZE / 1e9, COUNT)
    row(f"{METRIC}_lost", WARM + COUNT - arrived, WARM + COUNT - arrived, WARM + COUNT)


def tick():
    node, array = Node(), pa.array(np.zeros(8, dtype=np.uint8))
    for _ in range(number("BENCH_TICKS", 100)):
        node.send_output("out", array)
        if node.next()["type"] != "INPUT":
            break


def stamp():
    node = Node()
    while (event := node.next()) is not None and event["type"] != "INPUT":
        pass
    append("BENCH_STAMPS", f"first,{now_ns()}\n")
    for _ in node:
        pass


def receive_awaiting():
    import asyncio  # here, so that it is no part of what other roles take to start

    async def count():
        node, arrived = Node(), 0
        while (event := await node.recv_async()) is not None:
            arrived += event["type"] == "INPUT"
        return arrived

    if (arrived := asyncio.run(count())) != WARM + COUNT:
        raise SystemExit(f"{arrived} of {WARM + COUNT} messages arrived")


{"sender": send, "receiver": receive, "ticker": tick, "stamp": stamp, "awaiter": receive_awaiting}[os.environ["BENCH_ROLE"]]()
