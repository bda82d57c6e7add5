//! Files with mistakes, and everything that is said about them: `tests/bad/NAME.yml` and `NAME.txt`.
//!
//! After a deliberate change run the test with `UPDATE_EXPECT=1` and read the difference.

use std::path::{Path, PathBuf};

use dora_descriptor::{Diagnostics, Options, check_module, load, parse};

fn env(name: &str) -> Option<String> {
    (name == "HOME").then(|| "/home/me".to_owned())
}

fn mistakes(path: &Path) -> Diagnostics {
    let options = Options { env: &env, ..Options::default() };
    match load(path, &options) {
        Ok(_) => panic!("{} is in order", path.display()),
        Err(mistakes) => mistakes,
    }
}

fn files() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir("tests/bad")
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "yml"))
        .collect();
    files.sort();
    files
}

#[test]
fn everything_is_said_at_once() {
    let files = files();
    assert!(files.len() >= 15);
    for path in files {
        let expected = std::env::current_dir().unwrap().join(path.with_extension("txt"));
        let text = mistakes(&path).render(false);
        let text: String = text.lines().map(|line| format!("{}\n", line.trim_end())).collect();
        expect_test::expect_file![expected].assert_eq(&text);
    }
}

#[test]
fn every_mistake_has_a_place() {
    for path in files() {
        for record in mistakes(&path).records() {
            let position = record.position.unwrap_or_else(|| panic!("{}: {}", path.display(), record.message));
            assert!(position.file.ends_with(".yml") && position.line >= 1 && position.column >= 1);
        }
    }
}

#[test]
fn records_are_plain_values() {
    let mistakes = parse("f.yml", "nodes:\n  - id: a\n    pth: b\n", &Options::default()).unwrap_err();
    let json = serde_json::to_value(mistakes.records().collect::<Vec<_>>()).unwrap();
    expect_test::expect![[r#"
        [
          {
            "severity": "error",
            "code": "unknown-key",
            "message": "`pth` is not a key of a node",
            "file": "f.yml",
            "line": 3,
            "column": 5,
            "help": "did you mean `path`?"
          }
        ]"#]]
    .assert_eq(&serde_json::to_string_pretty(&json).unwrap());
}

#[test]
fn colours_are_the_callers_choice() {
    let mistakes = parse("f.yml", "nodez: []", &Options::default()).unwrap_err();
    assert!(mistakes.render(true).contains("\u{1b}["));
    assert!(!mistakes.render(false).contains('\u{1b}'));
}

#[test]
fn a_file_that_cannot_be_read() {
    for (path, expected) in [("tests/bad/none.yml", "no such file"), ("tests/bad", "cannot read")] {
        let mistakes = load(Path::new(path), &Options::default()).unwrap_err();
        assert!(mistakes.to_string().contains(expected), "{mistakes}");
    }
}

#[test]
fn a_huge_file_is_refused() {
    let text = format!("# {}", "x".repeat(17 << 20));
    let mistakes = parse("f.yml", &text, &Options::default()).unwrap_err();
    assert!(mistakes.to_string().contains("larger than"), "{mistakes}");
}

#[test]
fn mistakes_are_bounded() {
    let mut text = "nodes:\n".to_owned();
    for number in 0..1000 {
        text.push_str(&format!("  - id: n{number}\n    pth: a\n"));
    }
    let mistakes = parse("f.yml", &text, &Options::default()).unwrap_err();
    assert!((100..=300).contains(&mistakes.len()));
}

#[test]
fn a_module_by_itself() {
    let mistakes = check_module(Path::new("tests/bad/modules/broken.yml"), &Options::default()).unwrap_err();
    assert!(mistakes.to_string().contains("no input `inn`"), "{mistakes}");
    let (name, warnings) = check_module(Path::new("tests/bad/modules/fine.yml"), &Options::default()).unwrap();
    assert_eq!((name.as_str(), warnings.len()), ("fine", 0));
}
