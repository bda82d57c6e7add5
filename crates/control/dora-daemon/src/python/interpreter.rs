//! Which interpreter of Python runs a node, and why that one. Told from what is started; nothing is started for it.

use std::{
    ffi::OsStr,
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use dora_message::supervision::NodePlan;

use crate::prepare::search;

/// The most of a script that is read to find its interpreter.
const FIRST_LINES: u64 = 1024;

/// What runs the Python code of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interpreter {
    /// The interpreter.
    pub program: PathBuf,
    /// The file that it runs.
    pub file: PathBuf,
    /// Why it is this one, for people: "the first `python` on the PATH".
    pub reason: String,
}

/// The interpreter of a node that is a Python file or a script for Python. `None` for other programs, and where `uv run`
/// chooses.
pub fn interpreter(plan: &NodePlan) -> Option<Interpreter> {
    let is_python = |program: &Path| name(program).is_some_and(|name| name.starts_with("python"));
    let started = plan.program.as_deref()?;
    if is_python(started) {
        let file = plan.args.iter().find(|argument| !argument.starts_with('-'))?;
        let reason = of_search_path(started, plan);
        return Some(Interpreter { program: started.to_owned(), file: file.into(), reason });
    }
    let program = of_script(&first_lines(started)?, variable(plan, "PATH").map(OsStr::new))?;
    let reason = format!("`{}` names it in its first line", started.display());
    is_python(&program).then(|| Interpreter { program, file: started.to_owned(), reason })
}

fn of_search_path(program: &Path, plan: &NodePlan) -> String {
    let mut first = format!("the first `{}` on the PATH", name(program).unwrap_or_default());
    if program.ends_with("python3") {
        first += ", as there is no `python` of version 3";
    }
    match variable(plan, "VIRTUAL_ENV") {
        Some(environment) if program.starts_with(environment) => {
            format!("{first}, in the environment `{environment}`")
        }
        Some(environment) => format!("{first}, which is not in the active environment `{environment}`"),
        None => first,
    }
}

fn variable<'a>(plan: &'a NodePlan, name: &str) -> Option<&'a str> {
    plan.env.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

fn name(program: &Path) -> Option<&str> {
    program.file_name().and_then(OsStr::to_str)
}

fn first_lines(script: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(script).ok()?.take(FIRST_LINES).read_to_end(&mut bytes).ok()?;
    bytes.starts_with(b"#!").then(|| String::from_utf8_lossy(&bytes).into_owned())
}

/// Who reads a script that begins with these lines.
///
/// Installers write the path of the interpreter there; where it is too long for the system, a shell calls it:
/// `'''exec' "/a/long/path/python" "$0" "$@"`.
fn of_script(text: &str, path: Option<&OsStr>) -> Option<PathBuf> {
    let mut lines = text.lines();
    let words: Vec<&str> = lines.next()?.strip_prefix("#!")?.split_whitespace().collect();
    match (name(Path::new(words.first()?))?, words.get(1)) {
        ("env", Some(&"-S")) => search::find(words.get(2)?, path),
        ("env", Some(program)) => search::find(program, path),
        ("sh", _) => shlex::split(lines.next()?.strip_prefix("'''exec'")?)?.into_iter().next().map(PathBuf::from),
        _ => Some(PathBuf::from(words[0])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_name_their_interpreter() {
        let of = |text: &str| of_script(text, Some(OsStr::new("/nowhere:/bin"))).map(|path| path.display().to_string());
        assert_eq!(of("#!/env/bin/python3\nimport dora\n").as_deref(), Some("/env/bin/python3"));
        assert_eq!(of("#! /env/bin/python -I").as_deref(), Some("/env/bin/python"));
        assert_eq!(of("#!/usr/bin/env sh\n").as_deref(), Some("/bin/sh"));
        let long = "#!/bin/sh\n'''exec' \"/a b/bin/python\" \"$0\" \"$@\"\n' '''\nimport dora\n";
        assert_eq!(of(long).as_deref(), Some("/a b/bin/python"));
        assert_eq!((of("#!/bin/sh\necho\n"), of("#!/usr/bin/env no-such-program"), of("")), (None, None, None));
    }
}
