"""Chats once with a server on this machine, and fails unless that repeats what is said."""

import json
import urllib.error
import urllib.request

from dora import Node

URL = "http://127.0.0.1:8000/v1/chat/completions"
QUESTION = {"model": "echo", "messages": [{"role": "user", "content": "hello"}]}


def chat():
    request = urllib.request.Request(URL, json.dumps(QUESTION).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=15) as answer:
        return json.load(answer)["choices"][0]["message"]["content"]


node = Node()
while True:
    try:
        said = chat()
        break
    except urllib.error.URLError:
        node.next(timeout=0.2)  # it does not listen yet
assert said == "hello", said
print(f"the server said {said}")
