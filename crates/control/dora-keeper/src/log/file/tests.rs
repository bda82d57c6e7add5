use std::os::unix::fs::{PermissionsExt, symlink};

use serde_json::{Value, json};

use super::*;

struct Bench {
    directory: tempfile::TempDir,
}

/// Writes records of this length with these texts, together.
fn write(file: &mut LogFile, texts: &[&str]) -> Option<Notice> {
    let record = |text: &&str| format!("{:<80}\n", json!({ "msg": text }).to_string());
    file.write(texts.iter().map(record).collect::<String>().as_bytes(), 0, DateTime::UNIX_EPOCH)
}

impl Bench {
    fn new() -> Self {
        Bench { directory: tempfile::tempdir().unwrap() }
    }
    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join("out/run").join(name)
    }
    fn file(&self, max_size: Option<u64>, max_rotated: u32) -> LogFile {
        LogFile {
            node: "a".into(),
            path: self.path("log_a.jsonl"),
            max_size,
            max_rotated,
            open: None,
            failure: None,
            lost: 0,
        }
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
    assert_eq!(write(&mut bench.file(None, 5), &["one"]), None);
    assert_eq!(write(&mut bench.file(None, 5), &["two", "three"]), None);
    assert_eq!(bench.read("log_a.jsonl"), ["one", "two", "three"]);
    assert_eq!(fs::read_to_string(bench.directory.path().join("out/.gitignore")).unwrap(), "*\n");
}

#[test]
fn the_newest_files_are_kept() {
    let bench = Bench::new();
    let mut file = bench.file(Some(200), 2);
    let lines: Vec<String> = (1..=9).map(|n| format!("line {n}")).collect();
    write(&mut file, &lines.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(bench.read("log_a.jsonl"), ["line 9"]);
    assert_eq!(bench.read("log_a.1.jsonl"), ["line 7", "line 8"]);
    assert_eq!(bench.read("log_a.2.jsonl"), ["line 5", "line 6"]);
    assert!(!bench.path("log_a.3.jsonl").exists());
    // A line that is longer than a file may be has one of its own.
    write(&mut file, &[&"x".repeat(500)]);
    assert_eq!(bench.read("log_a.jsonl"), ["x".repeat(500)]);
    assert_eq!(file.lost(), 0);
}

#[test]
fn a_new_process_of_the_node_rotates_the_file_of_the_old_one() {
    let bench = Bench::new();
    write(&mut bench.file(None, 5), &[&"x".repeat(500)]);
    write(&mut bench.file(Some(200), 5), &["next"]);
    assert_eq!((bench.read("log_a.jsonl").len(), bench.read("log_a.1.jsonl").len()), (1, 1));
}

#[test]
fn a_full_disk_is_told_once_and_lines_are_counted() {
    let bench = Bench::new();
    make(bench.path("x").parent().unwrap()).unwrap();
    symlink("/dev/full", bench.path("log_a.jsonl")).unwrap();
    let mut file = bench.file(None, 5);
    let broken = write(&mut file, &["lost"]);
    assert!(matches!(broken, Some(Notice::Broken { error, .. }) if error == "No space left on device"));
    assert_eq!((write(&mut file, &["lost", "lost"]), file.lost()), (None, 3));
    // There is room again.
    fs::remove_file(bench.path("log_a.jsonl")).unwrap();
    file.open = None;
    file.failure.as_mut().unwrap().retry_at = Instant::now();
    let mended = Notice::Mended { path: bench.path("log_a.jsonl"), lost: 3 };
    assert_eq!(write(&mut file, &["kept"]), Some(mended));
    assert_eq!(write(&mut file, &["kept too"]), None);
    let gap = "3 lines are missing here: No space left on device";
    assert_eq!((bench.read("log_a.jsonl"), file.lost()), (vec![gap.into(), "kept".into(), "kept too".into()], 3));
}

#[test]
fn a_directory_that_cannot_be_written_costs_lines_only() {
    let bench = Bench::new();
    fs::create_dir(bench.directory.path().join("out")).unwrap();
    fs::write(bench.directory.path().join("out/run"), "a file where the directory should be").unwrap();
    let mut file = bench.file(Some(10), 5);
    assert!(matches!(write(&mut file, &["lost"]), Some(Notice::Broken { .. })));
    assert_eq!((write(&mut file, &["lost"]), file.lost()), (None, 2));
}

#[test]
fn a_file_that_cannot_be_rotated_does_not_grow() {
    let bench = Bench::new();
    let mut file = bench.file(Some(100), 2);
    write(&mut file, &["first"]);
    // Not even root can put a file in the place of a directory that is not empty.
    fs::create_dir_all(bench.path("log_a.1.jsonl/full")).unwrap();
    fs::create_dir_all(bench.path("log_a.2.jsonl/full")).unwrap();
    assert!(matches!(write(&mut file, &["lost"]), Some(Notice::Broken { .. })));
    assert_eq!((bench.read("log_a.jsonl"), file.lost()), (vec!["first".to_owned()], 1));
    assert!(fs::metadata(bench.path("log_a.jsonl")).unwrap().permissions().mode() > 0);
}

#[test]
fn what_was_left_out_before_is_told_in_its_place() {
    let bench = Bench::new();
    let mut file = bench.file(None, 5);
    write(&mut file, &["before"]);
    let mended = file.write(b"{\"msg\":\"after\"}\n", 7, DateTime::UNIX_EPOCH);
    assert_eq!(mended, Some(Notice::Mended { path: bench.path("log_a.jsonl"), lost: 7 }));
    assert_eq!(bench.read("log_a.jsonl"), ["before", "7 lines are missing here: the disk was too slow", "after"]);
}
