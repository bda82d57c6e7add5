//! Programs behind URLs: `build/<key>/<name>`, downloaded once, verified each time if a hash is given.
//!
//! The key is the hash, or that of the URL. What is downloaded has another name until it is complete and verified.

use std::{
    fs::{self, File, Permissions},
    io::{self, Read, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use ring::digest::{Context, SHA256};
use ureq::tls::{RootCerts, TlsConfig};

use super::{BuildProblem, Progress, Refresh, crew::SignOfLife, job::Tools, lock};

/// Digits of the key in a path: enough to tell any two.
const KEY_LEN: usize = 16;
/// Bytes at a time.
const CHUNK: usize = 64 * 1024;

/// A program that was downloaded.
pub(super) struct Program {
    pub(super) file: PathBuf,
    /// It was not there before.
    pub(super) new: bool,
}

/// The program behind a URL; downloaded if it is not there, or may have changed.
pub(super) fn fetch(tools: &Tools<'_>, url: &str, sha256: Option<&str>) -> Result<Program, BuildProblem> {
    let file = place(&tools.job.dir, url, sha256);
    let dir = file.parent().unwrap_or(&tools.job.dir);
    let _lock = lock::hold(tools, dir)?;
    let is_wanted = match sha256 {
        Some(sha256) => hash_of_file(&file).is_ok_and(|hash| hash == sha256),
        None => file.exists() && tools.crew.options.refresh == Refresh::Missing,
    };
    if is_wanted {
        return Ok(Program { file, new: false });
    }
    (tools.say)(Progress::Downloading(url.to_owned()));
    let part = dir.join(".part");
    let patience = tools.crew.options.patience;
    let (from, to) = (url.to_owned(), part.clone());
    let received = tools.crew.control.aside(Some(patience), move |life| receive(&from, &to, patience, life))?;
    let failed = |why: String| BuildProblem::Download { url: url.to_owned(), why };
    let found = match received {
        Some(Ok(found)) => found,
        Some(Err(why)) => return Err(failed(why)),
        None => return Err(failed(format!("the server has sent nothing for {} s", patience.as_secs_f32()))),
    };
    if let Some(expected) = sha256.filter(|expected| *expected != found) {
        let _ = fs::remove_file(&part);
        return Err(BuildProblem::Hash { url: url.to_owned(), expected: expected.to_owned(), found });
    }
    fs::set_permissions(&part, Permissions::from_mode(0o755))
        .and_then(|()| fs::rename(&part, &file))
        .map_err(|error| BuildProblem::file("write", &file, error))?;
    Ok(Program { file, new: true })
}

/// Where the program behind a URL is kept, below the directory of its node.
pub(super) fn place(dir: &Path, url: &str, sha256: Option<&str>) -> PathBuf {
    let key = sha256.map_or_else(|| hash_of(url.as_bytes()), str::to_owned);
    dir.join("build").join(&key[..KEY_LEN.min(key.len())]).join(name(url))
}

/// Writes what the URL sends to a file; gives its hash, or for people why not.
fn receive(url: &str, to: &Path, patience: Duration, life: &SignOfLife) -> Result<String, String> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_connect(Some(patience))
        .timeout_recv_response(Some(patience))
        .user_agent(concat!("dora/", env!("CARGO_PKG_VERSION")))
        // Those of the system: a company's own server has a certificate of the company.
        .tls_config(TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build())
        .build()
        .into();
    let mut response = agent.get(url).call().map_err(explain)?;
    let mut body = response.body_mut().as_reader();
    let mut file = File::create(to).map_err(|error| format!("cannot write `{}`: {error}", to.display()))?;
    let mut hash = Context::new(&SHA256);
    let mut buffer = vec![0; CHUNK];
    loop {
        let count = body.read(&mut buffer).map_err(|error| format!("it broke off: {error}"))?;
        if count == 0 {
            break;
        }
        hash.update(&buffer[..count]);
        file.write_all(&buffer[..count]).map_err(|error| format!("cannot write `{}`: {error}", to.display()))?;
        if !life.show() {
            return Err("nobody waits for it".to_owned());
        }
    }
    file.sync_all().map_err(|error| format!("cannot write `{}`: {error}", to.display()))?;
    Ok(hexadecimal(hash))
}

fn explain(error: ureq::Error) -> String {
    match error {
        ureq::Error::StatusCode(404) => "the server does not have it (404)".to_owned(),
        ureq::Error::StatusCode(code) => format!("the server answered with status {code}"),
        error => error.to_string(),
    }
}

/// The last part of the path of a URL.
fn name(url: &str) -> String {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    let path = path.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map_or("", |(_, path)| path);
    let last = path.rsplit('/').next().unwrap_or("");
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let name: String = last.chars().filter(is_plain).collect();
    let name = name.trim_start_matches('.');
    if name.is_empty() { "node".to_owned() } else { name.to_owned() }
}

fn hash_of(bytes: &[u8]) -> String {
    let mut hash = Context::new(&SHA256);
    hash.update(bytes);
    hexadecimal(hash)
}

pub(super) fn hash_of_file(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Context::new(&SHA256);
    let mut buffer = vec![0; CHUNK];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hexadecimal(hash)),
            count => hash.update(&buffer[..count]),
        }
    }
}

fn hexadecimal(hash: Context) -> String {
    hash.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        for (url, expected) in [
            ("https://example.org/bin/camera?version=2#x", "camera"),
            ("https://example.org/node.py", "node.py"),
            ("https://example.org/a/../..", "node"),
            ("https://example.org/.bashrc", "bashrc"),
            ("https://example.org", "node"),
            ("https://example.org/%2e%2e%2fx", "2e2e2fx"),
        ] {
            assert_eq!(name(url), expected, "{url}");
        }
    }

    #[test]
    fn hashes_are_those_of_sha256sum() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hash_of(b"abc"), expected);
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "abc").unwrap();
        assert_eq!(hash_of_file(file.path()).unwrap(), expected);
    }
}
