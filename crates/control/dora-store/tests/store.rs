//! The store as a coordinator uses it, and what can happen to its file.
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, LazyLock},
};

use chrono::DateTime;
use dora_gateways::{DataflowId, DataflowResult, DataflowState, Outcome, Submission, Trouble};
use dora_store::{DataflowRecord, Store, StoreError, SubmitError};
use proptest::prelude::*;
use uuid::Uuid;

fn record(number: u128, name: Option<&str>) -> DataflowRecord {
    let submission = Submission {
        descriptor: format!("nodes: [] # {number}"),
        name: name.map(str::to_owned),
        env: vec![("A".to_owned(), "b".to_owned())],
        uv: true,
        ..Submission::default()
    };
    let submitted = DateTime::from_timestamp(1_700_000_000 + number as i64, 0).unwrap();
    DataflowRecord::new(DataflowId(Uuid::from_u128(number)), submitted, submission)
}

fn finish(store: &Store, number: u128) {
    store.update(record(number, None).id, |record| record.state = DataflowState::Finished).unwrap();
}

#[test]
fn what_was_written_is_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = Store::open(&path).unwrap();
    let first = store.epoch();
    assert_eq!(store.all().unwrap(), []);
    store.submit(&record(1, Some("a"))).unwrap();
    store.submit(&record(2, None)).unwrap();
    let ended = DataflowResult {
        dataflow: record(1, None).id,
        outcome: Outcome { trouble: Some(Trouble::Interrupted), ..Outcome::default() },
    };
    let result = Some(ended.clone());
    store.update(ended.dataflow, |record| (record.state, record.result) = (DataflowState::Failed, result)).unwrap();
    drop(store);

    let store = Store::open(&path).unwrap();
    assert_eq!(store.epoch(), first + 1);
    let ids: Vec<_> = store.all().unwrap().iter().map(|record| record.id.0.as_u128()).collect();
    assert_eq!(ids, [2, 1], "the latest first");
    assert_eq!(store.get(record(2, None).id).unwrap(), Some(record(2, None)));
    assert_eq!(store.named("a").unwrap().unwrap().result, Some(ended));
    store.remove(&[record(1, None).id, record(9, None).id]).unwrap();
    assert_eq!(store.named("a").unwrap(), None);
    assert!(matches!(store.update(record(1, None).id, |_| ()), Err(StoreError::Unknown(_))));
}

#[test]
fn a_store_in_memory_does_the_same_and_is_gone_with_its_last_handle() {
    let store = Store::in_memory().unwrap();
    store.submit(&record(1, Some("camera"))).unwrap();
    assert!(matches!(store.submit(&record(2, Some("camera"))), Err(SubmitError::NameTaken(_))));
    finish(&store, 1);
    let next = store.succeed().unwrap();
    next.submit(&record(2, Some("camera"))).unwrap();
    assert_eq!((next.epoch(), next.all().unwrap().len()), (store.epoch() + 1, 2));
    assert!(matches!(store.remove(&[record(2, None).id]), Err(StoreError::Stale { .. })));
    next.remove(&[record(2, None).id]).unwrap();
    next.submit(&record(3, Some("camera"))).unwrap();
    assert_eq!(Store::in_memory().unwrap().all().unwrap(), []);
}

#[test]
fn a_name_belongs_to_one_dataflow_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open(&directory.path().join("store")).unwrap());
    // Many clients at once: one of them gets the name.
    let racing: Vec<_> = (1..=8)
        .map(|number| {
            let store = store.clone();
            std::thread::spawn(move || store.submit(&record(number, Some("camera"))))
        })
        .collect();
    let taken = racing.into_iter().map(|client| client.join().unwrap()).filter(|answer| answer.is_ok()).count();
    assert_eq!((taken, store.all().unwrap().len()), (1, 1));

    let holder = store.named("camera").unwrap().unwrap();
    assert!(matches!(store.submit(&record(20, Some("camera"))), Err(SubmitError::NameTaken(id)) if id == holder.id));
    assert!(matches!(store.submit(&holder), Err(SubmitError::IdTaken(_))));
    finish(&store, holder.id.0.as_u128());
    store.submit(&record(20, Some("camera"))).unwrap();
    store.submit(&record(21, None)).unwrap();
    store.submit(&record(22, None)).unwrap();
    assert_eq!(store.named("camera").unwrap().unwrap().id, record(20, None).id, "the one that runs");
}

