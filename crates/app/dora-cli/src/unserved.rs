//! Verbs and flags that exist in dora but not yet in this version: refused by name, so that nobody searches for a typo.

use crate::error::CommandError;

/// Verbs that later versions serve, with what helps today. Of two words the second is a verb of a group that is served.
const VERBS: &[(&str, &str)] = &[
    ("cluster", RUN),
    ("savepoint", "what a dataflow must remember, its nodes keep; `dora restart` runs it again from the start"),
    ("version", "`dora --version` tells it"),
    ("runtime", "`dora run FILE` starts the nodes of a dataflow"),
    ("node add", EDIT),
    ("node remove", EDIT),
    ("node replace", EDIT),
    ("node connect", EDIT),
    ("node disconnect", EDIT),
    ("param", "`env:` in the dataflow file and `dora run --env KEY=VALUE` give values to nodes"),
    ("record", RUN),
    ("replay", RUN),
    ("trace", RUN),
    ("hub", PATHS),
    ("self", "`cargo install --path crates/app/dora-cli` installs another version"),
];

const RUN: &str = "`dora run FILE` runs a dataflow without a service";

const EDIT: &str = "change the dataflow file, then `dora stop` and `dora start`";

/// Flags that later versions serve: verb, flag, what helps today.
const FLAGS: &[(&str, &str, &str)] = &[
    ("run", "--hub-override", PATHS),
    ("build", "--hub-override", PATHS),
    ("build", "--offline", "`dora run` uses what was built before, without the network"),
    ("validate", "--node-manifest", "`output_types` and `input_types` in the dataflow file are checked"),
    ("validate", "--offline", "validating never uses the network"),
    ("start", "--hot-reload", "`dora node restart NODE` runs the program of a node as it is now"),
    ("logs", "--local", "out/<run>/log_<node>.jsonl beside the dataflow file holds what a node printed"),
    ("expand", "--module", "expand the dataflow file that uses the module"),
    ("up", "--auth", NETWORK),
    ("up", "--config", "flags say all there is to say: `dora help up`"),
    ("coordinator", "--auth", NETWORK),
    ("coordinator", "--control-interface", ONE_PORT),
    ("coordinator", "--control-port", ONE_PORT),
    ("daemon", "--run-dataflow", "`dora run FILE` runs a dataflow without a service"),
    ("daemon", "--local-listen-port", "nodes of a host need no port"),
    ("daemon", "--zenoh-peer", EDGES),
    ("daemon", "--zenoh-no-multicast", EDGES),
    ("daemon", "--zenoh-listen", EDGES),
    ("daemon", "--zenoh-connect", EDGES),
    ("daemon", "--zenoh-config-overlay", EDGES),
    ("daemon", "--worker-threads", "messages do not pass through the daemon: one thread is enough"),
    ("daemon", "--rt", "`cpu_affinity` and the scheduling of its own process are for each node to say"),
];

const NETWORK: &str = "`--interface` makes key, certificate and token by itself";

const ONE_PORT: &str = "a coordinator has one port: `--port`, with `--interface` for other hosts";

const EDGES: &str = "edges between machines are not served yet";

const PATHS: &str = "name the node's program in `path:`";

/// Looks at the arguments after the program's name before clap does.
pub(crate) fn refuse(arguments: &[String]) -> Result<(), CommandError> {
    let Some(verb) = arguments.first() else { return Ok(()) };
    let asked = if verb == "help" { &arguments[1..] } else { arguments };
    let is_asked =
        |name: &str| name.split(' ').enumerate().all(|(at, word)| asked.get(at).is_some_and(|it| it == word));
    if let Some((name, instead)) = VERBS.iter().find(|(name, _)| is_asked(name)) {
        return Err(CommandError::Usage {
            what: format!("`dora {name}` is not served by this version yet; {instead}"),
            hint: None,
        });
    }
    for argument in arguments.iter().skip(1).take_while(|argument| *argument != "--") {
        let flag = argument.split_once('=').map_or(argument.as_str(), |(flag, _)| flag);
        if let Some((_, _, instead)) = FLAGS.iter().find(|(of, name, _)| of == verb && *name == flag) {
            return Err(unserved_flag(verb, flag, instead));
        }
    }
    Ok(())
}

/// The refusal of a flag, or of a value of one.
pub(crate) fn unserved_flag(verb: &str, flag: &str, instead: &str) -> CommandError {
    CommandError::usage(format!("`dora {verb} {flag}` is not served by this version yet"), instead)
}

/// The refusal of a flag of `dora run`, for callers that do not come from the command line.
pub(crate) fn refuse_run_flag(flag: &str) -> CommandError {
    let instead = FLAGS.iter().find(|(verb, name, _)| *verb == "run" && *name == flag).map_or("", |(_, _, text)| text);
    unserved_flag("run", flag, instead)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(line: &str) -> Option<String> {
        let arguments: Vec<String> = line.split(' ').map(str::to_owned).collect();
        refuse(&arguments).err().map(|error| error.to_string())
    }

    #[test]
    fn verbs_are_refused_by_name() {
        let expected =
            "`dora record` is not served by this version yet; `dora run FILE` runs a dataflow without a service";
        assert_eq!(refused("record a.yml --proxy").as_deref(), Some(expected));
        assert_eq!(refused("help record").as_deref(), Some(expected));
        assert!(refused("node add --from-yaml a.yml").is_some_and(|text| text.starts_with("`dora node add` is not")));
        assert!(refused("help node connect").is_some());
        assert_eq!((refused("node"), refused("node list"), refused("help")), (None, None, None));
        assert_eq!(refused("rnu a.yml"), None);
        assert_eq!(refused("run up"), None);
    }

    #[test]
    fn flags_are_refused_by_name() {
        for line in ["run a.yml --hub-override x", "run --hub-override=x a.yml", "validate --offline a.yml"] {
            assert!(refused(line).is_some_and(|text| text.contains("not served")), "{line}");
        }
        for line in ["validate a.yml --uv", "run a.yml -- --hub-override", "graph a.yml"] {
            assert_eq!(refused(line), None, "{line}");
        }
    }
}
