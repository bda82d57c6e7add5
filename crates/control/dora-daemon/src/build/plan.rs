//! What there is to build: one job per node that has a source elsewhere or a `build:`.
//!
//! It looks at the dataflow only, and starts and writes nothing.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use dora_descriptor::{
    Dataflow, Node, NodeKind,
    model::{PathKind, Standard},
};

use super::{
    BuildOptions, Pins,
    job::{Job, Line, Source},
};
use crate::prepare::{
    Environment, Mistakes, PrepareError, PrepareOptions, Problem, search,
    uv::{self, Module},
    working_dir,
};

/// Something that two builds must not change at the same time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Claim {
    /// The directory that lines run in.
    Directory(PathBuf),
    /// All checkouts of a repository.
    Repository(String),
    /// The Python environment that is active, which every installer writes to.
    PythonEnvironment,
}

/// The jobs, in the order of the file, and what their user should know.
pub(super) struct Plan {
    pub(super) jobs: Vec<Job>,
    pub(super) warnings: Vec<String>,
}

/// Finds the jobs of a dataflow.
pub(super) fn plan(dataflow: &Dataflow, base: &Path, options: &BuildOptions) -> Result<Plan, PrepareError> {
    let mut mistakes = Mistakes::default();
    let mut warnings = Vec::new();
    let inherited_env = options.inherited_env.clone();
    let of_caller = PrepareOptions { inherited_env, uv: options.uv, ..PrepareOptions::default() };
    let environment = Environment::new(&of_caller, &mut warnings);
    let mut jobs = Vec::new();
    for node in &dataflow.nodes {
        let (source, texts) = sources(node);
        let Some(source) = pinned(source, node, options.pins.as_ref(), &mut mistakes) else { continue };
        if let Source::Url { url, sha256: None } = &source {
            warnings.push(format!(
                "node `{}`: what `{url}` sends is run unchecked; `path_sha256` says what it must be",
                node.id
            ));
        }
        let dir = working_dir(dataflow, node, base);
        let mut lines = lines(node, &texts, &mut mistakes);
        if lines.is_empty() && source == Source::Here {
            continue;
        }
        let mut module = None;
        if let Some(python) = options.uv.then(|| uv::environment(node, &dir)).flatten() {
            if search::find("uv", environment.search_path()).is_none() {
                mistakes.add::<()>(node, Problem::NoUv);
            }
            module = module_of(node, &lines, &python, options, &mut mistakes);
            lines = through_uv(lines, &python, module.as_ref());
        }
        if !dir.is_dir() {
            mistakes.add::<()>(node, Problem::WorkingDir { dir: dir.clone() });
        }
        let claims = claims(&source, &dir, &lines, options.parallel);
        let mut env = environment.for_node(node, &dir).of(node, &mut warnings);
        if let Some(module) = &module {
            module.announce(&mut env);
        }
        jobs.push(Job { node: node.id.clone(), source, dir, lines, env, module, claims });
    }
    mistakes.into_result()?;
    Ok(Plan { jobs, warnings })
}

/// Where the source of a node is, and its build texts.
fn sources(node: &Node) -> (Source, Vec<&str>) {
    match &node.kind {
        NodeKind::Standard(standard) => (source(standard), standard.build.as_deref().into_iter().collect()),
        NodeKind::Runtime(runtime) => {
            (Source::Here, runtime.operators.iter().filter_map(|operator| operator.build.as_deref()).collect())
        }
    }
}

fn source(standard: &Standard) -> Source {
    match &standard.git {
        Some(git) => Source::Git { source: git.clone(), pinned: None },
        None if standard.path_kind() == PathKind::Url => {
            Source::Url { url: standard.path.clone(), sha256: standard.path_sha256.clone() }
        }
        None => Source::Here,
    }
}

/// The source, at what it is pinned to. A node whose source is not what was pinned is a mistake.
fn pinned(source: Source, node: &Node, pins: Option<&Pins>, mistakes: &mut Mistakes) -> Option<Source> {
    let Some(pins) = pins else { return Some(source) };
    match source {
        Source::Here => Some(source),
        Source::Git { source, .. } => match pins.commit(&node.id, &source) {
            Some(commit) => Some(Source::Git { source, pinned: Some(commit) }),
            None => mistakes.add(node, Problem::NotPinned { url: source.url, key: "git" }),
        },
        Source::Url { url, sha256 } => match pins.sha256(&node.id, &url, sha256.as_deref()) {
            Some(sha256) => Some(Source::Url { url, sha256: Some(sha256) }),
            None => mistakes.add(node, Problem::NotPinned { url, key: "path" }),
        },
    }
}

