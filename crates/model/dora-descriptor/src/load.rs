//! The way of a file: read, parsed, decoded, expanded, checked.

use std::path::{Path, PathBuf};

use dora_message::id::NodeId;
use indexmap::IndexMap;
use serde::Serialize;

use crate::{
    check, decode,
    decode::{Context, sink::Sink},
    diagnostic::{Code, Diagnostic, Diagnostics, Severity},
    draft::DraftDataflow,
    expand::{self, Expansion},
    loader::{FsLoader, LoadError, Loader},
    model::Dataflow,
    places::Places,
    source::{FileId, Sources, Span},
    vars::Vars,
    yaml,
};

/// Bytes of a dataflow file at most.
pub const MAX_FILE_SIZE: u64 = 16 << 20;
/// Bytes of a module file or a type package at most.
pub const MAX_MODULE_SIZE: u64 = 1 << 20;

/// What loading may ask the world for, and how strict it is.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// Reads files.
    pub loader: &'a dyn Loader,
    /// Looks up an environment variable, for `${NAME}` in `env`.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// Type warnings are errors, whatever the file says.
    pub strict_types: bool,
}

impl Default for Options<'_> {
    /// Files from disk, variables of this process.
    fn default() -> Self {
        Self { loader: &FsLoader, env: &process_env, strict_types: false }
    }
}

fn process_env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// A dataflow that can be used.
#[derive(Debug)]
pub struct Loaded {
    /// The dataflow.
    pub dataflow: Dataflow,
    /// What is allowed but hardly meant, or should be spelled differently; and the texts of all files.
    pub warnings: Diagnostics,
    /// Where everything stands.
    pub places: Places,
    /// The modules that were expanded, outer ones first.
    pub modules: Vec<ModuleInstance>,
    /// Types that inputs get from the outputs that feed them.
    pub inferred_types: Vec<InferredType>,
}

/// One use of a module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModuleInstance {
    /// Its id, in front of the ids of its nodes: `<id>.<inner id>`.
    pub id: NodeId,
    /// A name for people: that of the node, or else that of the module.
    pub name: String,
    /// A description for people.
    pub description: Option<String>,
    /// The module file.
    pub file: PathBuf,
    /// Its nodes, those of modules inside it included.
    pub nodes: Vec<NodeId>,
}

/// A type that an input gets from the output that feeds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InferredType {
    /// The node.
    pub node: NodeId,
    /// Its input.
    pub input: String,
    /// URN of the type.
    pub type_urn: String,
    /// The output that says so.
    pub from: String,
}

/// Loads the dataflow file at `path`.
///
/// Errors hold everything that is wrong with the file and its modules, warnings included.
pub fn load(path: &Path, options: &Options<'_>) -> Result<Loaded, Diagnostics> {
    let name = path.display().to_string();
    match options.loader.read(path, MAX_FILE_SIZE) {
        Ok(text) => parse(&name, &text, options),
        Err(error) => Err(unreadable(&name, &error)),
    }
}

fn unreadable(name: &str, error: &LoadError) -> Diagnostics {
    let help = match error {
        LoadError::NotFound => "give the path of a dataflow file, for example `dataflow.yml`",
        LoadError::TooLarge { .. } => "a dataflow file holds text written by people; is this the right file?",
        LoadError::NotText { .. } => "a dataflow file is YAML in UTF-8; is this the right file?",
        LoadError::Io(_) => "check the path and its permissions",
    };
    let item = Diagnostic {
        severity: Severity::Error,
        code: Code::Unreadable,
        message: format!("cannot read `{name}`: {error}"),
        labels: Vec::new(),
        help: Some(help.to_owned()),
    };
    Diagnostics::new(vec![item], Sources::default())
}

