use std::{
    fs::{self, File},
    path::Path,
};

use dora_message::supervision::LogPlan;
use rustix::fs::{FileType, Mode, mknodat};

use super::{progress::MOST_QUEUED, *};

/// A disk that takes nothing until somebody reads: a pipe in the place of the file.
fn pipe(path: &Path) {
    mknodat(rustix::fs::CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

fn writer(files: &[&Path]) -> Writer {
    let node = |path: &&Path| {
        let id = path.file_name().unwrap().to_string_lossy().into_owned().into();
        let log = LogPlan { file: Some(path.to_path_buf()), ..LogPlan::default() };
        NodePlan { log, ..NodePlan::of_program(id, "/bin/true".into(), "/".into()) }
    };
    Writer::start(&files.iter().map(node).collect::<Vec<_>>()).unwrap().unwrap()
}

fn write(writer: &mut Writer, node: usize, text: &str) -> Option<Notice> {
    writer.write(node, text.as_bytes().to_vec(), DateTime::UNIX_EPOCH)
}

fn unwritten(writer: &Writer) -> Vec<(String, u64)> {
    writer.unwritten().into_iter().map(|(node, count)| (node.to_string(), count)).collect()
}

/// Sleeps until the thread speaks or the deadline has come, as the loop does.
fn wait(writer: &mut Writer) {
    let left = writer.deadline().map_or(Duration::from_secs(60), |at| at.saturating_duration_since(Instant::now()));
    let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
    poll(&mut [PollFd::new(&writer.wakes, PollFlags::IN)], Some(&timeout)).unwrap();
    writer.woken();
}

#[test]
fn what_was_handed_over_is_written_before_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let files = [directory.path().join("a"), directory.path().join("b")];
    let mut writer = writer(&[&files[0], &files[1]]);
    for n in 0..1000 {
        assert_eq!(write(&mut writer, n % 2, &format!("{n}\n")), None);
    }
    while !writer.is_finished(Instant::now()) {
        wait(&mut writer);
    }
    let odd: String = (0..1000).filter(|n| n % 2 == 1).map(|n| format!("{n}\n")).collect();
    assert_eq!(fs::read_to_string(&files[1]).unwrap(), odd);
    assert_eq!((unwritten(&writer), writer.deadline()), (vec![], None));
}

#[test]
fn a_stalled_disk_holds_nobody_up_for_long() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a");
    pipe(&file);
    let mut writer = writer(&[&file]);
    let many = "x\n".repeat(MOST_QUEUED / 2);
    assert_eq!((writer.holds_up(0), write(&mut writer, 0, &many)), (false, None));
    assert!(writer.holds_up(0), "its pipe may fill");
    while writer.holds_up(0) {
        wait(&mut writer);
    }
    assert!(matches!(write(&mut writer, 0, "lost\n"), Some(Notice::Broken { .. })));
    assert_eq!(write(&mut writer, 0, "lost\nlost\n"), None, "it is told once");
    assert_eq!(writer.deadline(), None, "nobody looks at a disk that was given up");
    // Somebody reads, and in the end there is all but three lines.
    let reader = thread::spawn({
        let file = file.clone();
        move || io::read_to_string(File::open(file).unwrap()).unwrap()
    });
    while look(&writer.shared).is_full(0) {
        wait(&mut writer);
    }
    assert_eq!(write(&mut writer, 0, "kept\n"), None);
    writer.settle(Duration::from_secs(60));
    let text = reader.join().unwrap();
    let tail = text.strip_prefix(&many).unwrap();
    assert!(tail.contains("3 lines are missing here: the disk was too slow") && tail.ends_with("}\nkept\n"), "{tail}");
    assert_eq!(unwritten(&writer), [("a".to_owned(), 3)]);
    assert_eq!(writer.notices().collect::<Vec<_>>(), [Notice::Mended { path: file, lost: 3 }]);
}

#[test]
fn the_end_does_not_wait_for_ever() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a");
    pipe(&file);
    let mut writer = writer(&[&file]);
    write(&mut writer, 0, "one\ntwo\n");
    let start = Instant::now();
    assert!(!writer.is_finished(start));
    assert_eq!(writer.deadline(), Some(start + PATIENCE));
    assert!(writer.is_finished(start + PATIENCE));
    writer.lose_patience(start);
    assert!(writer.is_finished(start), "somebody has no time");
    assert_eq!(unwritten(&writer), [("a".to_owned(), 2)]);
    assert_eq!(write(&mut writer, 0, "after the end\n"), None);
    assert_eq!(unwritten(&writer), [("a".to_owned(), 2)]);
}
