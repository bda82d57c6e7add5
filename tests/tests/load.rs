//! Many dataflows, at once and one after the other: each is whole, `list` knows each once, and nothing is left of any.

use std::{collections::BTreeMap, time::Instant};

use dora_tests::{
    Cluster, Footprint, Running, Workbench,
    flows::{ENDLESS, FAILING, SHORT, check_lines, list},
    rounds,
};

/// Memory that a coordinator or a daemon may have more after many dataflows than before the first one, in KiB.
const TOLERANCE: u64 = 16 << 10;

/// Runs a command for each name, all at once.
fn at_once(bench: &Workbench, names: &[String], line: impl Fn(&str) -> String) {
    let started = Instant::now();
    let all: Vec<Running> = names.iter().map(|name| bench.dora(line(name).split(' '))).collect();
    all.into_iter().for_each(|command| _ = command.finish().expect_code(0));
    println!("{} x `dora {}`: {:?}", names.len(), line("NAME"), started.elapsed());
}

#[test]
fn many_dataflows_start_and_stop_at_once() {
    let bench = Workbench::new();
    let cluster = Cluster::up(&bench);
    bench.dataflow("flow.yml", ENDLESS);
    let before = Footprint::of(&bench, &cluster);
    let names: Vec<String> = (0..rounds(12, 100)).map(|number| format!("flow-{number}")).collect();
    let all = |state: &str| names.iter().map(|name| (name.clone(), state.to_owned())).collect::<BTreeMap<_, _>>();
    at_once(&bench, &names, |name| format!("start flow.yml --detach --name {name}"));
    assert_eq!(list(&bench), all("Running"));
    at_once(&bench, &names, |name| format!("stop {name}"));
    assert_eq!(list(&bench), all("Finished"));
    names.iter().for_each(|name| check_lines(&bench, name));
    println!("{before}\n{}", before.await_again(&bench, &cluster, TOLERANCE));
    // The same names again, and one command that stops all.
    bench.run("clean").expect_code(0);
    at_once(&bench, &names, |name| format!("start flow.yml --detach --name {name}"));
    bench.run("stop --all").expect_code(0);
    assert_eq!(list(&bench), all("Finished"));
    names.iter().for_each(|name| check_lines(&bench, name));
    bench.run("clean").expect_code(0);
    assert_eq!(list(&bench), BTreeMap::new());
    let after = before.await_again(&bench, &cluster, TOLERANCE);
    println!("{after}");
    assert_eq!(after.files, before.files, "files of dataflows that were forgotten");
    cluster.down();
}

/// A dataflow comes and goes in one of the ways in which they do; the state that it ends in.
fn come_and_go(bench: &Workbench, number: usize, name: &str) -> &'static str {
    match number % 4 {
        0 => {
            let run = bench.run(&format!("start short.yml --attach --name {name}")).expect_code(0);
            assert_eq!(run.stdout.matches("tick ").count(), 3, "{}", run.stdout);
            "Finished"
        }
        1 => {
            bench.run(&format!("start failing.yml --attach --name {name}")).expect_code(1);
            "Failed"
        }
        2 => {
            bench.run(&format!("start flow.yml --detach --name {name}")).expect_code(0);
            bench.run(&format!("stop {name}")).expect_code(0);
            "Finished"
        }
        _ => {
            bench.run(&format!("start short.yml --detach --name {name}")).expect_code(0);
            let lines = bench.run(&format!("logs {name} --follow")).expect_code(0).stdout;
            assert_eq!(lines.matches("tick ").count(), 3, "{lines}");
            "Finished"
        }
    }
}

#[test]
fn many_dataflows_in_sequence_leave_nothing() {
    let bench = Workbench::new();
    let cluster = Cluster::up(&bench);
    for (file, text) in [("flow.yml", ENDLESS), ("short.yml", SHORT), ("failing.yml", FAILING)] {
        bench.dataflow(file, text);
    }
    let (fresh, count) = (Footprint::of(&bench, &cluster), rounds(10, 1000));
    let mut expected = BTreeMap::new();
    for number in 0..count {
        let name = format!("flow-{number}");
        expected.insert(name.clone(), come_and_go(&bench, number, &name).to_owned());
        if number * 5 / count != (number + 1) * 5 / count {
            assert_eq!(list(&bench), expected);
            println!("after {}: {}", number + 1, fresh.await_again(&bench, &cluster, TOLERANCE));
        }
    }
    bench.run("clean").expect_code(0);
    assert_eq!(list(&bench), BTreeMap::new());
    let cleaned = fresh.await_again(&bench, &cluster, TOLERANCE);
    println!("cleaned: {cleaned}");
    assert_eq!(cleaned.files, fresh.files, "files of dataflows that were forgotten");
    cluster.down();
}
