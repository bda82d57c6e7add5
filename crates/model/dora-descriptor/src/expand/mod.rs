//! Modules replaced by their nodes: `pipeline` becomes `pipeline.doubler` and `pipeline.filter`.
//!
//! Ids get the module's id in front, ports become the sources that the parent connected, paths become relative to the
//! dataflow file, and environment, deployment and build commands of the module's node reach the nodes inside.

mod instance;
mod paths;

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    rc::Rc,
};

use dora_message::id::{DataId, NodeId};

use crate::{
    diagnostic::{Code, Diagnostic},
    draft::{Draft, DraftInput, DraftNode, Drafts, ModuleCall},
    load::{MAX_MODULE_SIZE, ModuleInstance, Session},
    loader::{LoadError, normalize},
    mapping::DraftSource,
    source::{FileId, Span, Spanned},
    yaml::Tree,
};

/// Modules inside modules that are accepted.
const MAX_NESTING: usize = 8;
/// Uses of modules in one dataflow that are accepted.
const MAX_INSTANCES: usize = 10_000;

/// A dataflow without modules.
#[derive(Default)]
pub(crate) struct Expansion {
    pub(crate) nodes: Vec<DraftNode>,
    pub(crate) modules: Vec<ModuleInstance>,
    /// The outputs of each module.
    pub(crate) outputs: HashMap<NodeId, ModuleOutputs>,
    /// See [`Drafts::nameless`].
    pub(crate) nameless: bool,
}

/// The outputs that a module declares.
#[derive(Default)]
pub(crate) struct ModuleOutputs {
    /// Which output of which node each one is.
    pub(crate) targets: HashMap<DataId, (NodeId, DataId)>,
    /// Something about the module is wrong and reported; what it seems to lack says nothing.
    pub(crate) faulty: bool,
}

/// Expands the nodes of a dataflow file in directory `dir`.
pub(crate) fn dataflow(session: &mut Session<'_>, dir: &Path, drafts: Drafts) -> Expansion {
    let mut expander = Expander::new(session, dir);
    expander.result.nameless = drafts.nameless;
    for mut draft in drafts.nodes {
        draft.inputs_mut().retain(|input| expander.is_no_port(input));
        match draft {
            Draft::Node(node) => expander.result.nodes.push(*node),
            Draft::Module(call) => expander.call(*call, dir),
        }
    }
    expander.result
}

/// Expands a module file by itself; each of its inputs is connected to something. Returns its name as well.
pub(crate) fn standalone(session: &mut Session<'_>, path: &Path, file: FileId) -> (String, Expansion) {
    let dir = path.parent().unwrap_or(Path::new("")).to_owned();
    let mut expander = Expander::new(session, &dir);
    // Cross-references between directories of a project are fine, and the project is not known here.
    expander.confined = false;
    let Some(tree) = expander.session.tree(file, "a module") else { return (String::new(), expander.result) };
    let name = expander.check_standalone(Rc::new(tree), &dir, path);
    (name, expander.result)
}

struct Expander<'s, 'a> {
    session: &'s mut Session<'a>,
    /// Directory of the dataflow file, as it was given.
    dir: PathBuf,
    /// The same without links, for comparing.
    base: PathBuf,
    /// Whether modules must lie below `base`.
    confined: bool,
    /// Module files around the one that is being expanded.
    stack: Vec<PathBuf>,
    /// Files that were read; `None` if they are no YAML.
    trees: HashMap<PathBuf, Option<Rc<Tree>>>,
    result: Expansion,
}

impl<'s, 'a> Expander<'s, 'a> {
    fn new(session: &'s mut Session<'a>, dir: &Path) -> Self {
        let here = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
        let base = session.options.loader.canonical(here).unwrap_or_else(|_| normalize(dir));
        Self {
            session,
            dir: dir.to_owned(),
            base,
            confined: true,
            stack: Vec::new(),
            trees: HashMap::new(),
            result: Expansion::default(),
        }
    }

