//! Keys of a node, its inputs and its operators.

use super::{
    Alternative, Key, MapKey, Object, Rule, Shape,
    file::{DEPLOY, ENV},
    key, never, old,
};

const DATA_IDS: Shape = Shape::List(&Shape::DataId);
const INPUTS: Shape = Shape::Map(MapKey::DataId, &Shape::Either(&Shape::Source, &INPUT));
const TYPES: Shape = Shape::Map(MapKey::DataId, &Shape::Filled);
const LOG_LEVEL: Shape = Shape::Word(&["error", "warn", "info", "debug", "trace", "stdout"], true);
const U32: Shape = Shape::Int(0, u32::MAX);
const SECONDS: Shape = Shape::Seconds(true);
const OPERATORS: Shape = Shape::List(&Shape::Object(&OPERATORS_ITEM));

/// Keys that nodes and operators share.
const PORTS: [Key; 12] = [
    key("inputs", INPUTS, "Inputs, and where each comes from: `node/output`, `dora/timer/millis/100`, ..."),
    key("outputs", DATA_IDS, "Outputs."),
    key("input_types", TYPES, "URN of the type that each input expects."),
    key("output_types", TYPES, "URN of the type that each output sends."),
    key(
        "output_metadata",
        Shape::Map(MapKey::DataId, &Shape::List(&Shape::Filled)),
        "Metadata keys that the messages of each output carry.",
    ),
    key(
        "output_framing",
        Shape::Map(MapKey::DataId, &Shape::Word(&["raw", "arrow-ipc"], false)),
        "Kept for old files; receivers see no difference.",
    ),
    key(
        "pattern",
        Shape::Word(&["service-server", "service-client", "action-server", "action-client"], false),
        "Role in a service or an action; implies metadata keys of the outputs.",
    ),
    key("send_stdout_as", Shape::DataId, "Output that carries each line of standard output and error."),
    key("send_logs_as", Shape::DataId, "Output that carries each structured log entry."),
    key("min_log_level", LOG_LEVEL, "The least severe level that is kept."),
    key("max_log_size", Shape::Bytes, "Size at which the log file is rotated, for example 50MB."),
    key("max_rotated_files", Shape::Int(1, 100), "Rotated log files that are kept. Default 5."),
];

static NODE_KEYS: [Key; 43] = {
    let [
        inputs,
        outputs,
        input_types,
        output_types,
        output_metadata,
        output_framing,
        pattern,
        stdout_as,
        logs_as,
        min_level,
        log_size,
        rotated,
    ] = PORTS;
    [
        key("id", Shape::NodeId, "Name of the node in this dataflow."),
        key("name", Shape::Text, "A name for people."),
        key("description", Shape::Text, "A description for people."),
        key(
            "path",
            Shape::Filled,
            "Program, Python file or URL; `shell` for a command line, `dynamic` to start it by hand.",
        ),
        key("path_sha256", Shape::Sha256, "SHA-256 of what a URL gives."),
        key("args", Shape::Text, "Arguments, quoted as in a shell; the command line itself with `path: shell`."),
        key("env", ENV, "Environment variables, for building and running."),
        key("build", Shape::Text, "Commands that build the node, one per line."),
        key("git", Shape::Filled, "Repository that holds the node."),
        key("branch", Shape::Filled, "Branch of the repository."),
        key("tag", Shape::Filled, "Tag of the repository."),
        key("rev", Shape::Filled, "Commit of the repository."),
        inputs,
        outputs,
        input_types,
        output_types,
        output_metadata,
        output_framing,
        pattern,
        stdout_as,
        logs_as,
        min_level,
        log_size,
        rotated,
        key(
            "restart_policy",
            Shape::Word(&["never", "on-failure", "always"], false),
            "Which exits lead to a restart. Default never.",
        ),
        key("max_restarts", U32, "Restarts at most; 0, the default, for no limit."),
        key("restart_delay", SECONDS, "Seconds before the first restart; doubles with each one."),
        key("max_restart_delay", SECONDS, "The longest wait before a restart, in seconds."),
        key("restart_window", SECONDS, "Seconds after which restarts are no longer counted."),
        key(
            "health_check_timeout",
            SECONDS,
            "Seconds that a connected node may compute, or be stopped, without a call of the API, before it is killed. Waiting for an event is a call.",
        ),
        key("startup_timeout", SECONDS, "Seconds in which a started node must connect."),
        key(
            "finish_grace_secs",
            SECONDS,
            "Seconds that the node has to end after its inputs ended, when nothing else runs. Default 120, or DORA_FINISH_DRAIN_GRACE_SECS.",
        ),
        key("shared_memory_pool_size", Shape::Bytes, "Shared memory for the outputs, for example 64MB."),
        key(
            "cpu_affinity",
            Shape::List(&U32),
            "Cores that the node may run on; one that the machine lacks is a warning.",
        ),
        key("operator", Shape::Object(&OPERATOR), "One operator, hosted by a process of dora."),
        key("operators", OPERATORS, "Operators, hosted by one process of dora."),
        key("module", Shape::Filled, "Module file, relative to this file."),
        key("params", Shape::Map(MapKey::Param, &Shape::Text), "Parameters of the module."),
        key("deploy", Shape::Object(&DEPLOY), "Where the node runs."),
        old("_unstable_deploy", Shape::Object(&DEPLOY), "`deploy`", "Spelling of `deploy` in dora 0.x."),
        old(
            "custom",
            Shape::Object(&CUSTOM),
            "`path`, `args`, `env`, `build`, `inputs` and `outputs` directly into the node",
            "A node's program in dora 0.2.",
        ),
        never(
            "hub",
            "nodes are not fetched from a hub",
            "use `git`, a URL in `path`, or a package that `build` installs",
        ),
        never(
            "ros2",
            "the ROS 2 bridge is not part of this implementation",
            "run a bridge as a node of its own, with `path`",
        ),
    ]
};

