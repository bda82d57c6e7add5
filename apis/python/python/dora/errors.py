"""What a node raises beside Python's own exceptions."""

from __future__ import annotations


class Stopping(RuntimeError, SystemExit):
    """The dataflow is stopping, so a message was not sent: the queue of a receiver with `backpressure` is full.

    A node that does not catch it ends here, quietly and well, as by `sys.exit()`.
    """