    fn error(&mut self, code: Code, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.session.sink.push(Diagnostic::error(code, span, message).help(help));
    }

    /// Refuses `_mod/port` outside of a module file.
    fn is_no_port(&mut self, input: &DraftInput) -> bool {
        let DraftSource::Port(port) = &input.source.value else { return true };
        let message = format!("`_mod/{port}` means an input of a module, but this file is no module");
        self.error(Code::InvalidSource, input.source.span, message, "name the node and the output that it comes from");
        false
    }

    /// Expands one use of a module whose file is named relative to `dir`.
    fn call(&mut self, call: ModuleCall, dir: &Path) {
        let errors = self.session.sink.errors();
        let id = call.id.value.clone();
        let mut outputs = ModuleOutputs { faulty: true, ..Default::default() };
        if !call.file.value.is_empty()
            && let Some(path) = self.locate(&call.file, dir)
            && let Some(tree) = self.read(&path, call.file.span)
        {
            self.stack.push(path.clone());
            outputs.targets = self.instance(&call, &tree, &path);
            self.stack.pop();
            outputs.faulty = call.faulty || self.session.sink.errors() > errors;
        }
        self.result.outputs.insert(id, outputs);
    }

    /// The file of a module, if it may be used here.
    fn locate(&mut self, file: &Spanned<String>, dir: &Path) -> Option<PathBuf> {
        let (name, span) = (file.value.as_str(), file.span);
        let refused = if Path::new(name).is_absolute() || name.starts_with('/') {
            Some(("the path of a module must be relative", "write it relative to the file that uses the module"))
        } else if self.stack.len() >= MAX_NESTING {
            Some(("modules are nested more than 8 deep", "use some of the modules side by side instead"))
        } else if self.result.modules.len() >= MAX_INSTANCES {
            Some(("more than 10000 modules are used", "use fewer modules"))
        } else {
            None
        };
        if let Some((message, help)) = refused {
            self.error(Code::Module, span, message, help);
            return None;
        }
        let path = match self.session.options.loader.canonical(&dir.join(name)) {
            Ok(path) => path,
            Err(error) => {
                self.unreadable(span, &dir.join(name), &error);
                return None;
            }
        };
        if self.confined && !path.starts_with(&self.base) {
            let message = format!("the module `{name}` lies outside of the directory of the dataflow");
            self.error(Code::Module, span, message, "copy it beside the dataflow file or below");
            return None;
        }
        if self.stack.contains(&path) {
            let message = format!("the module `{name}` contains itself");
            self.error(Code::Module, span, message, "remove one of the uses that lead around in a circle");
            return None;
        }
        Some(path)
    }

    fn unreadable(&mut self, span: Span, path: &Path, error: &LoadError) {
        let help = match error {
            LoadError::NotFound => "paths of modules are relative to the file that uses them",
            _ => "a module is a small YAML file",
        };
        let message = format!("cannot read the module `{}`: {error}", path.display());
        self.error(Code::Unreadable, span, message, help);
    }

    /// The tree of a file, which is read once however often the module is used.
    fn read(&mut self, path: &Path, span: Span) -> Option<Rc<Tree>> {
        if let Some(tree) = self.trees.get(path) {
            return tree.clone();
        }
        let text = match self.session.options.loader.read(path, MAX_MODULE_SIZE) {
            Ok(text) => text,
            Err(error) => {
                self.unreadable(span, path, &error);
                return None;
            }
        };
        let name = match path.strip_prefix(&self.base) {
            Ok(relative) => self.dir.join(relative),
            Err(_) => path.to_owned(),
        };
        let file = self.session.sources.add(name.display().to_string(), text.into());
        let tree = self.session.tree(file, "a module").map(Rc::new);
        self.trees.insert(path.to_owned(), tree.clone());
        tree
    }
}

/// Ids of the nodes of a file.
fn ids(drafts: &Drafts) -> HashSet<NodeId> {
    drafts.nodes.iter().map(|draft| draft.id().clone()).collect()
}
