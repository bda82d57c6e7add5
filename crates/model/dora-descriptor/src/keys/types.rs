//! Keys of a type package: a file below `types/` beside the dataflow.

use super::{MapKey, Object, Shape, key};

pub(crate) static TYPE_PACKAGE: Object = Object {
    what: "a type package",
    name: "TypePackage",
    doc: "Definitions of types. The place of the file below `types/` is the first part of their URNs.",
    keys: &[key("types", Shape::Map(MapKey::Text, &Shape::Object(&TYPE)), "The types by name.")],
    required: &["types"],
    rules: &[],
};

static TYPE: Object = Object {
    what: "a type",
    name: "Type",
    doc: "A type of messages.",
    keys: &[
        key("arrow", Shape::Filled, "Its Arrow type, `Struct` if it has fields."),
        key("description", Shape::Text, "A description for people."),
        key("params", Shape::List(&Shape::Object(&PARAM)), "Parameters that tell variants apart."),
        key("fields", Shape::List(&Shape::Object(&FIELD)), "Fields of a struct."),
        key("metadata", Shape::List(&Shape::Object(&METADATA)), "Metadata keys that each message carries."),
    ],
    required: &["arrow"],
    rules: &[],
};

static FIELD: Object = Object {
    what: "a field",
    name: "TypeField",
    doc: "A field of a struct.",
    keys: &[
        key("name", Shape::Filled, "Name of the field."),
        key("type", Shape::Filled, "Arrow type, `List<...>`, or another type by name or URN."),
        key("nullable", Shape::Bool, "Whether values may be null. Default true."),
    ],
    required: &["name", "type"],
    rules: &[],
};

static PARAM: Object = Object {
    what: "a type parameter",
    name: "TypeParam",
    doc: "A parameter that tells variants of a type apart.",
    keys: &[
        key("name", Shape::Filled, "Name of the parameter."),
        key("default", Shape::Text, "Its value where none is given."),
    ],
    required: &["name"],
    rules: &[],
};

static METADATA: Object = Object {
    what: "a metadata key",
    name: "TypeMetadata",
    doc: "A metadata key that each message carries.",
    keys: &[key("key", Shape::Filled, "The key."), key("description", Shape::Text, "A description for people.")],
    required: &["key"],
    rules: &[],
};