fn lines(node: &Node, texts: &[&str], mistakes: &mut Mistakes) -> Vec<Line> {
    let texts = texts.iter().flat_map(|text| text.lines()).map(str::trim).filter(|line| !line.is_empty());
    let split = |text: &str| match shlex::split(text) {
        Some(words) => Some(Line { text: text.to_owned(), words }),
        None => mistakes.add(node, Problem::BuildLine { line: text.to_owned() }),
    };
    // A line that is only a comment has no words.
    texts.filter_map(split).filter(|line| !line.words.is_empty()).collect()
}

/// The lines as `uv` runs them, after those that make the environment.
fn through_uv(lines: Vec<Line>, python: &Path, module: Option<&Module>) -> Vec<Line> {
    let first = [uv::make(python), module.map(Module::install)].into_iter().flatten().map(Line::of);
    let others = lines.into_iter().map(|line| match uv::line(line.words.clone()) {
        words if words == line.words => line,
        words => Line::of(words),
    });
    first.chain(others).collect()
}

/// What the environment of a node is to take for our module, if it is one in Python.
fn module_of(
    node: &Node,
    lines: &[Line],
    python: &Path,
    options: &BuildOptions,
    mistakes: &mut Mistakes,
) -> Option<Module> {
    if !uv::is_python(node, lines.iter().map(|line| &line.words[..])) {
        return None;
    }
    match options.python_module.wheel() {
        Ok(wheel) => Some(Module::new(python, wheel)),
        Err(looked) => mistakes.add(node, Problem::no_python_module(looked)),
    }
}

fn claims(source: &Source, dir: &Path, lines: &[Line], parallel: bool) -> BTreeSet<Claim> {
    let mut claims = BTreeSet::new();
    match source {
        Source::Git { source, .. } => drop(claims.insert(Claim::Repository(source.url.clone()))),
        Source::Here if !parallel => drop(claims.insert(Claim::Directory(dir.to_owned()))),
        _ => {}
    }
    if lines.iter().any(|line| installs_python(&line.words)) {
        claims.insert(Claim::PythonEnvironment);
    }
    claims
}

/// Whether a line installs into a Python environment, which installers do not lock against each other.
fn installs_python(words: &[String]) -> bool {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["pip" | "pip3" | "uv" | "conda" | "mamba" | "poetry" | "maturin", ..] => true,
        [python, "-m", "pip", ..] => python.starts_with("python"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(text: &str, parallel: bool) -> Result<Plan, PrepareError> {
        let loaded = dora_descriptor::parse("a.yml", text, &dora_descriptor::Options::default()).unwrap();
        plan(&loaded.dataflow, Path::new("/"), &BuildOptions { parallel, ..BuildOptions::new("/dora".into()) })
    }

    #[test]
    fn each_line_is_a_process() {
        let plan = planned(
            "nodes: [{ id: a, path: a, build: \"cargo build\\n\\n  # why\\n sh -c 'a  b'\\n\" }, { id: b, path: b }]",
            false,
        )
        .unwrap();
        assert_eq!(plan.jobs.len(), 1);
        let words: Vec<_> = plan.jobs[0].lines.iter().map(|line| line.words.clone()).collect();
        assert_eq!(words, [vec!["cargo", "build"], vec!["sh", "-c", "a  b"]]);
    }

    #[test]
    fn a_quote_without_its_partner_is_a_mistake() {
        let error = planned("nodes: [{ id: a, path: a, build: \"echo it's\" }]", false).err().unwrap();
        assert!(matches!(&error.mistakes[0].problem, Problem::BuildLine { line } if line == "echo it's"));
    }

    #[test]
    fn what_would_disturb_each_other_is_claimed() {
        let text = "
nodes:
  - { id: a, path: a, build: make }
  - { id: b, path: b, build: pip install b }
  - { id: c, path: c, build: python3 -m pip install c, git: 'https://example.org/c.git' }
  - { id: d, path: 'https://example.org/d', path_sha256: '0000000000000000000000000000000000000000000000000000000000000000' }
";
        let claims = |parallel| {
            planned(text, parallel).unwrap().jobs.into_iter().map(|job| Vec::from_iter(job.claims)).collect::<Vec<_>>()
        };
        let (dir, repository) =
            (Claim::Directory("/".into()), Claim::Repository("https://example.org/c.git".to_owned()));
        let python = Claim::PythonEnvironment;
        let others = vec![repository, python.clone()];
        let alone = vec![vec![dir.clone()], vec![dir, python.clone()], others.clone(), vec![]];
        assert_eq!(claims(false), alone);
        assert_eq!(claims(true), [vec![], vec![python], others, vec![]]);
    }

    #[test]
    fn a_url_without_a_hash_is_warned_about() {
        let plan = planned("nodes: [{ id: a, path: 'https://example.org/a' }]", false).unwrap();
        assert!(plan.warnings.iter().any(|warning| warning.contains("`path_sha256`")));
    }
}
