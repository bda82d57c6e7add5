//! Someone who follows a page of the guide, step by step, and complains when something is not as it stands there.
//!
//! Only `cargo` is played: it puts the nodes of the guide, which were built with this test, where cargo would put them.

use std::{
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use rustix::process::Signal;

use crate::{
    Running, Workbench, dora, leftovers,
    page::{Output, Section, Step, find_missing, sections},
    programs,
};

/// Someone who follows a page.
pub struct Reader {
    bench: Workbench,
    /// Where the reader is, below the bench.
    directory: PathBuf,
    search_path: Vec<PathBuf>,
    /// What was not as the page says.
    pub complaints: Vec<String>,
}

impl Reader {
    /// In a directory of its own, with `dora`, and with these directories first on the search path.
    ///
    /// # Panics
    /// When the system gives no directory.
    pub fn new(search_path: &[PathBuf]) -> Self {
        let bench = Workbench::new();
        let bin = bench.path().join("bin");
        std::fs::create_dir(&bin).expect("our own directory");
        symlink(dora(), bin.join("dora")).expect("our own directory");
        bench.script("bin/cargo", &format!("mkdir -p target/debug && {}", install(&programs())));
        let directory = bench.path().join("robot");
        std::fs::create_dir(&directory).expect("our own directory");
        Self { bench, directory, search_path: search_path.to_vec(), complaints: Vec::new() }
    }

    /// Does what a section says.
    ///
    /// # Panics
    /// When it cannot be done.
    pub fn follow(&mut self, page: &str, section: &Section) {
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

    /// Types a command and compares what comes of it.
    ///
    /// # Panics
    /// When it does not end.
    pub fn type_in(&mut self, place: &str, line: &str, output: &[Output]) {
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
        let first = [self.bench.path().join("bin")].into_iter().chain(self.search_path.iter().cloned());
        let search = first.chain(std::env::split_paths(&path));
        command.env("PATH", std::env::join_paths(search).expect("directories")).current_dir(&self.directory);
        command
    }
}

/// What a page leaves in the background ends with its reader.
impl Drop for Reader {
    fn drop(&mut self) {
        leftovers::kill_marked(self.bench.mark());
    }
}

/// A line of shell that installs programs in `target/debug`.
fn install(programs: &[(&str, PathBuf)]) -> String {
    let lines = programs.iter().map(|(name, program)| format!("ln -sf '{}' target/debug/{name}", program.display()));
    lines.collect::<Vec<_>>().join(" && ")
}

/// A page of the guide.
///
/// # Panics
/// When there is none.
pub fn guide(page: &str) -> Vec<Section> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/guide").join(page);
    sections(&std::fs::read_to_string(path).expect("a page of the guide"))
}

/// Follows a page from its beginning to its end.
///
/// # Panics
/// When something is not as the page says.
pub fn read(page: &str, search_path: &[PathBuf]) {
    let mut reader = Reader::new(search_path);
    let sections = guide(page);
    assert!(sections.iter().any(|section| !section.steps.is_empty()), "{page} has nothing to do");
    sections.iter().for_each(|section| reader.follow(page, section));
    assert!(reader.complaints.is_empty(), "{}", reader.complaints.join("\n"));
}
