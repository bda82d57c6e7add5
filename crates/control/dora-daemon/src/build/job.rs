//! One node, from its source to its last build line.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Instant,
};

use dora_descriptor::model::GitSource;
use dora_message::{id::NodeId, supervision::OutputStream};

use super::{
    BuildProblem, Progress,
    command::{Command, Ended},
    crew::{Crew, Say},
    download, git,
    output::Recording,
    plan::Claim,
    problem::FailedLine,
    session::Session,
};
use crate::prepare::{search, uv::Module};

/// Where the source of a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// Beside the dataflow file.
    Here,
    /// In a repository.
    Git {
        source: GitSource,
        /// The commit, whatever the revision is by now.
        pinned: Option<String>,
    },
    /// Behind a URL.
    Url {
        url: String,
        /// What it must be, in lower-case hexadecimal digits.
        sha256: Option<String>,
    },
}

/// One build line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) text: String,
    /// At least one.
    pub(super) words: Vec<String>,
}

impl Line {
    /// A line of our own.
    pub(super) fn of(words: Vec<String>) -> Self {
        Line { text: words.join(" "), words }
    }
}

/// What there is to do for a node.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) node: NodeId,
    pub(super) source: Source,
    /// Where everything of the node starts from.
    pub(super) dir: PathBuf,
    pub(super) lines: Vec<Line>,
    pub(super) env: Vec<(String, String)>,
    /// What its lines are to take for our module.
    pub(super) module: Option<Module>,
    /// What nobody else may use meanwhile.
    pub(super) claims: BTreeSet<Claim>,
}

/// What a job has brought.
#[derive(Debug)]
pub(super) enum Fetched {
    Nothing,
    Program { file: PathBuf, url: String },
    Checkout { dir: PathBuf, source: GitSource, commit: String },
}

impl Job {
    pub(super) fn run(&self, crew: &Crew, say: Say<'_>) -> Result<Fetched, BuildProblem> {
        let started = Instant::now();
        let recording = Recording::new(&crew.out, &self.node, say);
        let tools = Tools { job: self, crew, say, recording: &recording };
        let (fetched, new) = match &self.source {
            Source::Here => {
                tools.lines(&self.dir)?;
                (Fetched::Nothing, false)
            }
            Source::Url { url, sha256 } => {
                let program = download::fetch(&tools, url, sha256.as_deref())?;
                tools.lines(&self.dir)?;
                (Fetched::Program { file: program.file, url: url.clone() }, program.new)
            }
            Source::Git { source, pinned } => {
                // It holds the lock of its directory, which is needed until the lines have run.
                let checkout = git::checkout(&tools, source, pinned.as_deref())?;
                tools.lines(&checkout.dir)?;
                (Fetched::Checkout { dir: checkout.dir, source: source.clone(), commit: checkout.commit }, checkout.new)
            }
        };
        if new || !self.lines.is_empty() {
            say(Progress::Built(started.elapsed()));
        }
        Ok(fetched)
    }

    /// What it has brought before.
    pub(super) fn found(&self, session: &Session) -> Fetched {
        let found = match &self.source {
            Source::Here => None,
            Source::Url { url, sha256 } => {
                let sha256 = sha256.as_deref().or_else(|| session.sha256(&self.node, url));
                let file = Some(download::place(&self.dir, url, sha256)).filter(|file| file.is_file());
                file.map(|file| Fetched::Program { file, url: url.clone() })
            }
            Source::Git { source, pinned } => {
                let commit = pinned.clone().or_else(|| session.commit(&self.node, source));
                let checkout = commit.and_then(|commit| Some((git::find(&self.dir, &source.url, &commit)?, commit)));
                checkout.map(|(dir, commit)| Fetched::Checkout { dir, source: source.clone(), commit })
            }
        };
        found.unwrap_or(Fetched::Nothing)
    }

    /// What its program must be.
    pub(super) fn sha256(&self) -> Option<&str> {
        match &self.source {
            Source::Url { sha256, .. } => sha256.as_deref(),
            Source::Here | Source::Git { .. } => None,
        }
    }
}

