//! The guide tells the truth: every session of its pages is done as it stands there, with the real `dora`, and prints what
//! the page shows.
//!
//! Only `cargo` is played: it puts the nodes of the guide, which were built with this test, where cargo would put them.

use std::{
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use dora_tests::{
    Running, Workbench,
    page::{Output, Section, Step, find_missing, sections},
    programs,
};
use rustix::process::Signal;

/// Mistakes that the page on troubleshooting must at least tell.
const MISTAKES: usize = 20;

/// Someone who follows a page.
struct Reader {
    bench: Workbench,
    /// Where the reader is, below the bench.
    directory: PathBuf,
    /// What was not as the page says.
    complaints: Vec<String>,
}

impl Reader {
    fn new() -> Self {
        let bench = Workbench::new();
        let bin = bench.path().join("bin");
        std::fs::create_dir(&bin).expect("our own directory");
        symlink(dora_tests::dora(), bin.join("dora")).expect("our own directory");
        bench.script("bin/cargo", &format!("mkdir -p target/debug && {}", install(&programs())));
        let directory = bench.path().join("robot");
        std::fs::create_dir(&directory).expect("our own directory");
        Self { bench, directory, complaints: Vec::new() }
    }

    fn follow(&mut self, page: &str, section: &Section) {
        for step in &section.steps {
            match step {
                Step::File { path, text } => self.write(page, path, text),
                Step::Command { line, output } => self.type_in(&format!("{page}, {}", section.title), line, output),
            }
        }
    }

    fn write(&self, page: &str, path: &Path, text: &str) {
        if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            let built = std::fs::read_to_string(format!("{}/src/bin/guide/{name}.rs", env!("CARGO_MANIFEST_DIR")));
            assert_eq!(built.ok().as_deref(), Some(text), "{page}: what is built for {}", path.display());
        }
        let path = self.directory.join(path);
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("our own directory");
        std::fs::write(path, text).expect("our own directory");
    }

    fn type_in(&mut self, place: &str, line: &str, output: &[Output]) {
        if let Some(directory) = line.strip_prefix("cd ") {
            self.directory = self.directory.join(directory);
            assert!(self.directory.is_dir(), "{place}: `{line}`");
            return;
        }
        let run = Running::start(self.command(line));
        let mut before: Option<&str> = None;
        for output in output {
            match output {
                Output::Line(text) => before = Some(text),
                Output::Interrupt => {
                    run.await_text(before.and_then(|text| text.split_once(' ')).map_or("", |(_, text)| text));
                    run.signal(Signal::INT);
                }
            }
        }
        let run = run.finish();
        if let Some(missing) = find_missing(output, [&run.stdout, &run.stderr], self.bench.path()) {
            let (stdout, stderr) = (&run.stdout, &run.stderr);
            self.complaints.push(format!("{place}: `{line}` did not print\n{missing}\nbut\n{stdout}\n{stderr}"));
        }
    }

    fn command(&self, line: &str) -> Command {
        let words: Vec<&str> = line.split(' ').collect();
        let is_plain = words[0] == "dora" && !line.contains(['|', '>', '&', ';', '\'', '"', '$']);
        let mut command = if is_plain { self.bench.command(&words[1..]) } else { self.bench.shell(line) };
        let path = std::env::var_os("PATH").unwrap_or_default();
        let search = [self.bench.path().join("bin")].into_iter().chain(std::env::split_paths(&path));
        command.env("PATH", std::env::join_paths(search).expect("directories")).current_dir(&self.directory);
        command
    }
}

/// A line of shell that installs programs in `target/debug`.
fn install(programs: &[(&str, PathBuf)]) -> String {
    let lines = programs.iter().map(|(name, program)| format!("ln -sf '{}' target/debug/{name}", program.display()));
    lines.collect::<Vec<_>>().join(" && ")
}

fn guide(page: &str) -> Vec<Section> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/guide").join(page);
    sections(&std::fs::read_to_string(path).expect("a page of the guide"))
}

/// Follows a page from its beginning to its end.
fn read(page: &str) {
    let mut reader = Reader::new();
    let sections = guide(page);
    assert!(sections.iter().any(|section| !section.steps.is_empty()), "{page} has nothing to do");
    sections.iter().for_each(|section| reader.follow(page, section));
    assert!(reader.complaints.is_empty(), "{}", reader.complaints.join("\n"));
}

#[test]
fn installing() {
    read("install.md");
}

#[test]
fn the_first_dataflow() {
    read("first-dataflow.md");
}

#[test]
fn queues_and_policies() {
    read("queues.md");
}

#[test]
fn stopping_and_results() {
    read("stop.md");
}

#[test]
fn restarts() {
    read("restarts.md");
}

#[test]
fn nodes_that_come_and_go() {
    read("dynamic.md");
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
        let mut reader = Reader::new();
        reader.type_in(page, "cargo build", &[]);
        let shows_output = |step: &Step| matches!(step, Step::Command { output, .. } if !output.is_empty());
        assert!(section.steps.iter().any(shows_output), "{}: what does one see?", section.title);
        reader.follow(page, section);
        complaints.append(&mut reader.complaints);
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}
