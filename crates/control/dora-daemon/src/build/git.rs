//! Sources in repositories: one directory per commit, `git/<host>/<path>/<commit>`, cloned once.
//!
//! It calls the program `git`, because only that has the credentials, proxies and helpers that its user has set up, and
//! because a library would be heavier than the rest of dora. Clones are complete: build tools ask for the history, and
//! not every server can leave it out.
//!
//! A clone is made under another name and renamed when it is complete, so a directory that is there is whole.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use dora_descriptor::model::{GitRevision, GitSource};

use super::{BuildProblem, Progress, Refresh, command::Ended, job::Tools, lock};

/// A directory with the content of a commit.
pub(super) struct Checkout {
    pub(super) dir: PathBuf,
    pub(super) commit: String,
    /// It was not there before.
    pub(super) new: bool,
    /// Keeps other builds away from all checkouts of the repository.
    _lock: File,
}

/// Names of variables by which a surrounding `git` would lead ours astray.
const ASTRAY: [&str; 5] = ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX"];

/// The checkout that a node asks for; cloned if it is not there.
pub(super) fn checkout(tools: &Tools<'_>, source: &GitSource, pinned: Option<&str>) -> Result<Checkout, BuildProblem> {
    let repository = Repository::new(tools, source)?;
    let lock = lock::hold(tools, &repository.dir)?;
    let commit = match pinned {
        Some(commit) => Some(commit.to_owned()),
        None => repository.commit()?,
    };
    if let Some(commit) = &commit {
        let dir = repository.dir.join(commit);
        if dir.is_dir() {
            return Ok(Checkout { dir, commit: commit.clone(), new: false, _lock: lock });
        }
    }
    let (dir, commit) = repository.clone(commit)?;
    Ok(Checkout { dir, commit, new: true, _lock: lock })
}

/// Where the checkout of a commit is, below the directory of its node, if it was built before.
pub(super) fn find(dir: &Path, url: &str, commit: &str) -> Option<PathBuf> {
    Some(repository_dir(dir, url).join(commit)).filter(|dir| dir.is_dir())
}

fn repository_dir(dir: &Path, url: &str) -> PathBuf {
    dir.join("git").join(place(url))
}

struct Repository<'a> {
    tools: &'a Tools<'a>,
    source: &'a GitSource,
    /// Where its checkouts are.
    dir: PathBuf,
    git: PathBuf,
    env: Vec<(String, String)>,
}

impl<'a> Repository<'a> {
    fn new(tools: &'a Tools<'a>, source: &'a GitSource) -> Result<Self, BuildProblem> {
        let dir = repository_dir(&tools.job.dir, &source.url);
        let git = tools.program("git", &tools.job.dir).ok_or(BuildProblem::NoGit)?;
        let is_kept = |(name, _): &&(String, String)| !ASTRAY.contains(&name.as_str());
        let mut env: Vec<_> = tools.job.env.iter().filter(is_kept).cloned().collect();
        // Nobody could answer.
        env.retain(|(name, _)| name != "GIT_TERMINAL_PROMPT");
        env.push(("GIT_TERMINAL_PROMPT".to_owned(), "0".to_owned()));
        Ok(Repository { tools, source, dir, git, env })
    }

    /// The commit, as far as it can be told without a clone.
    fn commit(&self) -> Result<Option<String>, BuildProblem> {
        let (pattern, kind) = match &self.source.revision {
            Some(GitRevision::Rev(rev)) if is_commit(rev) => return Ok(Some(rev.to_ascii_lowercase())),
            Some(GitRevision::Branch(name)) => (format!("refs/heads/{name}"), "branch"),
            Some(GitRevision::Tag(name)) => (format!("refs/tags/{name}"), "tag"),
            Some(GitRevision::Rev(_)) | None => ("HEAD".to_owned(), "commit"),
        };
        let known = self.tools.crew.session.commit(&self.tools.job.node, self.source);
        let known = known.filter(|commit| self.dir.join(commit).is_dir());
        if known.is_some() && self.tools.crew.options.refresh == Refresh::Missing {
            return Ok(known);
        }
        if matches!(self.source.revision, Some(GitRevision::Rev(_))) {
            // What is abbreviated means the same for ever, unless the repository is another one.
            return Ok(known);
        }
        let references = self.references(&[&pattern, &format!("{pattern}^{{}}")])?;
        // That of a tag which is an object of its own comes last, and is the commit.
        if let Some((commit, _)) = references.last() {
            return Ok(Some(commit.clone()));
        }
        Err(self.no_revision(kind, &pattern))
    }

    /// Commits and names of what the repository offers under these names.
    fn references(&self, patterns: &[&str]) -> Result<Vec<(String, String)>, BuildProblem> {
        let mut found = Vec::new();
        let arguments = ["ls-remote", "--", &self.source.url].into_iter().chain(patterns.iter().copied());
        self.git("be asked for its branches and tags", arguments, &mut |line| {
            found.extend(line.split_once('\t').map(|(commit, name)| (commit.to_owned(), name.to_owned())));
        })?;
        Ok(found)
    }

