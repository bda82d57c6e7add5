//! A dataflow file, as far as one finding goes; `dora validate` tells more.

use std::path::Path;

use dora_descriptor::Options;

use super::finding::Finding;
use crate::{load, words::counted};

pub(super) fn probe(path: &Path) -> Finding {
    let what = path.display().to_string();
    let loaded = match load::load_quietly(path, &Options::default()) {
        Ok(Ok(loaded)) => loaded,
        Ok(Err(mistakes)) => {
            let advice = format!("`dora validate {what}` shows each with its place");
            return Finding::error(&what, counted(mistakes.error_count(), "mistake"), advice);
        }
        Err(error) => return Finding::error(&what, error.to_string(), "name a dataflow file"),
    };
    match dora_descriptor::unserved(&loaded, &load::served()).len() {
        0 => Finding::ok(&what, format!("{}, no mistakes", counted(loaded.dataflow.nodes.len(), "node"))),
        _ => Finding::error(
            &what,
            "it asks for what this version does not serve",
            format!("`dora validate {what}` names it, with its place"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Status, *};

    #[test]
    fn files() {
        let directory = tempfile::tempdir().expect("a directory");
        let status = |text: Option<&str>| {
            let path = directory.path().join("a.yml");
            let _ = text.map(|text| std::fs::write(&path, text));
            probe(if text.is_some() { &path } else { directory.path() }).status
        };
        assert_eq!(status(Some("nodes:\n  - id: a\n    path: a\n")), Status::Ok);
        assert_eq!(status(Some("nodes:\n  - id: a\n    pth: a\n")), Status::Error);
        assert_eq!(status(None), Status::Error);
    }
}
