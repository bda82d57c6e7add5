//! From a path on the command line to a checked dataflow; mistakes become an error that shows all of them.

use std::path::Path;

use dora_descriptor::{Capabilities, Dataflow, Diagnostics, Loaded, Options};
use dora_gateways::DataflowInfo;

use crate::{
    error::{self, CommandError, stderr_is_coloured},
    words::counted,
};

/// Reads and checks a dataflow file. Warnings are told, mistakes are the error.
pub(crate) fn load(path: &Path, options: &Options) -> Result<Loaded, CommandError> {
    let loaded = load_untold(path, options)?;
    tell_warnings(&loaded.warnings);
    Ok(loaded)
}

/// The same, with warnings that are still to be told.
pub(crate) fn load_untold(path: &Path, options: &Options) -> Result<Loaded, CommandError> {
    load_quietly(path, options)?.map_err(|mistakes| mistakes_error(path, mistakes))
}

/// What `dora run` of this version does with a dataflow.
pub(crate) fn served() -> Capabilities {
    Capabilities {
        python_nodes: true,
        build: true,
        git: true,
        url: true,
        shell: true,
        dynamic: true,
        restart: true,
        working_dir: true,
        debug_inspection: true,
        health_checks: true,
        finish_grace: true,
        input_timeout: true,
        cpu_affinity: true,
        stdout_outputs: true,
        log_outputs: true,
        log_inputs: true,
        log_rules: true,
        ..Capabilities::default()
    }
}

/// Refuses a dataflow that is right but asks for what this version does not do.
pub(crate) fn refuse_unserved(path: &Path, loaded: &Loaded) -> Result<(), CommandError> {
    refuse(path, loaded, &served())
}

/// Refuses what goes beyond these capabilities.
pub(crate) fn refuse(path: &Path, loaded: &Loaded, served: &Capabilities) -> Result<(), CommandError> {
    let refusals = dora_descriptor::unserved(loaded, served);
    if refusals.is_empty() {
        return Ok(());
    }
    let count = refusals.len();
    let things = if count == 1 { "one thing".to_owned() } else { format!("{count} things") };
    Err(CommandError::Mistakes {
        mistakes: refusals,
        summary: format!("`{}` asks for {things} that this version does not serve", path.display()),
    })
}

/// Reads and checks a dataflow file, and leaves the mistakes to the caller.
pub(crate) fn load_quietly(path: &Path, options: &Options) -> Result<Result<Loaded, Diagnostics>, CommandError> {
    let shown = path.display();
    let text = path.to_string_lossy();
    if text.starts_with("http://") || text.starts_with("https://") {
        return Err(CommandError::usage(
            format!("`{shown}` is a URL; this version reads dataflows from files only"),
            "download it first, together with the files that it names",
        ));
    }
    if path.is_dir() {
        let usual = path.join("dataflow.yml");
        let hint = if usual.exists() { format!("did you mean `{}`?", usual.display()) } else { nearby(&usual) };
        return Err(CommandError::failed(format!("`{shown}` is a directory, expected a dataflow file")).with_hint(hint));
    }
    if !path.exists() {
        return Err(CommandError::failed(format!("there is no file `{shown}`")).with_hint(nearby(path)));
    }
    Ok(dora_descriptor::load(path, options))
}

/// The dataflow that a coordinator knows, from the text that it keeps.
pub(crate) fn of_coordinator(info: &DataflowInfo) -> Result<Dataflow, CommandError> {
    let name = info.summary.id.to_string();
    match dora_descriptor::parse(&name, &info.descriptor, &Options::default()) {
        Ok(loaded) => Ok(loaded.dataflow),
        Err(mistakes) => Err(mistakes_error(Path::new(&name), mistakes)
            .with_hint("the coordinator is of another version; use its version of `dora`")),
    }
}

/// The error that shows all mistakes of a file.
pub(crate) fn mistakes_error(path: &Path, mistakes: Diagnostics) -> CommandError {
    let summary = format!("`{}` has {}", path.display(), counted(mistakes.error_count(), "mistake"));
    CommandError::Mistakes { mistakes, summary }
}

/// Shows warnings on standard error.
pub(crate) fn tell_warnings(warnings: &Diagnostics) {
    if !warnings.is_empty() {
        error::tell_line(&format!("{}\n", warnings.render(stderr_is_coloured()).trim_end()));
    }
}

/// The directory that a dataflow file is in, which relative paths start from.
pub(crate) fn directory(path: &Path) -> &Path {
    path.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Dataflow files in the directory of a path that does not exist.
fn nearby(path: &Path) -> String {
    let directory = directory(path);
    let Ok(entries) = std::fs::read_dir(directory) else {
        return format!("there is no directory `{}` either", directory.display());
    };
    let is_yaml = |name: &str| name.ends_with(".yml") || name.ends_with(".yaml");
    let mut found: Vec<String> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| is_yaml(name))
        .collect();
    found.sort();
    found.truncate(5);
    match found.is_empty() {
        true => format!("`{}` holds no .yml file", directory.display()),
        false => format!("`{}` holds {}", directory.display(), found.join(", ")),
    }
}