/// What every step of a job needs.
pub(super) struct Tools<'a> {
    pub(super) job: &'a Job,
    pub(super) crew: &'a Crew,
    pub(super) say: Say<'a>,
    pub(super) recording: &'a Recording<'a>,
}

impl Tools<'_> {
    /// Runs the build lines one after the other.
    fn lines(&self, dir: &Path) -> Result<(), BuildProblem> {
        if let Some(module) = &self.job.module {
            module.write().map_err(|error| BuildProblem::file("write beside", &self.job.dir.join(".dora"), error))?;
        }
        let count = self.job.lines.len();
        for (line, number) in self.job.lines.iter().zip(1..) {
            (self.say)(Progress::Line { number, count, text: line.text.clone() });
            self.recording.begin(&line.text);
            let failed = |how: String, hint| {
                BuildProblem::Line(Box::new(FailedLine {
                    text: line.text.clone(),
                    place: if count > 1 { format!(" (line {number} of {count})") } else { String::new() },
                    dir: dir.to_owned(),
                    how,
                    hint,
                    last_lines: self.recording.last_lines(),
                    log: self.recording.file(),
                }))
            };
            let Some(program) = self.program(&line.words[0], dir) else {
                let how = format!("cannot be run: there is no program `{}`", line.words[0]);
                return Err(failed(how, self.missing(line)));
            };
            match self.execute(program, line.words[1..].to_vec(), dir, &self.job.env, &mut |_| {})? {
                Ended::Well => {}
                Ended::Badly(how) => return Err(failed(how, needs_a_shell(line))),
            }
        }
        Ok(())
    }

    /// Runs a program; what it prints is told and kept, its standard output is given to `on_stdout` as well.
    pub(super) fn execute(
        &self,
        program: PathBuf,
        args: Vec<String>,
        dir: &Path,
        env: &[(String, String)],
        on_stdout: &mut dyn FnMut(&str),
    ) -> Result<Ended, BuildProblem> {
        let command = Command { node: &self.job.node, program, args, dir, env };
        command.run(self.crew, &mut |stream, text| {
            self.recording.add(&text);
            if stream == OutputStream::Stdout {
                on_stdout(&text);
            }
            (self.say)(Progress::Output { stream, text });
        })
    }

    /// A word with a slash is a file, every other one a command.
    pub(super) fn program(&self, word: &str, dir: &Path) -> Option<PathBuf> {
        if word.contains('/') {
            return Some(dir.join(word)).filter(|file| file.exists());
        }
        search::find(word, self.search_path())
    }

    fn search_path(&self) -> Option<&std::ffi::OsStr> {
        self.job.env.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.as_ref())
    }

    fn missing(&self, line: &Line) -> Option<String> {
        needs_a_shell(line).or_else(|| {
            let nearest = search::nearest_program(&line.words[0], self.search_path())?;
            Some(format!("did you mean `{nearest}`?"))
        })
    }
}

/// What to say about a line that only a shell understands.
fn needs_a_shell(line: &Line) -> Option<String> {
    const BUILTINS: [&str; 6] = ["cd", "export", "source", ".", "set", "alias"];
    const OPERATORS: [&str; 9] = ["&&", "||", "|", ";", ">", ">>", "<", "2>&1", "&"];
    let assigns = line.words[0].split_once('=').is_some_and(|(name, _)| !name.contains('/'));
    let is_for_shell = BUILTINS.contains(&line.words[0].as_str())
        || assigns
        || line.words.iter().any(|word| OPERATORS.contains(&word.as_str()));
    is_for_shell.then(|| {
        "build lines are run without a shell, each on its own in the same directory; `env:` sets variables, \
         and `sh -c '...'` runs a line in a shell"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_for_a_shell_are_recognised() {
        let hint =
            |text: &str| needs_a_shell(&Line { text: text.to_owned(), words: shlex::split(text).unwrap() }).is_some();
        for text in ["cd x", "A=1 make", "make && make install", "cat a > b"] {
            assert!(hint(text), "{text}");
        }
        for text in ["make", "cargo build -p a", "sh -c 'a && b'", "./a=b"] {
            assert!(!hint(text), "{text}");
        }
    }
}
