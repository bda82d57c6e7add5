//! Sources that are elsewhere: repositories and URLs. What is fetched, when it is fetched again, what is never used.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use dora_tests::{Answer, Finished, Running, WebServer, Workbench, await_gone, eventually};
use rustix::process::Signal;

/// A repository with a node in it, which says what it is and where it runs.
struct Repository<'a> {
    bench: &'a Workbench,
}

impl<'a> Repository<'a> {
    fn new(bench: &'a Workbench) -> Self {
        let repository = Repository { bench };
        fs::create_dir(repository.path()).expect("our own directory");
        repository.git(&["init", "--quiet", "--initial-branch", "main"]);
        repository
    }

    fn path(&self) -> PathBuf {
        self.bench.path().join("upstream")
    }

    fn url(&self) -> String {
        format!("file://{}", self.path().display())
    }

    fn git(&self, arguments: &[&str]) -> String {
        let who = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"];
        let mut command = Command::new("git");
        command.args(who).args(arguments).current_dir(self.path()).env("GIT_CONFIG_GLOBAL", "/dev/null");
        let output = command.output().expect("git");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Commits a node that says this; gives the commit.
    fn commit(&self, word: &str) -> String {
        self.bench.script("upstream/node.sh", &format!("echo {word} in $(pwd), $(cat built)"));
        self.git(&["add", "."]);
        self.git(&["commit", "--quiet", "--message", word]);
        self.git(&["rev-parse", "HEAD"])
    }

    fn dataflow(&self, revision: &str) {
        let text = format!(
            "nodes:\n  - id: a\n    path: ./node.sh\n    git: {}\n    {revision}\n    build: sh -c 'echo made > built'\n",
            self.url()
        );
        self.bench.write("a.yml", text);
    }

    fn clone_of(&self, commit: &str) -> PathBuf {
        let place = self.path();
        self.bench.path().join("git/localhost").join(place.strip_prefix("/").expect("absolute")).join(commit)
    }
}

fn build(bench: &Workbench) -> Finished {
    bench.dora(["build", "a.yml"]).finish()
}

fn run(bench: &Workbench) -> Finished {
    bench.dora(["run", "a.yml"]).finish()
}

#[test]
fn a_branch_a_tag_or_a_commit() {
    let bench = Workbench::new();
    let upstream = Repository::new(&bench);
    let first = upstream.commit("first");
    upstream.git(&["tag", "--annotate", "v1", "--message", "one"]);
    let second = upstream.commit("second");
    upstream.git(&["checkout", "--quiet", "-b", "work", "v1"]);
    let third = upstream.commit("third");
    upstream.git(&["checkout", "--quiet", "main"]);
    for (revision, commit, word) in [
        ("tag: v1", &first, "first"),
        ("branch: work", &third, "third"),
        ("name: the default branch", &second, "second"),
        (&*format!("rev: {first}"), &first, "first"),
        (&*format!("rev: {}", &third[..10]), &third, "third"),
    ] {
        upstream.dataflow(revision);
        build(&bench).expect_code(0);
        let run = run(&bench).expect_code(0);
        let expected = format!("{word} in {}, made", upstream.clone_of(commit).display());
        assert!(run.stdout.contains(&expected), "{revision}: no {expected} in {}", run.stdout);
    }
}

#[test]
fn what_was_built_stays_until_it_is_built_again() {
    let bench = Workbench::new();
    let upstream = Repository::new(&bench);
    upstream.commit("first");
    upstream.dataflow("branch: main");
    // `run` builds what was never built.
    assert!(run(&bench).expect_code(0).stdout.contains("a: first in"));
    upstream.commit("second");
    let again = run(&bench).expect_code(0);
    assert!(again.stdout.contains("a: first in") && !again.stderr.contains("cloning"), "{}", again.stderr);
    assert!(build(&bench).expect_code(0).stderr.contains("cloning"));
    assert!(!build(&bench).expect_code(0).stderr.contains("cloning"));
    // Without the repository it still runs.
    fs::rename(upstream.path(), bench.path().join("gone")).expect("our own directory");
    assert!(run(&bench).expect_code(0).stdout.contains("a: second in"));
    let offline = build(&bench).expect_code(1);
    assert!(offline.stderr.contains("could not be asked for its branches and tags: git exited with code 128"));
    assert!(offline.stderr.contains("a.yml:4:") && offline.stderr.contains("hint:"), "{}", offline.stderr);
}

#[test]
fn a_revision_that_is_not_there_is_told_with_the_nearest() {
    let bench = Workbench::new();
    let upstream = Repository::new(&bench);
    upstream.commit("first");
    upstream.git(&["tag", "release-1"]);
    for (revision, line, expected) in [
        ("branch: mian", 5, "has no branch `mian`\nhint: did you mean `main`?"),
        ("tag: release-2", 5, "has no tag `release-2`\nhint: did you mean `release-1`?"),
        ("rev: 0123456789012345678901234567890123456789", 4, "could not give that commit"),
    ] {
        upstream.dataflow(revision);
        let build = build(&bench).expect_code(1);
        let place = format!("a.yml:{line}:");
        assert!(build.stderr.contains(expected) && build.stderr.contains(&place), "{revision}: {}", build.stderr);
    }
}

#[test]
fn submodules_come_with_their_repository() {
    let bench = Workbench::new();
    let upstream = Repository::new(&bench);
    upstream.commit("first");
    // The repository itself as a part of another one.
    let whole = Workbench::new();
    let robot = Repository::new(&whole);
    robot.git(&["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", &upstream.url(), "arm"]);
    robot.git(&["commit", "--quiet", "--message", "with an arm"]);
    let text =
        format!("nodes:\n  - {{ id: a, path: arm/node.sh, git: '{}', build: cp arm/node.sh built }}\n", robot.url());
    bench.write("a.yml", text);
    // Submodules on the same machine are for those who allow them.
    let refused = build(&bench).expect_code(1);
    assert!(refused.stderr.contains("could not be given its submodules"), "{}", refused.stderr);
    let mut command = bench.command(["run", "a.yml"]);
    command.envs([
        ("GIT_CONFIG_COUNT", "1"),
        ("GIT_CONFIG_KEY_0", "protocol.file.allow"),
        ("GIT_CONFIG_VALUE_0", "always"),
    ]);
    let run = Running::start(command).finish().expect_code(0);
    assert!(run.stdout.contains("a: first in"), "{}", run.stdout);
}

#[test]
fn half_a_clone_is_never_used() {
    let bench = Workbench::new();
    let upstream = Repository::new(&bench);
    let commit = upstream.commit("first");
    upstream.dataflow("branch: main");
    // A `git` that stops in the middle of a clone.
    fs::create_dir(bench.path().join("bin")).expect("our own directory");
    let real = String::from_utf8(Command::new("which").arg("git").output().expect("which").stdout).expect("text");
    let body =
        "case $1 in clone) mkdir \"$5\"; touch \"$5/node.sh\"; echo halfway; sleep 1000;; *) exec REAL \"$@\";; esac";
    bench.script("bin/git", &body.replace("REAL", real.trim()));
    let path = format!("{}:{}", bench.path().join("bin").display(), std::env::var("PATH").expect("a path"));
    for signal in [Signal::INT, Signal::KILL] {
        let mut command = bench.command(["build", "a.yml"]);
        command.env("PATH", &path);
        let build = Running::start(command);
        build.await_text("halfway");
        build.signal(signal);
        build.finish();
        await_gone(bench.mark(), dora_tests::PATIENCE);
        assert!(!upstream.clone_of(&commit).exists());
    }
    let run = run(&bench).expect_code(0);
    assert!(run.stdout.contains("a: first in"), "{}", run.stdout);
    let left: Vec<_> = fs::read_dir(upstream.clone_of("")).expect("the clones").flatten().collect();
    assert_eq!(left.len(), 2, "the clone and the lock: {left:?}");
}

#[test]
fn two_builds_at_once_share_a_clone() {
    let bench = Workbench::new();
    let upstream = Repository::new(&bench);
    upstream.commit("first");
    let node = |id: &str| {
        let enough = bench.path().join("enough");
        let alone = format!(
            "mkdir busy || exit 1; until [ -e {} ]; do sleep 0.02; done; rmdir busy; echo made > built",
            enough.display()
        );
        format!("  - {{ id: {id}, path: ./node.sh, git: '{}', build: \"sh -c '{alone}'\" }}\n", upstream.url())
    };
    bench.write("a.yml", format!("nodes:\n{}{}", node("a"), node("b")));
    let together: Vec<Running> = (0..3).map(|_| bench.dora(["build", "--parallel", "a.yml"])).collect();
    // One of them builds, and the others wait for it.
    let waiting = || together.iter().filter(|build| build.stderr_so_far().contains("another build")).count();
    eventually("two of them wait", || waiting() >= 2);
    bench.write("enough", "");
    let together: Vec<Finished> = together.into_iter().map(|build| build.finish().expect_code(0)).collect();
    let clones = together.iter().map(|build| build.stderr.matches(": cloning").count()).sum::<usize>();
    assert_eq!(clones, 1);
}

#[test]
fn a_repository_behind_a_web_server() {
    let bench = Workbench::new();
    let upstream = Repository::new(&bench);
    let commit = upstream.commit("first");
    upstream.git(&["update-server-info"]);
    let directory = upstream.path().join(".git");
    let server =
        WebServer::start(move |path| match fs::read(directory.join(path.trim_start_matches("/team/robot/"))) {
            Ok(content) => Answer::Content(content),
            Err(_) => Answer::Status(404),
        });
    let url = server.url("/team/robot");
    bench.write("a.yml", format!("nodes:\n  - {{ id: a, path: ./node.sh, git: '{url}', build: cp node.sh built }}\n"));
    let run = run(&bench).expect_code(0);
    let expected = format!("/git/127.0.0.1/team/robot/{commit},");
    assert!(run.stdout.contains(&expected), "{}", run.stdout);
}

#[test]
fn without_git_one_is_told_so() {
    let bench = Workbench::new();
    bench.write("a.yml", "nodes:\n  - id: a\n    path: x\n    git: https://example.org/a.git\n");
    let mut command = bench.command(["build", "a.yml"]);
    command.env("PATH", bench.path());
    let build = Running::start(command).finish().expect_code(1);
    assert!(build.stderr.contains("a.yml:4:") && build.stderr.contains("no program `git`"), "{}", build.stderr);
}

#[test]
fn what_is_locked_is_built_wherever_branches_and_urls_lead_by_then() {
    let bench = Workbench::new();
    let upstream = Repository::new(&bench);
    let first = upstream.commit("first");
    let moved = Arc::new(AtomicBool::new(false));
    let is_moved = Arc::clone(&moved);
    let server =
        WebServer::start(move |_| Answer::Content(if is_moved.load(Ordering::SeqCst) { OTHER } else { NODE }.to_vec()));
    let url = server.url("/node");
    let write = |branch: &str, more: &str| {
        let git = format!("git: '{}', branch: {branch}, build: cp node.sh built", upstream.url());
        let text = format!("nodes:\n  - {{ id: a, path: ./node.sh, {git} }}\n  - {{ id: b, path: '{url}' }}\n{more}");
        bench.write("a.yml", text);
    };
    let dora = |arguments: &str| bench.dora(arguments.split(' ')).finish();
    write("main", "");
    let missing = dora("run --locked a.yml").expect_code(1);
    assert!(
        missing.stderr.contains("a.dora-lock.yaml") && missing.stderr.contains("--write-lockfile"),
        "{}",
        missing.stderr
    );
    dora("build --write-lockfile a.yml").expect_code(0);
    upstream.commit("second");
    let locked = dora("build --locked a.yml").expect_code(0);
    assert!(!locked.stderr.contains("run unchecked"), "{}", locked.stderr);
    // On another machine, where nothing was built before.
    for directory in ["git", "build", "out"] {
        fs::remove_dir_all(bench.path().join(directory)).expect("our own directory");
    }
    let run = dora("run --locked a.yml").expect_code(0);
    assert!(run.stdout.contains(&format!("/{first},")) && run.stdout.contains("b: from afar"), "{}", run.stdout);
    assert!(dora("run a.yml").expect_code(0).stdout.contains("a: first in"), "what was built stays");
    moved.store(true, Ordering::SeqCst);
    fs::remove_dir_all(bench.path().join("build")).expect("our own directory");
    let other = dora("run --locked a.yml").expect_code(1);
    assert!(other.stderr.contains("or the lock file says"), "{}", other.stderr);
    assert!(dora("build a.yml").expect_code(0).stderr.contains("cloning"));
    // A file that asks for something else.
    upstream.git(&["branch", "work"]);
    write("work", &format!("  - {{ id: c, path: '{url}' }}\n"));
    let stale = dora("run --locked a.yml").expect_code(1);
    for expected in ["a.yml:2:", "node `a`: the lock file does not say", "a.yml:4:", "node `c`: the lock file"] {
        assert!(stale.stderr.contains(expected), "no {expected} in {}", stale.stderr);
    }
    dora("run --write-lockfile --lockfile other.yaml a.yml").expect_code(0);
    dora("run --locked --lockfile other.yaml a.yml").expect_code(0);
}

#[test]
fn flags_of_lock_files_that_mean_nothing_are_refused() {
    let bench = Workbench::new();
    bench.write("a.yml", "nodes:\n  - { id: a, path: 'true' }\n");
    for (verb, flags) in [("run", "--locked --write-lockfile"), ("build", "--lockfile other.yaml")] {
        let arguments = [verb].into_iter().chain(flags.split(' ')).chain(["a.yml"]);
        bench.dora(arguments).finish().expect_code(2);
    }
    // Nothing to pin is no reason to fail.
    bench.dora(["build", "--write-lockfile", "a.yml"]).finish().expect_code(0);
    bench.dora(["run", "--locked", "a.yml"]).finish().expect_code(0);
}

const NODE: &[u8] = b"#!/bin/sh\necho from afar $1\n";
const OTHER: &[u8] = b"#!/bin/sh\necho something else\n";

fn sha256(content: &[u8]) -> String {
    let bench = Workbench::new();
    let file = bench.write("content", content);
    let output = Command::new("sha256sum").arg(file).output().expect("sha256sum");
    String::from_utf8_lossy(&output.stdout)[..64].to_owned()
}

/// A dataflow with a node from this URL.
fn from_url(bench: &Workbench, url: &str, sha256: Option<&str>) {
    let hash = sha256.map_or_else(String::new, |sha256| format!("    path_sha256: {sha256}\n"));
    bench.write("a.yml", format!("nodes:\n  - id: a\n    path: {url}\n{hash}    args: one\n"));
}

/// Programs that were downloaded, complete or not.
fn programs(directory: &Path) -> Vec<PathBuf> {
    let directories = fs::read_dir(directory.join("build")).into_iter().flatten().flatten();
    let files = directories.flat_map(|directory| fs::read_dir(directory.path()).into_iter().flatten().flatten());
    files.map(|file| file.path()).filter(|path| !path.ends_with(".lock")).collect()
}

#[test]
fn a_program_behind_a_url_is_verified_and_kept() {
    let bench = Workbench::new();
    let server = WebServer::start(|path| match path {
        "/moved/node" => Answer::Redirect("/bin/node".to_owned()),
        _ => Answer::Content(NODE.to_vec()),
    });
    from_url(&bench, &server.url("/moved/node"), Some(&sha256(NODE)));
    for _ in 0..3 {
        let run = run(&bench).expect_code(0);
        assert!(run.stdout.contains("a: from afar one"), "{}", run.stdout);
    }
    assert_eq!((server.requests("/moved/node"), server.requests("/bin/node")), (1, 1));
    // What was changed on the disk is noticed.
    let [program] = &programs(bench.path())[..] else { panic!("{:?}", programs(bench.path())) };
    assert_eq!(program.metadata().expect("a file").permissions().mode() & 0o777, 0o755);
    fs::write(program, OTHER).expect("our own file");
    assert!(run(&bench).expect_code(0).stdout.contains("from afar"));
    assert_eq!(server.requests("/bin/node"), 2);
}

#[test]
fn another_content_is_refused_with_both_hashes() {
    let bench = Workbench::new();
    let server = WebServer::start(|_| Answer::Content(OTHER.to_vec()));
    from_url(&bench, &server.url("/node"), Some(&sha256(NODE)));
    let run = run(&bench).expect_code(1);
    for expected in [format!("expected {}", sha256(NODE)), format!("received {}", sha256(OTHER)), "a.yml:4:".to_owned()]
    {
        assert!(run.stderr.contains(&expected), "no {expected} in {}", run.stderr);
    }
    assert_eq!(programs(bench.path()), Vec::<PathBuf>::new());
    assert!(!run.stdout.contains("something else"));
}

#[test]
fn without_a_hash_one_is_warned_and_a_build_looks_again() {
    let bench = Workbench::new();
    let server = WebServer::start(|_| Answer::Content(NODE.to_vec()));
    from_url(&bench, &server.url("/node"), None);
    let first = run(&bench).expect_code(0);
    assert!(first.stderr.contains("`path_sha256` says what it must be"), "{}", first.stderr);
    run(&bench).expect_code(0);
    assert_eq!(server.requests("/node"), 1);
    build(&bench).expect_code(0);
    assert_eq!(server.requests("/node"), 2);
}

#[test]
fn what_does_not_arrive_whole_is_never_used() {
    let bench = Workbench::new();
    let server = WebServer::start(|path| match path {
        "/truncated" => Answer::Truncated(NODE.to_vec()),
        "/failing" => Answer::Status(503),
        "/circle" => Answer::Redirect("/circle".to_owned()),
        _ => Answer::Status(404),
    });
    for (path, expected) in [
        ("/truncated", "it broke off"),
        ("/failing", "the server answered with status 503"),
        ("/circle", "redirect"),
        ("/missing", "the server does not have it (404)"),
    ] {
        from_url(&bench, &server.url(path), None);
        let run = run(&bench).expect_code(1);
        assert!(run.stderr.contains(expected) && run.stderr.contains("a.yml:3:"), "{path}: {}", run.stderr);
        assert!(!run.stdout.contains("from afar"));
        let usable = programs(bench.path()).into_iter().filter(|program| !program.ends_with(".part"));
        assert_eq!(usable.count(), 0);
    }
}
