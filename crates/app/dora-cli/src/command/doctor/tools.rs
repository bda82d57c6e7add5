//! Programs that build and fetch nodes. None of them is needed to run what is built.

use std::process::{Command, Stdio};

use super::finding::Finding;

/// A program: its name, what it is for, where it comes from.
struct Tool(&'static str, &'static str, &'static str);

const TOOLS: [Tool; 6] = [
    Tool("cargo", "builds nodes in Rust", "`rustup` installs it: https://rustup.rs"),
    Tool("rustc", "builds nodes in Rust", "`rustup` installs it: https://rustup.rs"),
    Tool("git", "fetches nodes from repositories", "the system's package manager installs it"),
    Tool("python3", "runs nodes in Python", "the system's package manager installs it; 3.11 or later"),
    Tool("uv", "keeps Python environments for `--uv`", "https://docs.astral.sh/uv tells how"),
    Tool("cc", "builds nodes in C and C++, and links those in Rust", "the package gcc or clang has it"),
];

/// The oldest Rust that builds the node API.
const OLDEST_RUST: (u32, u32) = (1, 95);

pub(super) fn probe() -> Vec<Finding> {
    TOOLS.iter().map(|tool| judge(tool, version(tool.0))).collect()
}

fn judge(Tool(name, purpose, source): &Tool, version: Option<String>) -> Finding {
    let Some(version) = version else {
        return Finding::warning(*name, "not found", format!("it {purpose}; {source}"));
    };
    match (*name, rust_version(&version)) {
        ("rustc", Some(found)) if found < OLDEST_RUST => {
            let (major, minor) = OLDEST_RUST;
            Finding::warning(*name, version, format!("nodes need {major}.{minor} or later: `rustup update`"))
        }
        _ => Finding::ok(*name, version),
    }
}

/// The first line that it prints about itself.
fn version(program: &str) -> Option<String> {
    let output = Command::new(program).arg("--version").stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().next().map(str::trim).filter(|line| !line.is_empty());
    output.status.success().then(|| line.unwrap_or("found").to_owned())
}

/// `rustc 1.95.0 (...)` is 1.95.
fn rust_version(line: &str) -> Option<(u32, u32)> {
    let mut numbers = line.strip_prefix("rustc ")?.split('.').map(str::parse::<u32>);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Status, *};

    #[test]
    fn old_and_missing_tools() {
        let rustc = &TOOLS[1];
        let status = |version: Option<&str>| judge(rustc, version.map(str::to_owned)).status;
        assert_eq!(status(Some("rustc 1.95.0 (abc 2026-01-01)")), Status::Ok);
        assert_eq!(status(Some("rustc 1.80.1 (abc 2024-01-01)")), Status::Warning);
        assert_eq!((status(Some("rustc of my own")), status(None)), (Status::Ok, Status::Warning));
    }

    #[test]
    fn programs_are_asked() {
        assert!(version("cargo").is_some_and(|line| line.starts_with("cargo ")));
        assert_eq!(version("no-such-program-anywhere"), None);
    }
}
