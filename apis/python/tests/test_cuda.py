"""dora.cuda with a driver and a PyTorch that are made up here: what is asked of them, not whether a GPU does it."""

from __future__ import annotations

import ctypes
import importlib
import sys
import types
import unittest
from typing import Any
from unittest import mock

import numpy as np

BASE, OFFSET = 0x7F00_0000, 512


class Function:
    """A function of the driver: notes its calls, and answers with 0."""

    def __init__(self, name: str, driver: Driver) -> None:
        self.name, self.driver = name, driver
        self.argtypes: list[Any] = []

    def __call__(self, *arguments: Any) -> int:
        self.driver.calls.append(self.name)
        if self.name in ("cuMemGetAddressRange_v2", "cuIpcOpenMemHandle_v2"):
            arguments[0]._obj.value = BASE
        if self.name == "cuIpcGetMemHandle":
            arguments[0]._obj.reserved[:] = range(-32, 32)
        if self.name == "cuIpcOpenMemHandle_v2":
            self.driver.opened = bytes(arguments[1])
        return self.driver.codes.get(self.name, 0)


class Driver:
    def __init__(self) -> None:
        self.calls: list[str] = []
        self.codes: dict[str, int] = {}
        self.opened = b""

    def __getattr__(self, name: str) -> Function:
        function = Function(name, self)
        setattr(self, name, function)
        return function


class Tensor:
    """6 float32 in 2 rows, somewhere on a GPU."""

    is_cuda, shape, dtype = True, (2, 3), "torch.float32"
    is_contiguous = staticmethod(lambda: True)
    get_device = staticmethod(lambda: 1)
    data_ptr = staticmethod(lambda: BASE + OFFSET)
    numel = staticmethod(lambda: 6)
    element_size = staticmethod(lambda: 4)


class Flat:
    def __init__(self, memory: Any, device: str) -> None:
        self.memory, self.device = memory.__cuda_array_interface__, device

    def view(self, dtype: Any) -> Flat:
        self.dtype = dtype
        return self

    def reshape(self, shape: list[int]) -> Flat:
        self.shape = shape
        return self


class Cuda(unittest.TestCase):
    def setUp(self) -> None:
        self.driver = Driver()
        torch = types.SimpleNamespace(as_tensor=Flat, float32="four bytes")
        sys.modules.pop("dora.cuda", None)
        self.addCleanup(sys.modules.pop, "dora.cuda", None)
        with mock.patch.object(ctypes, "CDLL", lambda _name: self.driver), mock.patch.dict(sys.modules, torch=torch):
            self.cuda = importlib.import_module("dora.cuda")

    def test_a_tensor_is_found_again_behind_its_handle(self) -> None:
        buffer, metadata = self.cuda.torch_to_ipc_buffer(Tensor())
        self.assertEqual(buffer.to_pylist(), list(range(-32, 32)))
        self.assertEqual(metadata, {"shape": [2, 3], "dtype": "float32", "size": 24, "offset": OFFSET, "device": 1})
        handle = self.cuda.ipc_buffer_to_ipc_handle(buffer, metadata)
        with self.cuda.open_ipc_handle(handle, metadata) as tensor:
            self.assertEqual((tensor.shape, tensor.dtype, tensor.device), ([2, 3], "four bytes", "cuda:1"))
            self.assertEqual((tensor.memory["data"], tensor.memory["shape"]), ((BASE + OFFSET, False), (24,)))
            self.assertNotIn("cuIpcCloseMemHandle", self.driver.calls)
        self.assertEqual(self.driver.opened, np.arange(-32, 32, dtype=np.int8).tobytes())
        self.assertEqual(self.driver.calls.count("cuIpcCloseMemHandle"), 1)
        pushed, popped = (self.driver.calls.count(f"cuCtx{what}Current_v2") for what in ("Push", "Pop"))
        self.assertEqual((pushed, popped), (2, 2))

    def test_what_cannot_be_shared_is_told(self) -> None:
        for attribute, words in {"is_cuda": "not on a GPU", "is_contiguous": "contiguous"}.items():
            tensor = Tensor()
            setattr(tensor, attribute, False if attribute == "is_cuda" else lambda: False)
            self.assertRaisesRegex(ValueError, words, self.cuda.torch_to_ipc_buffer, tensor)
        self.driver.codes["cuIpcGetMemHandle"] = 1
        self.assertRaisesRegex(RuntimeError, "share the allocation", self.cuda.torch_to_ipc_buffer, Tensor())
        self.assertEqual(self.driver.calls.count("cuCtxPopCurrent_v2"), 1)

    def test_other_messages_are_no_handles(self) -> None:
        buffer, metadata = self.cuda.torch_to_ipc_buffer(Tensor())
        del metadata["offset"]
        self.assertRaisesRegex(ValueError, "offset", self.cuda.ipc_buffer_to_ipc_handle, buffer, metadata)
        self.assertRaises(ValueError, self.cuda.ipc_buffer_to_ipc_handle, buffer[:8], {**metadata, "offset": 0})


if __name__ == "__main__":
    unittest.main()
