"""Records of `logging` become log lines of the node, with their level, where the program does not say otherwise."""

from __future__ import annotations

import logging
import os
import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dora.dora import Node

_WORDS = ((logging.ERROR, "error"), (logging.WARNING, "warn"), (logging.INFO, "info"), (logging.DEBUG, "debug"))

_basic_config = logging.basicConfig
_python_handler: logging.Handler = logging.lastResort or logging.StreamHandler()


class HostHandler(logging.Handler):
    """Gives records to the log of the node; on standard error once there is none."""

    node: weakref.ref[Node] | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Logs one record, with the place that it comes from."""
        try:
            text = self.format(record)
            node = self.node() if self.node is not None else None
            if node is None:
                _python_handler.handle(record)
                return
            level = next((word for least, word in _WORDS if record.levelno >= least), "trace")
            node.log(level, text, record.name, {"file": record.pathname, "line": str(record.lineno)})
        except Exception:
            self.handleError(record)


def install(node: Node) -> None:
    """Sees to it that records reach the log of this node, unless the program chooses handlers, a stream or a file.

    A node that runs alone logs as Python does.
    """
    if "DORA_NODE_CONFIG" not in os.environ:
        return
    if HostHandler.node is None:
        logging.basicConfig = _host_config
        logging.lastResort = _handler({}, logging.WARNING)
    HostHandler.node = weakref.ref(node)


def _host_config(**options: Any) -> None:
    """`logging.basicConfig`, for which "nothing chosen" means the log of the node."""
    if not {"handlers", "stream", "filename"} & options.keys():
        options["handlers"] = [_handler(options, logging.NOTSET)]
    _basic_config(**options)


def _handler(options: dict[str, Any], level: int) -> HostHandler:
    handler = HostHandler(level)
    if "format" not in options:
        handler.setFormatter(logging.Formatter("%(message)s"))
    return handler