    fn no_revision(&self, kind: &'static str, pattern: &str) -> BuildProblem {
        let name = pattern.rsplit_once("refs/").map_or(pattern, |(_, name)| name);
        let (prefix, name) = name.split_once('/').unwrap_or(("", name));
        let prefix = format!("refs/{prefix}/");
        let all = self.references(&[&format!("{prefix}*")]).unwrap_or_default();
        let nearest = dora_descriptor::nearest(name, all.iter().filter_map(|(_, full)| full.strip_prefix(&prefix)));
        BuildProblem::NoRevision {
            url: self.source.url.clone(),
            kind,
            name: name.to_owned(),
            nearest: nearest.map(str::to_owned),
        }
    }

    /// Clones it, at this commit if it is known; gives the directory and the commit.
    fn clone(&self, commit: Option<String>) -> Result<(PathBuf, String), BuildProblem> {
        let revision = match (&commit, &self.source.revision) {
            (Some(commit), _) => commit.clone(),
            (None, Some(GitRevision::Rev(rev))) => rev.clone(),
            (None, _) => "HEAD".to_owned(),
        };
        let url = &self.source.url;
        (self.tools.say)(Progress::Cloning { url: url.clone(), revision: revision.clone() });
        // We hold the lock, so what lies there is what a build that was killed has left.
        let part = self.dir.join(".part");
        let file = |doing: &'static str, path: &Path| {
            let path = path.to_owned();
            move |error| BuildProblem::file(doing, &path, error)
        };
        if part.exists() {
            fs::remove_dir_all(&part).map_err(file("remove", &part))?;
        }
        let at = part.to_string_lossy().into_owned();
        self.git("be cloned", ["clone", "--no-checkout", "--", url, &at], &mut |_| {})?;
        let shown = format!("{revision}^{{commit}}");
        let mut head = None;
        self.git("give that commit", ["-C", &at, "rev-parse", "--verify", "--end-of-options", &shown], &mut |line| {
            head = Some(line.trim().to_owned());
        })?;
        let head = head.unwrap_or(revision);
        self.git("be checked out", ["-C", &at, "checkout", "--quiet", "--detach", &head], &mut |_| {})?;
        if part.join(".gitmodules").exists() {
            let update = ["-C", &at, "submodule", "--quiet", "update", "--init", "--recursive"];
            self.git("be given its submodules", update, &mut |_| {})?;
        }
        let dir = self.dir.join(&head);
        if dir.is_dir() {
            // An abbreviation of a commit that is there already.
            fs::remove_dir_all(&part).map_err(file("remove", &part))?;
        } else {
            // A name must not be on the disk before what it names.
            let synced = File::open(&part).and_then(|part| Ok(rustix::fs::syncfs(part)?));
            synced.and_then(|()| fs::rename(&part, &dir)).map_err(file("rename", &part))?;
        }
        Ok((dir, head))
    }

    fn git<'s>(
        &self,
        purpose: &'static str,
        arguments: impl IntoIterator<Item = &'s str>,
        on_stdout: &mut dyn FnMut(&str),
    ) -> Result<(), BuildProblem> {
        let arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
        self.tools.recording.begin(&format!("git {}", arguments.join(" ")));
        match self.tools.execute(self.git.clone(), arguments, &self.tools.job.dir, &self.env, on_stdout)? {
            Ended::Well => Ok(()),
            Ended::Badly(how) => Err(BuildProblem::Git {
                url: self.source.url.clone(),
                purpose,
                how,
                last_lines: self.tools.recording.last_lines(),
            }),
        }
    }
}

/// Whether a text is a whole commit hash, of either length that git has.
fn is_commit(rev: &str) -> bool {
    matches!(rev.len(), 40 | 64) && rev.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The directory of a repository: its host, then its path, without user, port and whatever could lead elsewhere.
fn place(url: &str) -> PathBuf {
    let (authority, path) = match url.split_once("://") {
        Some((_, rest)) => rest.split_once('/').unwrap_or((rest, "")),
        // As ssh has it: user@host:path. A path on this machine has a slash before any colon.
        None => match url.split_once(':').filter(|(host, _)| !host.contains('/')) {
            Some(parts) => parts,
            None => ("", url),
        },
    };
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = host.split_once(':').map_or(host, |(host, _)| host);
    let host = if host.is_empty() { "localhost" } else { host };
    let parts = path.split('/').filter(|part| !part.is_empty());
    std::iter::once(host).chain(parts).map(plain).collect()
}

/// A name for a directory: not hidden, not special.
fn plain(part: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let text: String = part.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    if text.starts_with('.') { format!("_{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_has_one_place() {
        for (url, expected) in [
            ("https://github.com/dora-rs/dora.git", "github.com/dora-rs/dora.git"),
            ("https://me:secret@example.org:8443/a//b", "example.org/a/b"),
            ("git@example.org:a/b.git", "example.org/a/b.git"),
            ("ssh://git@example.org/~me/b", "example.org/_me/b"),
            ("file:///srv/git/robot", "localhost/srv/git/robot"),
            ("/srv/git/robot", "localhost/srv/git/robot"),
            ("../robot", "localhost/_../robot"),
            ("https://example.org/../../etc", "example.org/_../_../etc"),
            ("https://example.org", "example.org"),
        ] {
            assert_eq!(place(url), Path::new(expected), "{url}");
        }
    }

    #[test]
    fn commits_are_whole() {
        assert!(is_commit(&"0a".repeat(20)) && is_commit(&"F".repeat(64)));
        assert!(!is_commit("0a0a0a0") && !is_commit(&"x".repeat(40)));
    }
}
