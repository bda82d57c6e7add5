"""Between Arrow arrays and what people work with: numpy arrays, lists, texts."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

_CPU = 1
"""The device type of host memory in DLPack."""

_WHAT_CAN_BE_SENT = (
    "send bytes, a pyarrow or numpy array, a number, a text, a list, a dict, or an object with __arrow_c_array__, "
    "__dlpack__ or the buffer protocol"
)


def to_numpy(event: Mapping[str, Any]) -> NDArray[Any]:
    """The value of an INPUT event as a numpy array.

    Of a numpy array that was sent, shape and dtype are restored, and nothing is copied: the array is read-only and points
    into shared memory, which it keeps as long as it lives. `.copy()` makes one that can be written.

    Of any other value the array is flat, and not copied if the value has numbers and no nulls.

    Raises ValueError if `shape` and `dtype` in the metadata do not fit the value, as when the metadata of another message
    was passed on.
    """
    import numpy as np

    value, metadata = event["value"], event.get("metadata") or {}
    name, shape = metadata.get("dtype"), metadata.get("shape")
    if name is None or shape is None:
        flat: NDArray[Any] = value.to_numpy(zero_copy_only=False)
        return flat
    try:
        dtype = np.dtype(name)
        restored: NDArray[Any] = value.to_numpy(zero_copy_only=True).view(dtype).reshape(shape)
        return restored
    except (TypeError, ValueError, pa.ArrowInvalid) as error:
        raise ValueError(
            f"the metadata say dtype {name} and shape {list(shape)}, but the value has {len(value)} x {value.type}. "
            "Were they passed on from another message? Then leave `dtype` and `shape` out, or use event['value']"
        ) from error


def prepare(data: Any) -> tuple[pa.Array, dict[str, Any] | None]:
    """The Arrow array for what a user sends, and the metadata that describe it.

    Raises TypeError for what cannot be sent.
    """
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(data, (numpy.ndarray, numpy.generic)):
        return _from_numpy(data)
    if isinstance(data, bytearray):
        return _from_bytes(data), None
    if isinstance(data, (bool, int, float, str, dict, list, tuple)):
        return _from_python(data), None
    if hasattr(data, "__arrow_c_array__"):
        return pa.array(data), None
    if hasattr(data, "__dlpack__"):
        return _from_dlpack(data)
    try:
        view = memoryview(data)
    except TypeError:
        raise _refusal(data) from None
    return _from_view(view), None


def _from_python(data: Any) -> pa.Array:
    try:
        return pa.array(data if isinstance(data, (list, tuple)) else [data])
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
        raise TypeError(f"this {type(data).__name__} is no Arrow array: {error}. The items of a list have one type") from error


def _from_bytes(data: Any) -> pa.Array:
    buffer = pa.py_buffer(data)
    return pa.Array.from_buffers(pa.uint8(), buffer.size, [None, buffer])


def _from_view(view: memoryview) -> pa.Array:
    import numpy as np

    try:
        array = np.asarray(view)
    except (TypeError, ValueError, NotImplementedError) as error:
        raise TypeError(f"a buffer with items of format {view.format!r} cannot be sent: {error}") from error
    return _from_numpy(array)[0]


def _from_dlpack(data: Any) -> tuple[pa.Array, dict[str, Any] | None]:
    import numpy as np

    device, _ = data.__dlpack_device__()
    if device != _CPU:
        raise TypeError(f"this {type(data).__name__} lies on a device: send `.cpu()` of it, or see dora.cuda")
    detach = getattr(data, "detach", None)
    if detach is not None and getattr(data, "requires_grad", False):
        data = detach()
    try:
        array = np.from_dlpack(data)
    except (BufferError, RuntimeError, TypeError) as error:
        raise TypeError(f"this {type(data).__name__} cannot be sent: {error}") from error
    return _from_numpy(array)


def _from_numpy(array: np.ndarray[Any, Any] | np.generic) -> tuple[pa.Array, dict[str, Any] | None]:
    import numpy as np

    array = np.asarray(array)
    kind = array.dtype.kind
    if kind in "OUS":
        if array.ndim > 1:
            raise TypeError(f"a numpy array of {array.dtype} with {array.ndim} dimensions cannot be sent: send a list")
        return _from_python(array.tolist()), None
    if kind not in "biufcmM":
        raise TypeError(f"a numpy array of {array.dtype} cannot be sent: send its fields one by one, or `.tobytes()`")
    shape = list(array.shape)
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    flat = np.ascontiguousarray(array).reshape(-1)
    described = {"dtype": flat.dtype.name, "shape": shape}
    if kind in "bcmM" or flat.dtype.itemsize > 8:
        flat = flat.view(np.uint8)  # Arrow lays these out otherwise, or not at all: their bytes travel
    return pa.array(flat), described


def _refusal(data: Any) -> TypeError:
    name = f"{type(data).__module__}.{type(data).__qualname__}".removeprefix("builtins.")
    hint = ""
    if data is None:
        hint = "None is no data; send an empty list for a message without content. "
    elif isinstance(data, pa.ChunkedArray):
        hint = "Send `.combine_chunks()` of it. "
    elif isinstance(data, pa.Table):
        hint = "Send `.combine_chunks().to_batches()[0]` of it, or its columns. "
    elif isinstance(data, pa.Scalar):
        hint = "Send `pyarrow.array([scalar])`. "
    elif hasattr(data, "to_numpy"):
        hint = "Send `.to_numpy()` of it. "
    return TypeError(f"dora cannot send a {name}. {hint}What can be sent: {_WHAT_CAN_BE_SENT}")
