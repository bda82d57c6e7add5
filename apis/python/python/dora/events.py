"""Words of events: their types, and what an operator answers."""

from __future__ import annotations

from enum import Enum


class DoraStatus(Enum):
    """What an operator wants after an event."""

    CONTINUE = 0
    """To go on."""
    STOP = 1
    """To end."""
    STOP_ALL = 2
    """The whole dataflow to end."""


class _InputClosed(str):
    """A text that also equals the spelling of a tutorial that many nodes were written after."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return str.__eq__(self, other) is True or other == "InputClosed"

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


INPUT_CLOSED: str = _InputClosed("INPUT_CLOSED")
"""The type of the event that says that no more messages come in an input.

It equals `"INPUT_CLOSED"` and `"InputClosed"`. Its hash is that of `"INPUT_CLOSED"`, so only that spelling is found as the
key of a dict or in a set.
"""
