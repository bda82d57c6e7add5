//! The guide tells the truth: every session of its pages is done as it stands there, with the real `dora`, and prints what
//! the page shows. The page on Python is followed in `with_python.rs`.

use dora_tests::{
    page::{Section, Step},
    reader::{Reader, guide, read},
};

/// Mistakes that the page on troubleshooting must at least tell.
const MISTAKES: usize = 20;

#[test]
fn installing() {
    read("install.md", &[]);
}

#[test]
fn the_first_dataflow() {
    read("first-dataflow.md", &[]);
}

#[test]
fn queues_and_policies() {
    read("queues.md", &[]);
}

#[test]
fn stopping_and_results() {
    read("stop.md", &[]);
}

#[test]
fn restarts() {
    read("restarts.md", &[]);
}

#[test]
fn nodes_that_come_and_go() {
    read("dynamic.md", &[]);
}

#[test]
fn in_the_background() {
    read("background.md", &[]);
}

/// Each section is a mistake of its own, made in a fresh project whose nodes are built.
#[test]
fn troubleshooting() {
    let page = "troubleshooting.md";
    let sections = guide(page);
    let mistakes: Vec<&Section> = sections.iter().filter(|section| !section.steps.is_empty()).collect();
    assert!(mistakes.len() >= MISTAKES, "{} mistakes, at least {MISTAKES} are wanted", mistakes.len());
    let mut complaints = Vec::new();
    for section in mistakes {
        let mut reader = Reader::new(&[]);
        reader.type_in(page, "cargo build", &[]);
        let shows_output = |step: &Step| matches!(step, Step::Command { output, .. } if !output.is_empty());
        assert!(section.steps.iter().any(shows_output), "{}: what does one see?", section.title);
        reader.follow(page, section);
        complaints.append(&mut reader.complaints);
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}
