use std::os::unix::fs::{PermissionsExt, symlink};

use dora_message::{log::LogEntry, supervision::OutputStream};
use serde_json::Value;

use super::*;

struct Bench {
    directory: tempfile::TempDir,
    node: NodeId,
}

impl Bench {
    fn new() -> Self {
        Bench { directory: tempfile::tempdir().unwrap(), node: "a".into() }
    }
    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join("out/run").join(name)
    }
    fn file(&self, max_size: Option<u64>, max_rotated: u32) -> LogFile {
        LogFile::new(self.path("log_a.jsonl"), max_size, max_rotated)
    }
    fn push(&self, file: &mut LogFile, text: &str) {
        let entry = LogEntry::parse(text);
        let now = DateTime::UNIX_EPOCH;
        file.push(&self.node, now, &LogRecord::new(&self.node, OutputStream::Stdout, now, &entry));
    }
    fn write(&self, file: &mut LogFile, text: &str) -> Option<Notice> {
        self.push(file, text);
        file.flush(&self.node, DateTime::UNIX_EPOCH)
    }
    fn read(&self, name: &str) -> Vec<String> {
        let text = fs::read_to_string(self.path(name)).unwrap();
        let message = |line: &str| serde_json::from_str::<Value>(line).unwrap()["msg"].as_str().unwrap().to_owned();
        text.lines().map(message).collect()
    }
}

#[test]
fn lines_are_appended_to_what_is_there() {
    let bench = Bench::new();
    assert_eq!(bench.write(&mut bench.file(None, 5), "one"), None);
    let mut file = bench.file(None, 5);
    bench.push(&mut file, "two");
    bench.push(&mut file, "three");
    assert_eq!(file.flush(&bench.node, DateTime::UNIX_EPOCH), None);
    assert_eq!(bench.read("log_a.jsonl"), ["one", "two", "three"]);
    assert_eq!(fs::read_to_string(bench.directory.path().join("out/.gitignore")).unwrap(), "*\n");
}

#[test]
fn the_newest_files_are_kept() {
    let bench = Bench::new();
    let mut file = bench.file(Some(200), 2);
    (1..=9).for_each(|n| bench.push(&mut file, &format!("line {n}")));
    file.flush(&bench.node, DateTime::UNIX_EPOCH);
    assert_eq!(bench.read("log_a.jsonl"), ["line 9"]);
    assert_eq!(bench.read("log_a.1.jsonl"), ["line 7", "line 8"]);
    assert_eq!(bench.read("log_a.2.jsonl"), ["line 5", "line 6"]);
    assert!(!bench.path("log_a.3.jsonl").exists());
    // A line that is longer than a file may be has one of its own.
    bench.write(&mut file, &"x".repeat(500));
    assert_eq!(bench.read("log_a.jsonl"), ["x".repeat(500)]);
    assert_eq!(file.lost(), 0);
}

#[test]
fn a_new_process_of_the_node_rotates_the_file_of_the_old_one() {
    let bench = Bench::new();
    bench.write(&mut bench.file(None, 5), &"x".repeat(500));
    bench.write(&mut bench.file(Some(200), 5), "next");
    assert_eq!((bench.read("log_a.jsonl").len(), bench.read("log_a.1.jsonl").len()), (1, 1));
}

#[test]
fn a_full_disk_is_told_once_and_lines_are_counted() {
    let bench = Bench::new();
    make(bench.path("x").parent().unwrap()).unwrap();
    symlink("/dev/full", bench.path("log_a.jsonl")).unwrap();
    let mut file = bench.file(None, 5);
    let broken = bench.write(&mut file, "lost");
    assert!(matches!(broken, Some(Notice::Broken { error, .. }) if error == "No space left on device"));
    bench.push(&mut file, "lost");
    assert_eq!((bench.write(&mut file, "lost"), file.lost()), (None, 3));
    // There is room again.
    fs::remove_file(bench.path("log_a.jsonl")).unwrap();
    file.open = None;
    file.failure.as_mut().unwrap().retry_at = Instant::now();
    let mended = Notice::Mended { path: bench.path("log_a.jsonl"), lost: 3 };
    assert_eq!(bench.write(&mut file, "kept"), Some(mended));
    assert_eq!(bench.write(&mut file, "kept too"), None);
    let gap = "3 lines are missing here: No space left on device";
    assert_eq!((bench.read("log_a.jsonl"), file.lost()), (vec![gap.into(), "kept".into(), "kept too".into()], 3));
}

#[test]
fn a_directory_that_cannot_be_written_costs_lines_only() {
    let bench = Bench::new();
    fs::create_dir(bench.directory.path().join("out")).unwrap();
    fs::write(bench.directory.path().join("out/run"), "a file where the directory should be").unwrap();
    let mut file = bench.file(Some(10), 5);
    assert!(matches!(bench.write(&mut file, "lost"), Some(Notice::Broken { .. })));
    assert_eq!((bench.write(&mut file, "lost"), file.lost()), (None, 2));
}

#[test]
fn a_file_that_cannot_be_rotated_does_not_grow() {
    let bench = Bench::new();
    let mut file = bench.file(Some(100), 2);
    bench.write(&mut file, "first");
    // Not even root can put a file in the place of a directory that is not empty.
    fs::create_dir_all(bench.path("log_a.1.jsonl/full")).unwrap();
    fs::create_dir_all(bench.path("log_a.2.jsonl/full")).unwrap();
    assert!(matches!(bench.write(&mut file, "lost"), Some(Notice::Broken { .. })));
    assert_eq!((bench.read("log_a.jsonl"), file.lost()), (vec!["first".to_owned()], 1));
    assert!(fs::metadata(bench.path("log_a.jsonl")).unwrap().permissions().mode() > 0);
}
