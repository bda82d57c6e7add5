"""The `dora` command, called from Python."""

from __future__ import annotations

import os


def build(
    dataflow_path: str | os.PathLike[str],
    uv: bool | None = None,
    coordinator_addr: str | None = None,
    coordinator_port: int | None = None,
    force_local: bool = False,
) -> None:
    """Build the nodes of a dataflow: run the `build` commands of its file. As `dora build`.

    uv: build Python nodes in environments of their own, made by uv.
    coordinator_addr, coordinator_port: build where this coordinator says; force_local: build here all the same.

    Raises RuntimeError if the command fails, with its exit code; it has told why on standard error.
    """
    arguments = ["build", os.fspath(dataflow_path)]
    if uv:
        arguments.append("--uv")
    if coordinator_addr is not None:
        arguments += ["--coordinator-addr", coordinator_addr]
    if coordinator_port is not None:
        arguments += ["--coordinator-port", str(coordinator_port)]
    if force_local:
        arguments.append("--local")
    _dora(arguments)


def run(dataflow_path: str | os.PathLike[str], uv: bool | None = None, stop_after: float | None = None) -> None:
    """Run a dataflow on this machine, until all its nodes are done. As `dora run`.

    uv: run Python nodes in the environments that `build` made with uv. stop_after: seconds after which the nodes are asked
    to stop.

    Raises RuntimeError if a node fails or the file has mistakes; the command has told why on standard error.
    """
    arguments = ["run", os.fspath(dataflow_path)]
    if uv:
        arguments.append("--uv")
    if stop_after is not None:
        arguments += ["--stop-after", f"{stop_after}s"]
    _dora(arguments)


def _dora(arguments: list[str]) -> None:
    import subprocess  # here, because nodes have no need of it and start sooner without

    program = _program()
    # A node that runs a dataflow of its own does not lend it its place.
    environment = {key: value for key, value in os.environ.items() if key != "DORA_NODE_CONFIG"}
    with subprocess.Popen([program, *arguments], env=environment) as process:
        try:
            code = process.wait()
        except KeyboardInterrupt:
            code = process.wait()  # it was interrupted as well, and ends its nodes in order
            raise
    if code != 0:
        raise RuntimeError(f"`dora {' '.join(arguments)}` failed with exit code {code}")


def _program() -> str:
    """The command that was installed with this Python, else that on the PATH."""
    import shutil
    import sysconfig

    scripts = sysconfig.get_path("scripts")
    found = shutil.which("dora", path=scripts) or shutil.which("dora")
    if found is None:
        raise RuntimeError(f"there is no `dora` command in {scripts} nor on the PATH: `pip install dora-rs-cli` installs it")
    return found
