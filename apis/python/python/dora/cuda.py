"""Tensors on a GPU, from node to node of one machine: a handle travels, the data stay where they are.

::

    # The node that has a tensor
    buffer, metadata = torch_to_ipc_buffer(tensor)
    node.send_output("tensor", buffer, metadata)
    ...  # keeps the tensor until the receiver is done with it, as a message of its tells

    # The node that reads it
    handle = ipc_buffer_to_ipc_handle(event["value"], event["metadata"])
    with open_ipc_handle(handle, event["metadata"]) as tensor:
        print(tensor.sum())

Needs an NVIDIA GPU with its driver, and PyTorch; importing this module raises ImportError where one is missing.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

__all__ = ["IpcHandle", "ipc_buffer_to_ipc_handle", "open_ipc_handle", "torch_to_ipc_buffer"]

try:
    _driver = ctypes.CDLL("libcuda.so.1")
except OSError as error:
    raise ImportError(f"dora.cuda needs an NVIDIA GPU and its driver, which is not installed here: {error}") from error
try:
    import torch
except ImportError as error:
    raise ImportError("dora.cuda needs PyTorch: `pip install torch`") from error

_HANDLE_BYTES = 64
_LAZY_PEER_ACCESS = 1


class _Handle(ctypes.Structure):
    _fields_ = [("reserved", ctypes.c_byte * _HANDLE_BYTES)]


_driver.cuMemGetAddressRange_v2.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint64]
_driver.cuIpcGetMemHandle.argtypes = [ctypes.POINTER(_Handle), ctypes.c_uint64]
_driver.cuIpcOpenMemHandle_v2.argtypes = [ctypes.c_void_p, _Handle, ctypes.c_uint]
_driver.cuIpcCloseMemHandle.argtypes = [ctypes.c_uint64]


@dataclass(frozen=True)
class IpcHandle:
    """Memory of another process on a GPU: `size` bytes from `offset` on, in the allocation that `handle` names."""

    handle: bytes
    offset: int
    size: int
    device: int


def torch_to_ipc_buffer(tensor: Any) -> tuple[pa.Array, dict[str, Any]]:
    """The handle of a tensor as an array of 64 int8, and the metadata to send with it.

    tensor: contiguous, on a GPU, of any shape and dtype. Keep it until the receiver is done with it.

    Raises ValueError for any other tensor, RuntimeError if the driver refuses (allocators that map memory piece by piece,
    as with `expandable_segments`, cannot be shared).
    """
    if not tensor.is_cuda:
        raise ValueError("this tensor is not on a GPU: send `.numpy()` of it, which needs no handle")
    if not tensor.is_contiguous():
        raise ValueError("this tensor is not contiguous: make `.contiguous()` of it, and keep that")
    device, address = tensor.get_device(), tensor.data_ptr()
    base, handle = ctypes.c_uint64(), _Handle()
    with _context(device):
        _check("find the allocation", _driver.cuMemGetAddressRange_v2(ctypes.byref(base), None, address))
        _check("share the allocation", _driver.cuIpcGetMemHandle(ctypes.byref(handle), base))
    metadata = {
        "shape": list(tensor.shape),
        "dtype": str(tensor.dtype).removeprefix("torch."),
        "size": tensor.numel() * tensor.element_size(),
        "offset": address - base.value,
        "device": device,
    }
    return pa.array(list(handle.reserved), pa.int8()), metadata


def ipc_buffer_to_ipc_handle(handle_buffer: pa.Array, metadata: Mapping[str, Any]) -> IpcHandle:
    """The handle that `torch_to_ipc_buffer` made, from the value and the metadata of an event.

    Raises ValueError if they are of another message.
    """
    handle = handle_buffer.to_numpy(zero_copy_only=False).astype("int8").tobytes()
    missing = [key for key in ("offset", "size", "device") if key not in metadata]
    if missing or len(handle) != _HANDLE_BYTES:
        raise ValueError(f"this is no handle of a tensor: {len(handle)} bytes, metadata without {missing or 'nothing'}")
    return IpcHandle(handle, metadata["offset"], metadata["size"], metadata["device"])


@contextmanager
def open_ipc_handle(ipc_handle: IpcHandle, metadata: Mapping[str, Any]) -> Iterator[Any]:
    """The tensor behind a handle, as long as the `with` block lasts. It is the sender's memory: not a copy.

    Raises RuntimeError if the driver refuses: a process cannot open its own handles, nor those of one that has ended.
    """
    base, handle = ctypes.c_uint64(), _Handle.from_buffer_copy(ipc_handle.handle)
    with _context(ipc_handle.device):
        _check("open the handle", _driver.cuIpcOpenMemHandle_v2(ctypes.byref(base), handle, _LAZY_PEER_ACCESS))
        try:
            memory = _Memory(base.value + ipc_handle.offset, ipc_handle.size)
            flat = torch.as_tensor(memory, device=f"cuda:{ipc_handle.device}")
            yield flat.view(getattr(torch, metadata["dtype"])).reshape([int(length) for length in metadata["shape"]])
        finally:
            _driver.cuIpcCloseMemHandle(base)


class _Memory:
    """Bytes on a GPU, as other libraries take them."""

    def __init__(self, address: int, size: int) -> None:
        self.__cuda_array_interface__ = {"shape": (size,), "typestr": "|u1", "data": (address, False), "version": 3}


@contextmanager
def _context(device: int) -> Iterator[None]:
    """Makes the context that PyTorch uses on this device that of this thread."""
    context = ctypes.c_void_p()
    _check("start", _driver.cuInit(0))
    _check("use the device", _driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), device))
    try:
        _check("use the device", _driver.cuCtxPushCurrent_v2(context))
        try:
            yield
        finally:
            _driver.cuCtxPopCurrent_v2(ctypes.byref(ctypes.c_void_p()))
    finally:
        _driver.cuDevicePrimaryCtxRelease_v2(device)


def _check(what: str, code: int) -> None:
    if code != 0:
        name = ctypes.c_char_p()
        _driver.cuGetErrorName(code, ctypes.byref(name))
        raise RuntimeError(f"the GPU cannot {what}: {(name.value or b'unknown error').decode()}")
