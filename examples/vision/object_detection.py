"""Finds faces with a trained cascade, the one that scikit-image brings along."""

import numpy as np
import pyarrow as pa
from dora import Node
from skimage.data import lbp_frontal_face_cascade_filename
from skimage.feature import Cascade

SMALLEST, LARGEST = 80, 260
"""Faces that are looked for, in pixels."""

NEIGHBOURS = 8
"""Windows that must agree on a face: with fewer, cats have human faces."""

BOXES = pa.struct({"bbox": pa.list_(pa.float32()), "labels": pa.list_(pa.string())})

cascade = Cascade(lbp_frontal_face_cascade_filename())


def faces(image: np.ndarray) -> list[list[int]]:
    """Boxes as left, top, right, bottom."""
    found = cascade.detect_multi_scale(
        img=image,
        scale_factor=1.2,
        step_ratio=1,
        min_size=(SMALLEST, SMALLEST),
        max_size=(LARGEST, LARGEST),
        min_neighbor_number=NEIGHBOURS,
    )
    return [[box["c"], box["r"], box["c"] + box["width"], box["r"] + box["height"]] for box in found]


node = Node()
for event in node:
    if event["type"] == "INPUT":
        metadata = event["metadata"]
        # A view of the pixels in shared memory; nothing is copied.
        pixels = event["value"].to_numpy().reshape(metadata["height"], metadata["width"], 3)
        boxes = faces(pixels)
        found = {"bbox": np.ravel(boxes), "labels": ["face"] * len(boxes)}
        node.send_output("bbox", pa.array([found], BOXES), metadata)
