"""Records of `logging`, and exceptions that nobody caught, become log lines of the node, with their level, where the
program does not say otherwise."""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
import threading
import traceback
import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType

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
        if sys.excepthook is sys.__excepthook__:
            sys.excepthook = _tell_failure
        if threading.excepthook is threading.__excepthook__:
            threading.excepthook = _tell_thread
        if sys.stderr is not None and not faulthandler.is_enabled():
            faulthandler.enable(2)  # an extension that crashes leaves the lines of Python that called it
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


def _tell_failure(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """An exception that ends the program."""
    node = HostHandler.node() if HostHandler.node is not None else None
    if node is None or not issubclass(kind, Exception):
        sys.__excepthook__(kind, error, trace)
    else:
        node._log_failure(*_told(kind, error, trace))


def _tell_thread(args: threading.ExceptHookArgs) -> None:
    """An exception that ends a thread, which is not the end of the program."""
    node = HostHandler.node() if HostHandler.node is not None else None
    if node is None or args.exc_value is None or not issubclass(args.exc_type, Exception):
        threading.__excepthook__(args)
        return
    text, target, fields = _told(args.exc_type, args.exc_value, args.exc_traceback)
    thread = args.thread.name if args.thread is not None else "unknown"
    node.log("error", f"Exception in thread {thread}:\n{text}", target, fields)


def _told(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> tuple[str, str, dict[str, str]]:
    """The traceback, the module of the exception, and where it was raised."""
    text = "".join(traceback.format_exception(kind, error, trace)).rstrip()
    frames = traceback.extract_tb(trace)
    place = {"file": frames[-1].filename, "line": str(frames[-1].lineno)} if frames else {}
    return text, kind.__module__, {"exception": kind.__qualname__, **place}
