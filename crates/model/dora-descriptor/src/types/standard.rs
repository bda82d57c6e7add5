//! The types that every dataflow knows.

/// A type: name, Arrow type, fields (name and type).
pub(super) type Entry = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

/// Packages and their types.
pub(super) const PACKAGES: [(&str, &[Entry]); 5] = [
    (
        "std/core/v1",
        &[
            ("Bool", "Boolean", &[]),
            ("Bytes", "LargeBinary", &[]),
            ("String", "Utf8", &[]),
            ("UInt8", "UInt8", &[]),
            ("UInt16", "UInt16", &[]),
            ("UInt32", "UInt32", &[]),
            ("UInt64", "UInt64", &[]),
            ("Int8", "Int8", &[]),
            ("Int16", "Int16", &[]),
            ("Int32", "Int32", &[]),
            ("Int64", "Int64", &[]),
            ("Float32", "Float32", &[]),
            ("Float64", "Float64", &[]),
        ],
    ),
    (
        "std/math/v1",
        &[
            ("Vector3", "Struct", &[("x", "Float64"), ("y", "Float64"), ("z", "Float64")]),
            ("Quaternion", "Struct", &[("x", "Float64"), ("y", "Float64"), ("z", "Float64"), ("w", "Float64")]),
            ("Pose", "Struct", &[("position", "Vector3"), ("orientation", "Quaternion")]),
            ("Transform", "Struct", &[("translation", "Vector3"), ("rotation", "Quaternion")]),
        ],
    ),
    (
        "std/control/v1",
        &[
            ("Twist", "Struct", &[("linear", "Vector3"), ("angular", "Vector3")]),
            (
                "JointState",
                "Struct",
                &[
                    ("names", "List<Utf8>"),
                    ("positions", "List<Float64>"),
                    ("velocities", "List<Float64>"),
                    ("efforts", "List<Float64>"),
                ],
            ),
            ("Odometry", "Struct", &[("pose", "Pose"), ("twist", "Twist"), ("frame_id", "Utf8")]),
        ],
    ),
    (
        "std/media/v1",
        &[
            (
                "Image",
                "Struct",
                &[("width", "UInt32"), ("height", "UInt32"), ("encoding", "Utf8"), ("data", "LargeBinary")],
            ),
            ("CompressedImage", "LargeBinary", &[]),
            ("PointCloud", "Struct", &[("points", "LargeBinary"), ("width", "UInt32"), ("height", "UInt32")]),
            ("AudioFrame", "Struct", &[("sample_rate", "UInt32"), ("channels", "UInt32"), ("data", "LargeBinary")]),
        ],
    ),
    (
        "std/vision/v1",
        &[
            (
                "BoundingBox",
                "Struct",
                &[
                    ("x", "Float32"),
                    ("y", "Float32"),
                    ("width", "Float32"),
                    ("height", "Float32"),
                    ("confidence", "Float32"),
                    ("label", "Utf8"),
                ],
            ),
            ("Detection", "Struct", &[("boxes", "List<BoundingBox>")]),
            (
                "Segmentation",
                "Struct",
                &[
                    ("width", "UInt32"),
                    ("height", "UInt32"),
                    ("num_classes", "UInt32"),
                    ("mask", "LargeBinary"),
                    ("class_names", "List<Utf8>"),
                ],
            ),
        ],
    ),
];
