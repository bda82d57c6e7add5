//! The directory `out` beside the dataflow file, and what is kept there of a build: all that its programs print.

use std::{
    cell::RefCell,
    collections::VecDeque,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use dora_message::id::NodeId;

use super::{Progress, crew::Say};

/// Lines that are shown when a build fails.
const LAST_LINES: usize = 20;
/// Bytes of each of them.
const LONGEST: usize = 1000;

/// Writes a file that is complete or as it was.
pub(super) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let part = path.with_extension(format!("{}.part", std::process::id()));
    fs::write(&part, content)?;
    fs::rename(&part, path)
}

/// The directory for what runs and builds leave to be read. Made when something is written.
#[derive(Debug, Clone)]
pub(super) struct OutDir {
    dir: PathBuf,
    /// Name of the dataflow file, without its extension.
    stem: String,
}

impl OutDir {
    pub(super) fn new(base: &Path, file: &Path) -> Self {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        OutDir { dir: base.join("out"), stem }
    }

    /// The file that remembers builds of this dataflow.
    pub(super) fn session_file(&self) -> PathBuf {
        self.dir.join(format!("{}.dora-session.yaml", self.stem))
    }

    /// Makes the directory, and keeps its content out of repositories.
    pub(super) fn create(&self) -> io::Result<()> {
        fs::create_dir_all(&self.dir)?;
        let ignore = self.dir.join(".gitignore");
        if ignore.exists() { Ok(()) } else { fs::write(ignore, "*\n") }
    }

    fn build_log(&self, node: &NodeId) -> io::Result<(PathBuf, File)> {
        self.create()?;
        let dir = self.dir.join("build");
        fs::create_dir_all(&dir)?;
        let path = dir.join(format!("{node}.log"));
        let file = File::create(&path)?;
        Ok((path, file))
    }
}

/// What the programs of one job print.
pub(super) struct Recording<'a> {
    out: &'a OutDir,
    node: &'a NodeId,
    say: Say<'a>,
    log: RefCell<Log>,
    last: RefCell<VecDeque<String>>,
}

enum Log {
    /// Nothing was started yet: the file is that of the build before.
    Unopened,
    Open(PathBuf, File),
    /// The disk is full, or the like. It was said once.
    Broken,
}

impl<'a> Recording<'a> {
    pub(super) fn new(out: &'a OutDir, node: &'a NodeId, say: Say<'a>) -> Self {
        Recording { out, node, say, log: RefCell::new(Log::Unopened), last: RefCell::default() }
    }

    /// A program is started.
    pub(super) fn begin(&self, line: &str) {
        let is_first = matches!(*self.log.borrow(), Log::Unopened);
        if is_first {
            match self.out.build_log(self.node) {
                Ok((path, file)) => drop(self.log.replace(Log::Open(path, file))),
                Err(error) => self.broken(&error),
            }
        }
        self.keep(&format!("$ {line}"));
        self.last.borrow_mut().clear();
    }

    /// It has printed a line.
    pub(super) fn add(&self, text: &str) {
        self.keep(text);
        let mut last = self.last.borrow_mut();
        if last.len() == LAST_LINES {
            last.pop_front();
        }
        last.push_back(text[..text.floor_char_boundary(LONGEST)].to_owned());
    }

    fn keep(&self, text: &str) {
        let written = match &mut *self.log.borrow_mut() {
            Log::Open(_, file) => writeln!(file, "{text}"),
            Log::Unopened | Log::Broken => Ok(()),
        };
        if let Err(error) = written {
            self.broken(&error);
        }
    }

    /// That does not stop a build.
    fn broken(&self, error: &io::Error) {
        self.log.replace(Log::Broken);
        (self.say)(Progress::Warning(format!("what the build prints is not kept in a file: {error}")));
    }

    /// The last lines of the program that runs or ran last.
    pub(super) fn last_lines(&self) -> Vec<String> {
        self.last.borrow().iter().cloned().collect()
    }

    /// The file that holds everything, if it could be written.
    pub(super) fn file(&self) -> Option<PathBuf> {
        match &*self.log.borrow() {
            Log::Open(path, _) => Some(path.clone()),
            Log::Unopened | Log::Broken => None,
        }
    }
}
