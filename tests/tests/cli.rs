//! The command line: help, refusals, exit codes.

use dora_tests::Workbench;
use expect_test::expect;
use serde_json::Value;

#[test]
fn the_version_is_that_of_the_workspace() {
    let run = Workbench::new().dora(["-V"]).finish().expect_code(0);
    assert_eq!(run.stdout, "dora-cli 1.2.0\n");
}

#[test]
fn help_lists_what_is_served_and_nothing_else() {
    let run = Workbench::new().dora(["--help"]).finish().expect_code(0);
    expect![[r#"
        Real-time dataflows: nodes in any language exchange messages without copies

        Usage: dora <COMMAND>

        Commands:
          new         Make a new dataflow or node that runs at once
          run         Run a dataflow on this machine, until all its nodes are done
          up          Start a coordinator and a daemon on this host, if they do not run yet
          down        End the coordinator and its daemons [alias: destroy]
          status      Tell whether a coordinator runs, which machines it has, and what runs on them
          start       Start a dataflow on the machines of a coordinator
          stop        Stop a dataflow, and wait for its end
          restart     Stop a dataflow and start it again
          list        Show the dataflows: those that run, and those that have ended
          logs        Show what nodes print, and have printed
          node        Look at single nodes, stop them, start them again
          topic       Look at the messages of a dataflow that runs, and send some
          top         Show what nodes and edges do: processor, memory, queues, rates, drops, latencies
          clean       Forget dataflows that have ended, with their logs
          context     Coordinators on other hosts, under names
          build       Build what the nodes of a dataflow need: repositories, downloads, `build:` lines
          doctor      Look at this machine: kernel, limits, memory, processors, tools, leftovers
          validate    Check a dataflow file: spelling, values, wiring, types
          expand      Print a dataflow with modules and variables expanded and defaults filled in
          graph       Draw a dataflow: nodes, their inputs and outputs, timers, and the policy of every edge
          schema      Print the JSON Schema of dataflow files, for editors
          completion  Print a script that lets a shell complete dora's commands and flags
          system      The processes behind dataflows: how they are, and starting them anew
          help        Print this message or the help of the given subcommand(s)

        Options:
          -h, --help     Print help
          -V, --version  Print version

        Examples:
          dora new robot                    make a dataflow that runs at once, in the directory robot
          dora run dataflow.yml             run a dataflow, until all its nodes are done or Ctrl-C
          dora validate dataflow.yml        say what is wrong with a file, and where
          dora graph --open dataflow.yml    look at a dataflow
          dora up                           start what runs dataflows in the background; `dora down` ends it
          dora start dataflow.yml           run one there, to be looked after by `list`, `logs`, `stop`

        `dora help COMMAND` tells more about each command.
    "#]]
    .assert_eq(&run.stdout);
}

#[test]
fn each_command_explains_itself_with_examples() {
    let bench = Workbench::new();
    let alone = "new run build doctor validate expand graph schema completion";
    let asking = "up down status context start stop restart list logs top clean";
    let grouped = ["node", "node list", "node info", "node stop", "node restart", "topic", "topic list", "topic info"];
    let rest = ["topic echo", "topic hz", "topic pub", "inspect top"];
    for verb in alone.split(' ').chain(asking.split(' ')).chain(grouped).chain(rest) {
        let run = bench.dora(verb.split(' ').chain(["--help"])).finish().expect_code(0);
        assert!(run.stdout.contains("Examples:"), "{verb}: {}", run.stdout);
        assert!(run.stdout.lines().all(|line| line.chars().count() <= 100), "{verb}: {}", run.stdout);
    }
}

#[test]
fn wrong_usage_has_exit_code_2_and_says_what_to_do() {
    let bench = Workbench::new();
    let cases: [(&[&str], &str); 10] = [
        (&[], "Usage: dora <COMMAND>"),
        (&["record"], "`dora record` is not served by this version yet; `dora run FILE` runs a dataflow without"),
        (&["node", "add", "--from-yaml", "a.yml"], "`dora node add` is not served by this version yet"),
        (&["validat", "a.yml"], "a similar subcommand exists: 'validate'"),
        (&["run", "a.yml", "--hub-override", "a=b"], "`dora run --hub-override` is not served by this version yet"),
        (&["build", "--hub-override=a=b", "a.yml"], "name the node's program in `path:`"),
        (&["run", "--locked", "--write-lockfile", "a.yml"], "cannot be used with"),
        (&["run", "a.yml", "--stop-after", "soon"], "expected a duration"),
        (&["run", "a.yml", "--log-level", "loud"], "loud"),
        (&["run", "https://example.org/a.yml"], "reads dataflows from files only"),
    ];
    for (arguments, expected) in cases {
        let run = bench.dora(arguments).finish();
        assert!(run.stderr.contains(expected), "{arguments:?}: {}", run.stderr);
        assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{arguments:?}");
    }
}

#[test]
fn a_file_that_is_not_there_is_searched_nearby() {
    let bench = Workbench::new();
    bench.write("other.yml", "nodes: []");
    for verb in ["run", "build", "validate", "expand", "graph"] {
        let run = bench.dora([verb, "dataflow.yml"]).finish().expect_code(1);
        assert!(run.stderr.contains("there is no file `dataflow.yml`"), "{verb}: {}", run.stderr);
        assert!(run.stderr.contains("holds other.yml"), "{verb}: {}", run.stderr);
    }
    let run = bench.dora(["run", "."]).finish().expect_code(1);
    assert!(run.stderr.contains("is a directory") && run.stderr.contains("holds other.yml"), "{}", run.stderr);
    bench.write("dataflow.yml", "nodes: []");
    let run = bench.dora(["run", "."]).finish().expect_code(1);
    assert!(run.stderr.contains("did you mean `./dataflow.yml`?"), "{}", run.stderr);
}

#[test]
fn an_empty_dataflow_has_nothing_to_run() {
    let bench = Workbench::new();
    bench.write("a.yml", "nodes: []");
    for verb in ["run", "validate"] {
        let run = bench.dora([verb, "a.yml"]).finish().expect_code(0);
        assert!(run.stderr.contains("there is nothing to run: `nodes` is empty"), "{verb}: {}", run.stderr);
    }
}

#[test]
fn programs_read_what_is_wrong_as_json() {
    let bench = Workbench::new();
    bench.write("empty.yml", "nodes: []");
    bench.write("bad.yml", "nodes:\n  - { id: a, pth: a }\n");
    bench.write("lost.yml", "nodes:\n  - { id: a, path: ./none }\n");
    let told = |file, code| {
        let run = bench.dora(["run", file, "--log-format", "json"]).finish().expect_code(code);
        let line: Value = serde_json::from_str(&run.stderr).unwrap_or_else(|error| panic!("{error}: {}", run.stderr));
        (line["level"].to_string(), line["message"].to_string(), line["fields"].clone())
    };
    let (level, message, fields) = told("empty.yml", 0);
    assert_eq!((level.as_str(), &fields["line"]), ("\"WARN\"", &Value::from(1)));
    assert!(message.contains("nothing to run"), "{message}");
    let (level, message, fields) = told("bad.yml", 1);
    assert_eq!((level.as_str(), message.as_str()), ("\"ERROR\"", "\"`bad.yml` has 1 mistake\""));
    assert_eq!(fields["mistakes"][0]["help"], "did you mean `path`?");
    let (level, message, _) = told("lost.yml", 1);
    assert_eq!(level, "\"ERROR\"");
    assert!(message.contains("lost.yml:2:14: node `a`: the program `./none` does not exist"), "{message}");
    let (_, _, fields) = told("none.yml", 1);
    assert!(fields["hint"].as_str().is_some_and(|hint| hint.contains("holds bad.yml")), "{fields}");
}

#[test]
fn colours_are_for_terminals() {
    let bench = Workbench::new();
    bench.write("bad.yml", "nodes: 3");
    let plain = bench.dora(["validate", "bad.yml"]).finish().expect_code(1);
    assert!(!plain.stderr.contains('\x1b'), "{}", plain.stderr);
    let mut command = bench.command(["validate", "bad.yml"]);
    command.env("CLICOLOR_FORCE", "1");
    let forced = dora_tests::Running::start(command).finish().expect_code(1);
    assert!(forced.stderr.contains('\x1b'), "{}", forced.stderr);
}

#[test]
fn completion_knows_the_verbs() {
    let bench = Workbench::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let run = bench.dora(["completion", shell]).finish().expect_code(0);
        assert!(["new", "doctor", "validate"].iter().all(|verb| run.stdout.contains(verb)), "{shell}");
        assert!(!run.stdout.contains("keeper"), "{shell}: what is hidden stays hidden");
    }
    let run = bench.dora(["completion", "tcsh"]).finish().expect_code(2);
    assert!(run.stderr.contains("bash"), "{}", run.stderr);
}

#[test]
fn a_keeper_started_by_hand_says_what_it_is() {
    let run = Workbench::new().dora(["keeper"]).finish().expect_code(1);
    assert!(run.stderr.contains("started by `dora run`"), "{}", run.stderr);
}