pub(super) static NODE: Object = Object {
    what: "a node",
    name: "Node",
    doc: "A process of the dataflow.",
    keys: &NODE_KEYS,
    required: &["id"],
    rules: &[
        Rule::ExactlyOne(&[
            Alternative {
                key: "path",
                what: "a node with `path`",
                for_what: "a program",
                excludes: &["params"],
                hint: "only a node with `module` has parameters",
            },
            Alternative {
                key: "operator",
                what: "a node with `operator`",
                for_what: "an operator",
                excludes: NOT_OF_OPERATORS,
                hint: "move it into the `operator:` block if it is a key of operators, else remove it",
            },
            Alternative {
                key: "operators",
                what: "a node with `operators`",
                for_what: "several operators",
                excludes: NOT_OF_OPERATORS,
                hint: "move it into an entry of `operators:` if it is a key of operators, else remove it",
            },
            Alternative {
                key: "module",
                what: "a node with `module`",
                for_what: "a module file",
                excludes: NOT_OF_MODULE,
                hint: "set it on the nodes inside the module file",
            },
            Alternative {
                key: "custom",
                what: "a node with `custom`",
                for_what: "the spelling of dora 0.2",
                excludes: NOT_OF_CUSTOM,
                hint: "replace `custom` by the keys of the node: path, args, env, build, inputs, outputs",
            },
        ]),
        Rule::AtMostOne(&["branch", "tag", "rev"]),
        Rule::AtMostOne(&["deploy", "_unstable_deploy"]),
        Rule::Needs("branch", "git"),
        Rule::Needs("tag", "git"),
        Rule::Needs("rev", "git"),
    ],
};

const NOT_OF_OPERATORS: &[&str] = &[
    "path_sha256",
    "args",
    "build",
    "git",
    "branch",
    "tag",
    "rev",
    "inputs",
    "outputs",
    "input_types",
    "output_types",
    "output_metadata",
    "output_framing",
    "pattern",
    "send_stdout_as",
    "send_logs_as",
    "min_log_level",
    "max_log_size",
    "max_rotated_files",
    "restart_policy",
    "max_restarts",
    "restart_delay",
    "max_restart_delay",
    "restart_window",
    "health_check_timeout",
    "startup_timeout",
    "finish_grace_secs",
    "shared_memory_pool_size",
    "params",
];

const NOT_OF_MODULE: &[&str] = &[
    "path_sha256",
    "args",
    "git",
    "branch",
    "tag",
    "rev",
    "outputs",
    "input_types",
    "output_types",
    "output_metadata",
    "output_framing",
    "pattern",
    "send_stdout_as",
    "send_logs_as",
    "min_log_level",
    "max_log_size",
    "max_rotated_files",
    "restart_policy",
    "max_restarts",
    "restart_delay",
    "max_restart_delay",
    "restart_window",
    "health_check_timeout",
    "startup_timeout",
    "finish_grace_secs",
    "shared_memory_pool_size",
    "cpu_affinity",
];