/// Loads a dataflow from its text.
///
/// `name` is the path of the file, for messages; modules are looked for beside it.
pub fn parse(name: &str, text: &str, options: &Options<'_>) -> Result<Loaded, Diagnostics> {
    let mut session = Session { options: *options, sources: Sources::default(), sink: Sink::default() };
    if text.len() as u64 > MAX_FILE_SIZE {
        return Err(unreadable(name, &LoadError::TooLarge { limit: MAX_FILE_SIZE }));
    }
    let file = session.sources.add(name.to_owned(), text.into());
    let Some(draft) = session.dataflow(file) else { return Err(session.fail()) };
    let dir = Path::new(name).parent().unwrap_or(Path::new("")).to_owned();
    session.finish(file, &dir, draft)
}

/// Checks a module file by itself: its header, its nodes, the modules it uses.
///
/// Returns its name and the warnings. Its inputs count as connected.
pub fn check_module(path: &Path, options: &Options<'_>) -> Result<(String, Diagnostics), Diagnostics> {
    let name = path.display().to_string();
    let mut session = Session { options: *options, sources: Sources::default(), sink: Sink::default() };
    let text = options.loader.read(path, MAX_MODULE_SIZE).map_err(|error| unreadable(&name, &error))?;
    let file = session.sources.add(name, text.into());
    let (module, expansion) = expand::standalone(&mut session, path, file);
    check::connect(expansion, IndexMap::new(), &mut session.sink);
    if session.sink.errors() > 0 {
        return Err(session.fail());
    }
    Ok((module, session.fail()))
}

/// The state of one load.
pub(crate) struct Session<'a> {
    pub(crate) options: Options<'a>,
    pub(crate) sources: Sources,
    pub(crate) sink: Sink,
}

impl Session<'_> {
    /// The tree of a file that must hold something.
    pub(crate) fn tree(&mut self, file: FileId, what: &str) -> Option<yaml::Tree> {
        // A byte order mark is no text; blanks in its place keep every position.
        let text = self.sources.text(file).to_owned();
        let text = match text.strip_prefix('\u{feff}') {
            Some(rest) => format!("   {rest}"),
            None => text,
        };
        match yaml::parse(file, &text) {
            Ok(Some(tree)) => Some(tree),
            Ok(None) => {
                let start = Span { file, start: 0, end: 0 };
                self.sink.push(
                    Diagnostic::error(Code::MissingKey, start, "the file is empty")
                        .help(format!("{what} starts with `nodes:`, a list of nodes")),
                );
                None
            }
            Err(error) => {
                self.sink.push(error);
                None
            }
        }
    }

    fn dataflow(&mut self, file: FileId) -> Option<DraftDataflow> {
        let tree = self.tree(file, "a dataflow")?;
        let vars = Vars { env: self.options.env, params: None };
        decode::dataflow(&tree, &mut Context { sink: &mut self.sink, vars })
    }

    fn finish(mut self, file: FileId, dir: &Path, draft: DraftDataflow) -> Result<Loaded, Diagnostics> {
        let strict = self.options.strict_types || draft.strict_types;
        let expansion: Expansion = expand::dataflow(&mut self, dir, draft.drafts);
        let modules = expansion.modules.clone();
        let (nodes, node_places) = check::connect(expansion, draft.env.clone(), &mut self.sink);
        let mut dataflow = Dataflow {
            nodes,
            env: draft.env,
            deploy: draft.deploy,
            debug: draft.debug,
            health_check_interval: draft.health_check_interval,
            strict_types: draft.strict_types,
            exit_when_nodes_finish: draft.exit_when_nodes_finish,
            type_rules: draft.type_rules,
        };
        let places = Places {
            file: Span { file, start: 0, end: 0 },
            keys: draft.keys.into_iter().collect(),
            nodes: node_places,
        };
        check::lines(&mut dataflow, &places, &mut self.sink);
        check::cycles(&dataflow, &places, &mut self.sink);
        let inferred_types = check::types(&dataflow, &places, dir, strict, &mut self);
        if strict {
            self.sink.escalate(Code::Type);
        }
        if self.sink.errors() > 0 {
            return Err(self.fail());
        }
        Ok(Loaded { dataflow, warnings: self.fail(), places, modules, inferred_types })
    }

    fn fail(self) -> Diagnostics {
        Diagnostics::new(self.sink.into_items(), self.sources)
    }
}
