//! `cargo xtask packages`: runs node packages of the public index with our module, and writes what happened with each into
//! docs/compat.md.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::examples;
use crate::report::{Outcome, Trouble};
use crate::shell::{Shell, release_binary};
use crate::uv::{self, Environment};
use crate::wheel;
use crate::workspace;

/// Dataflows and programs that try packages, and the packages that are not tried with what they need; relative to the root.
const DATAFLOWS: &str = "apis/python/packages";
const NOT_TRIED: &str = "apis/python/packages/not-tried.txt";

/// How the comment begins by which a dataflow names what it tries.
const TRIES: &str = "# tries: ";

/// What the tests try: a list is sent, echoed, and compared.
const TESTED: &str = "chain.yml";

/// Where the table goes, and what stands around it there.
const DOCUMENT: &str = "docs/compat.md";
const BEGIN: &str = "<!-- written by `cargo xtask packages` -->\n";
const END: &str = "<!-- end of what is written -->\n";

/// Some packages never end by themselves.
const TIME_LIMIT: &str = "20s";

/// Builds what is needed, tries every package, and writes the table. Fails when a package does not run.
pub fn run() -> Outcome {
    wheel::build(&Environment::with("environment", wheel::TOOLS)?)?;
    Shell::new("cargo build --release --locked --bins").args(examples::selection()?).run()?;
    needs_the_index()?;
    let place = prepare()?;
    let mut rows = not_tried()?;
    let mut failed = Vec::new();
    for file in dataflows()? {
        let outcome = attempt(&place, &file);
        let what = match &outcome {
            Ok(()) => "runs",
            Err(_) => "does not run",
        };
        for package in tried(&file)? {
            let link = format!("{what}: [{file}](../{DATAFLOWS}/{file})");
            rows.insert(package.clone(), (version(&place, &package).unwrap_or_default(), link));
        }
        failed.extend(outcome.err().map(|why| why.to_string()));
    }
    write(&table(&rows))?;
    if failed.is_empty() { Ok(()) } else { Err(Trouble::Failed(failed.join("\n"))) }
}

/// Runs the packages that the tests need; `dora` and the wheel of the module are built.
pub fn test() -> Outcome {
    needs_the_index()?;
    attempt(&prepare()?, TESTED)
}

/// That nothing can be fetched is a matter of this machine; what happens afterwards is not.
fn needs_the_index() -> Outcome {
    let target = uv::directory().join("nothing");
    let probe =
        Shell::program(uv::program()?).args(["pip", "install", "--dry-run", "--no-deps", "--target"]).arg(target);
    probe
        .args(["--refresh", "pyarrow-sender"])
        .output()
        .map(|_quiet| ())
        .map_err(|error| Trouble::NotPossible(format!("packages cannot be fetched; is there a network?\n{error}")))
}

/// A directory below `target` with the dataflows, where their environments will lie.
fn prepare() -> Result<PathBuf, Trouble> {
    let place = uv::directory().join("packages");
    workspace::start_afresh(&place)?;
    for entry in workspace::files()?.iter().filter(|file| file.starts_with(DATAFLOWS)) {
        let copy = place.join(entry.file_name().unwrap_or_default());
        fs::copy(workspace::root().join(entry), &copy)
            .map_err(|error| format!("cannot write {}: {error}", copy.display()))?;
    }
    Ok(place)
}

/// Runs a dataflow; every node of it must end well.
fn attempt(place: &Path, file: &str) -> Outcome {
    let uv = uv::program()?;
    let path = std::env::var("PATH").unwrap_or_default();
    Shell::program(release_binary("dora"))
        .args(["run", "--uv", "--stop-after", TIME_LIMIT])
        .arg(place.join(file))
        .env("PATH", &format!("{}:{path}", uv.parent().unwrap_or(&uv).display()))
        .run()
}

