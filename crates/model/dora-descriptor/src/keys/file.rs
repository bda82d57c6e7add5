//! Keys of a whole file: a dataflow, a module.

use super::{Key, MapKey, Object, Shape, Status, key, node::NODE, old};

const DATA_IDS: Shape = Shape::List(&Shape::DataId);

pub(crate) static DATAFLOW: Object = Object {
    what: "a dataflow",
    name: "Dataflow",
    doc: "A dataflow: nodes, and how their outputs feed each other's inputs.",
    keys: &[
        key("nodes", Shape::List(&Shape::Object(&NODE)), "The nodes."),
        key("env", ENV, "Environment variables of all nodes; a node's own win."),
        key("deploy", Shape::Object(&DEPLOY), "Where nodes run that do not say it themselves."),
        key("debug", Shape::Object(&DEBUG), "Settings for debugging."),
        key(
            "health_check_interval",
            Shape::Seconds(false),
            "Accepted and without effect: each limit of time is kept exactly. Default 5.",
        ),
        key("strict_types", Shape::Bool, "Type warnings are errors."),
        key("exit_when_nodes_finish", Shape::Bool, "Timers do not keep the dataflow running."),
        key(
            "type_rules",
            Shape::List(&Shape::Object(&TYPE_RULE)),
            "Types that may be sent where another type is expected.",
        ),
        old("_unstable_deploy", Shape::Object(&DEPLOY), "`deploy`", "Spelling of `deploy` in dora 0.x."),
        old("_unstable_debug", Shape::Object(&UNSTABLE_DEBUG), "`debug`", "Spelling of `debug` in dora 0.x."),
        Key {
            name: "communication",
            shape: Shape::Any,
            status: Status::NoEffect("nodes always talk through shared memory on one machine"),
            doc: "Choice of a transport in dora 0.x; without effect.",
        },
    ],
    required: &["nodes"],
    rules: &[],
};

pub(super) const ENV: Shape = Shape::Map(MapKey::EnvName, &Shape::EnvValue);

pub(super) static DEPLOY: Object = Object {
    what: "`deploy`",
    name: "Deploy",
    doc: "Which machine runs a node, and where on it.",
    keys: &[
        key("machine", Shape::Filled, "Name of the machine."),
        key("working_dir", Shape::Filled, "Working directory of the node."),
        key("labels", Shape::Map(MapKey::Text, &Shape::Text), "Labels that the machine must carry."),
        key(
            "distribute",
            Shape::Word(&["local", "scp", "http"], false),
            "How the program gets to the machine. Default `local`: it is there already.",
        ),
    ],
    required: &[],
    rules: &[],
};

pub(super) static DEBUG: Object = Object {
    what: "`debug`",
    name: "Debug",
    doc: "Settings for debugging.",
    keys: &[key("enable_debug_inspection", Shape::Bool, "Let tools look at the messages of every edge.")],
    required: &[],
    rules: &[],
};

static UNSTABLE_DEBUG: Object = Object {
    what: "`_unstable_debug`",
    name: "UnstableDebug",
    doc: "Settings for debugging in dora 0.x.",
    keys: &[old(
        "publish_all_messages_to_zenoh",
        Shape::Bool,
        "`debug: { enable_debug_inspection: ... }`",
        "Spelling of `enable_debug_inspection` in dora 0.x.",
    )],
    required: &[],
    rules: &[],
};

static TYPE_RULE: Object = Object {
    what: "a type rule",
    name: "TypeRule",
    doc: "A type that may be sent where another type is expected.",
    keys: &[
        key("from", Shape::Filled, "URN of the type that is sent."),
        key("to", Shape::Filled, "URN of the type that is expected."),
    ],
    required: &["from", "to"],
    rules: &[],
};

pub(crate) static MODULE_FILE: Object = Object {
    what: "a module file",
    name: "ModuleFile",
    doc: "A module: nodes that are used as one.",
    keys: &[
        key("module", Shape::Object(&MODULE_HEADER), "Name and ports of the module."),
        key("nodes", Shape::List(&Shape::Object(&NODE)), "The nodes. `_mod/<port>` stands for an input of the module."),
        key("build", Shape::Text, "Commands that run before the build commands of the nodes."),
    ],
    required: &["module", "nodes"],
    rules: &[],
};

pub(super) static MODULE_HEADER: Object = Object {
    what: "a module header",
    name: "ModuleHeader",
    doc: "Name and ports of a module.",
    keys: &[
        key("name", Shape::Text, "Name of the module, for people."),
        key("inputs", DATA_IDS, "Inputs that must be connected."),
        key("inputs_optional", DATA_IDS, "Inputs that may be left out; those that read them vanish with them."),
        key("outputs", DATA_IDS, "Outputs. Each is an output of exactly one node of the module."),
    ],
    required: &["name"],
    rules: &[],
};