const NOT_OF_CUSTOM: &[&str] = &[
    "path_sha256",
    "args",
    "build",
    "git",
    "branch",
    "tag",
    "rev",
    "inputs",
    "outputs",
    "input_types",
    "output_types",
    "output_metadata",
    "output_framing",
    "pattern",
    "send_stdout_as",
    "send_logs_as",
    "min_log_level",
    "max_log_size",
    "max_rotated_files",
    "params",
];

static CUSTOM: Object = Object {
    what: "`custom`",
    name: "Custom",
    doc: "A node's program in dora 0.2.",
    keys: &[
        key("source", Shape::Filled, "The program."),
        key("path", Shape::Filled, "The program."),
        key("args", Shape::Text, "Arguments, quoted as in a shell."),
        key("envs", ENV, "Environment variables."),
        key("build", Shape::Text, "Commands that build the node, one per line."),
        key("inputs", INPUTS, "Inputs, and where each comes from."),
        key("outputs", DATA_IDS, "Outputs."),
        key("send_stdout_as", Shape::DataId, "Output that carries each line of standard output and error."),
    ],
    required: &[],
    rules: &[Rule::ExactlyOne(&[
        Alternative { key: "source", what: "`custom` with `source`", for_what: "the program", excludes: &[], hint: "" },
        Alternative { key: "path", what: "`custom` with `path`", for_what: "the program", excludes: &[], hint: "" },
    ])],
};

pub(super) static INPUT: Object = Object {
    what: "an input",
    name: "Input",
    doc: "An input with settings of its queue.",
    keys: &[
        key("source", Shape::Source, "Where it comes from: `node/output`, `dora/timer/millis/100`, `dora/logs`."),
        key("queue_size", U32, "Messages that wait at most. Default 10."),
        key(
            "queue_policy",
            Shape::Word(&["drop_oldest", "drop_newest", "backpressure"], false),
            "What happens when that many wait. Default drop_oldest; with backpressure the sender waits.",
        ),
        key(
            "input_timeout",
            SECONDS,
            "Seconds of silence, from the first message on, after which the node reads that the input is closed; with the next message it recovers.",
        ),
    ],
    required: &["source"],
    rules: &[],
};

static OPERATOR_KEYS: [Key; 19] = {
    let [
        inputs,
        outputs,
        input_types,
        output_types,
        output_metadata,
        output_framing,
        pattern,
        stdout_as,
        logs_as,
        min_level,
        log_size,
        rotated,
    ] = PORTS;
    [
        key("id", Shape::OperatorId, "Name of the operator in its node. Default `op` for a single one."),
        key("name", Shape::Text, "A name for people."),
        key("description", Shape::Text, "A description for people."),
        key("python", Shape::Either(&Shape::Filled, &PYTHON), "Python file that holds the operator."),
        key("shared-library", Shape::Filled, "Shared library that holds the operator, without `lib` and extension."),
        never("wasm", "WebAssembly operators cannot run", "build the operator as a shared library"),
        key("build", Shape::Text, "Commands that build the operator, one per line."),
        inputs,
        outputs,
        input_types,
        output_types,
        output_metadata,
        output_framing,
        pattern,
        stdout_as,
        logs_as,
        min_level,
        log_size,
        rotated,
    ]
};

const OPERATOR_SOURCE: Rule = Rule::ExactlyOne(&[
    Alternative {
        key: "python",
        what: "an operator with `python`",
        for_what: "a Python file",
        excludes: &[],
        hint: "",
    },
    Alternative {
        key: "shared-library",
        what: "an operator with `shared-library`",
        for_what: "a shared library",
        excludes: &[],
        hint: "",
    },
]);

pub(super) static OPERATOR: Object = Object {
    what: "an operator",
    name: "Operator",
    doc: "An operator, hosted by a process of dora.",
    keys: &OPERATOR_KEYS,
    required: &[],
    rules: &[OPERATOR_SOURCE],
};

static OPERATORS_ITEM: Object = Object {
    what: "an operator",
    name: "OperatorsItem",
    doc: "One of several operators in a process of dora.",
    keys: &OPERATOR_KEYS,
    required: &["id"],
    rules: &[OPERATOR_SOURCE],
};

pub(super) static PYTHON: Object = Object {
    what: "`python`",
    name: "Python",
    doc: "A Python operator.",
    keys: &[
        key("source", Shape::Filled, "The Python file."),
        key("conda_env", Shape::Text, "Conda environment to run in."),
    ],
    required: &["source"],
    rules: &[],
};