/// The names of the dataflow files.
fn dataflows() -> Result<Vec<String>, String> {
    let files = workspace::files()?;
    let ours =
        files.iter().filter(|file| file.starts_with(DATAFLOWS) && file.extension().is_some_and(|end| end == "yml"));
    Ok(ours.filter_map(|file| Some(file.file_name()?.to_str()?.to_owned())).collect())
}

/// The packages that a dataflow tries.
fn tried(file: &str) -> Result<Vec<String>, String> {
    let path = Path::new(DATAFLOWS).join(file);
    let text = workspace::text(&path)?.unwrap_or_default();
    let names = text.lines().find_map(|line| line.strip_prefix(TRIES));
    let names = names.ok_or_else(|| format!("{}: no line begins with `{TRIES}`", path.display()))?;
    Ok(names.split_whitespace().map(str::to_owned).collect())
}

/// Version and words for each package.
type Rows = BTreeMap<String, (String, String)>;

/// The packages that are not tried: `NAME VERSION: what it needs`.
fn not_tried() -> Result<Rows, String> {
    let text = workspace::text(Path::new(NOT_TRIED))?.unwrap_or_default();
    let row = |line: &str| {
        let (package, needs) = line.split_once(": ")?;
        let (name, version) = package.split_once(' ')?;
        Some((name.to_owned(), (version.to_owned(), format!("not tried: {needs}"))))
    };
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| row(line).ok_or_else(|| format!("{NOT_TRIED}: `{line}`"))).collect()
}

/// The version of a package that was installed into one of the environments.
fn version(place: &Path, package: &str) -> Option<String> {
    let beginning = format!("{}-", package.replace('-', "_"));
    let below = |directory: PathBuf| fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    below(place.join(".dora/python-envs"))
        .flat_map(|environment| below(environment.join("lib")))
        .flat_map(|python| below(python.join("site-packages")))
        .find_map(|path| {
            let name = path.file_name()?.to_str()?.strip_suffix(".dist-info")?;
            name.strip_prefix(&beginning).map(str::to_owned)
        })
}

fn table(rows: &Rows) -> String {
    let lines = rows.iter().map(|(package, (version, what))| format!("| {package} | {version} | {what} |\n"));
    ["\n| package | version | |\n|---|---|---|\n".to_owned()]
        .into_iter()
        .chain(lines)
        .chain(["\n".to_owned()])
        .collect()
}

/// Puts the table where the old one was.
fn write(table: &str) -> Outcome {
    let text = workspace::text(Path::new(DOCUMENT))?.unwrap_or_default();
    let (before, rest) = text.split_once(BEGIN).ok_or_else(|| format!("{DOCUMENT} has no `{}`", BEGIN.trim()))?;
    let (_, after) = rest.split_once(END).ok_or_else(|| format!("{DOCUMENT} has no `{}`", END.trim()))?;
    let new = [before, BEGIN, table, END, after].concat();
    Ok(fs::write(workspace::root().join(DOCUMENT), new).map_err(|error| format!("cannot write {DOCUMENT}: {error}"))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_has_one_line_in_the_table() {
        let document = workspace::text(Path::new(DOCUMENT)).unwrap().unwrap();
        let tried = dataflows().unwrap().iter().flat_map(|file| tried(file).unwrap()).collect::<Vec<_>>();
        let untried = not_tried().unwrap();
        assert!(tried.len() >= 8 && tried.contains(&"dora-echo".to_owned()));
        for package in tried.iter().chain(untried.keys()) {
            assert_eq!(document.matches(&format!("| {package} |")).count(), 1, "{package}");
        }
        assert!(!document.contains("does not run: ["), "a package that does not run is a bug, or is not tried");
    }

    #[test]
    fn a_table_has_a_row_for_each_package() {
        let rows = [("b".to_owned(), ("1".to_owned(), "runs".to_owned())), ("a".to_owned(), Default::default())];
        assert!(table(&rows.into()).ends_with("|---|---|---|\n| a |  |  |\n| b | 1 | runs |\n\n"));
    }
}