#[test]
fn a_leader_whose_epoch_is_over_cannot_write() {
    let directory = tempfile::tempdir().unwrap();
    let former = Store::open(&directory.path().join("store")).unwrap();
    former.submit(&record(1, None)).unwrap();
    let current = former.succeed().unwrap();
    let epochs = (former.epoch(), former.epoch() + 1);
    assert_eq!(current.epoch(), epochs.1);
    let stale =
        |error: &StoreError| matches!(error, StoreError::Stale { ours, current } if (*ours, *current) == epochs);
    assert!(matches!(former.submit(&record(2, None)), Err(SubmitError::Store(error)) if stale(&error)));
    assert!(stale(&former.update(record(1, None).id, |_| ()).unwrap_err()));
    assert!(stale(&former.remove(&[record(1, None).id]).unwrap_err()));
    assert!(stale(&former.succeed().unwrap_err()));
    assert_eq!(current.all().unwrap().len(), 1);
    current.submit(&record(2, None)).unwrap();
}

fn helper(path: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dora-store-test-helper"));
    command.arg(path);
    command
}

#[test]
fn a_second_process_is_told_that_the_file_is_in_use() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = Store::open(&path).unwrap();
    let second = helper(&path).output().unwrap();
    let error = String::from_utf8(second.stderr).unwrap();
    assert!(!second.status.success() && error.contains("InUse"), "{error}");
    let within = Store::open(&path).unwrap_err();
    assert_eq!(
        within.to_string(),
        format!(
            "{} is in use by another process: stop the other coordinator, or give this one another DORA_HOME",
            path.display()
        )
    );
    store.submit(&record(1, None)).unwrap();
}

/// The process that writes is killed again and again. Whatever it had been told is written must be there.
#[test]
fn a_kill_in_the_middle_of_a_commit_loses_nothing_that_was_acknowledged() {
    let rounds = if std::env::var_os("DORA_TEST_FULL").is_some() { 100 } else { 12 };
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let mut acknowledged = Vec::new();
    for round in 0..rounds {
        let mut writer = helper(&path).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines();
        for _ in 0..round % 5 + 1 {
            acknowledged.push(lines.next().unwrap().unwrap());
        }
        writer.kill().unwrap();
        writer.wait().unwrap();
        acknowledged.extend(lines.map_while(Result::ok));
        let store = Store::open(&path).unwrap();
        let all = store.all().unwrap();
        for id in &acknowledged {
            let found = all.iter().find(|record| record.id.to_string() == *id);
            assert_eq!(found.map(|record| record.state), Some(DataflowState::Finished), "{id} of round {round}");
        }
        let begun = all.iter().filter(|record| record.state != DataflowState::Finished).count();
        assert!(begun <= round + 1, "at most one of each round was killed between its two writes");
    }
}

#[test]
fn a_file_that_is_no_store_is_said_to_be_none_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notes.txt");
    for content in [b"my notes".to_vec(), vec![0; 10_000], b"SQLite format 3\0".repeat(400)] {
        fs::write(&path, &content).unwrap();
        let error = Store::open(&path).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
        assert!(error.to_string().ends_with("Move it away to begin with an empty one"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), content);
    }
    let nowhere = Store::open(&directory.path().join("no/such/directory")).unwrap_err();
    assert!(matches!(nowhere, StoreError::Io { .. }), "{nowhere}");
    let error = Store::open(directory.path()).unwrap_err();
    assert!(matches!(error, StoreError::Io { .. }), "{error}");
}

/// The bytes of a store with a few dataflows.
static WHOLE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = Store::open(&path).unwrap();
    for number in 1..20 {
        store.submit(&record(number, None)).unwrap();
    }
    drop(store);
    fs::read(&path).unwrap()
});

#[test]
fn a_newer_format_is_refused_with_both_numbers() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    drop(Store::open(&path).unwrap());
    let database = redb::Database::open(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    let about = redb::TableDefinition::<&str, u64>::new("dora");
    transaction.open_table(about).unwrap().insert("format", 7).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let error = Store::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 7, known: 1, .. }), "{error}");
    assert!(error.to_string().contains("has format 7, this version knows up to 1"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Cut short or altered anywhere: it is refused, or everything that it says was written; never a panic.
    #[test]
    fn a_damaged_file_is_refused_or_whole(
        cut in proptest::option::of(any::<proptest::sample::Index>()),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut bytes = WHOLE.clone();
        for (place, value) in changes {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()).max(1));
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store");
        fs::write(&path, &bytes).unwrap();
        match Store::open(&path) {
            Ok(store) => for found in store.all().unwrap() {
                prop_assert_eq!(&found, &record(found.id.0.as_u128(), None));
            },
            Err(error) => {
                prop_assert!(matches!(error, StoreError::Damaged { .. }), "{}", error);
                prop_assert!(fs::read(&path).unwrap() == bytes, "it was changed");
            }
        }
    }
}
