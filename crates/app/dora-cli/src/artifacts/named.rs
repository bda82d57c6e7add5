//! What the nodes of a dataflow name: their scripts, and words of their arguments, build lines and variables that may be
//! paths.

use dora_descriptor::{
    Dataflow, Node,
    model::{PathKind, Standard},
};

/// Something that may be the path of a file.
#[derive(Debug)]
pub(super) struct Named<'a> {
    pub(super) node: &'a Node,
    /// Relative to the directory of the node.
    pub(super) path: String,
    /// The program itself: somebody misses it if it does not travel.
    pub(super) is_program: bool,
}

/// Everything that a node names which is started on a machine and whose files are beside the dataflow file.
pub(super) fn by_nodes(dataflow: &Dataflow) -> impl Iterator<Item = Named<'_>> {
    let local = dataflow.nodes.iter().filter_map(|node| {
        let standard = node.standard()?;
        // What is in a repository is relative to that, and nobody starts a dynamic node.
        let elsewhere = standard.git.is_some() || standard.path_kind() == PathKind::Dynamic;
        (!elsewhere).then_some((node, standard))
    });
    local.flat_map(|(node, standard)| {
        let program = program(standard).map(|path| Named { node, path, is_program: true });
        program.into_iter().chain(words(node, standard).map(move |path| Named { node, path, is_program: false }))
    })
}

fn program(standard: &Standard) -> Option<String> {
    let is_file = matches!(standard.path_kind(), PathKind::Python | PathKind::Program);
    // A variable is one of the machine that runs the node.
    (is_file && !standard.path.contains('$')).then(|| standard.path.clone())
}

fn words<'a>(node: &'a Node, standard: &'a Standard) -> impl Iterator<Item = String> + 'a {
    let lines = standard.args.iter().map(String::as_str).chain(standard.build.iter().flat_map(|text| text.lines()));
    // What cannot be split is a mistake, which whoever runs the node tells.
    let words = lines.filter_map(shlex::split).flatten().flat_map(|word| {
        let value = word.split_once('=').map(|(_, value)| value.to_owned());
        [Some(word), value].into_iter().flatten()
    });
    words.chain(node.env.values().cloned())
}

#[cfg(test)]
mod tests {
    use dora_descriptor::Options;

    use super::*;

    #[test]
    fn programs_and_words_are_named() {
        let text = "
nodes:
  - id: camera
    path: camera.py
    args: --config=conf/camera.yml 'a b'
    build: |
      pip install -r requirements.txt
      make
    env: { MODEL: models/yolo.pt }
  - { id: plot, path: dynamic, args: not.txt }
  - { id: far, path: far.py, git: \"https://example.org/far\" }
  - { id: url, path: \"https://example.org/x\", args: data.bin }
  - { id: home, path: $HOME/x }
";
        let loaded = dora_descriptor::parse("dataflow.yml", text, &Options::default()).expect("a dataflow");
        let named: Vec<_> = by_nodes(&loaded.dataflow).map(|named| (named.node.id.to_string(), named.path)).collect();
        let of_camera = [
            "camera.py",
            "--config=conf/camera.yml",
            "conf/camera.yml",
            "a b",
            "pip",
            "install",
            "-r",
            "requirements.txt",
            "make",
            "models/yolo.pt",
        ];
        let mut expected: Vec<_> = of_camera.map(|path| ("camera".to_owned(), path.to_owned())).to_vec();
        expected.push(("url".to_owned(), "data.bin".to_owned()));
        assert_eq!(named, expected);
    }
}
