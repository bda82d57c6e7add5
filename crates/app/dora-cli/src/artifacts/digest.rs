//! From files to artifacts: what their content is.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use dora_gateways::{Artifact, ArtifactHash};
use ring::digest::{Context, SHA256};

use super::{Announced, ArtifactError, LocalFile};

/// Bytes that are read at a time.
const PIECE: usize = 1 << 20;

/// Reads each file; what it holds in this moment is what will be sent.
pub(super) fn announce(files: Vec<LocalFile>) -> Result<Vec<Announced>, ArtifactError> {
    let announced = |file: LocalFile| match content(&file.path) {
        Ok((hash, size)) => {
            let artifact = Artifact { hash, size, path: file.relative, executable: file.executable };
            Ok(Announced { artifact, path: file.path })
        }
        Err(error) => Err(ArtifactError::Unreadable { path: file.path, error }),
    };
    files.into_iter().map(announced).collect()
}

/// The hash and the length of a file.
fn content(path: &Path) -> io::Result<(ArtifactHash, u64)> {
    let mut file = File::open(path)?;
    let (mut context, mut size, mut piece) = (Context::new(&SHA256), 0, vec![0; PIECE]);
    loop {
        match file.read(&mut piece)? {
            0 => break,
            count => {
                context.update(&piece[..count]);
                size += count as u64;
            }
        }
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    Ok((ArtifactHash(hash), size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_sha_256() {
        let place = tempfile::tempdir().expect("a directory");
        let path = place.path().join("a.py");
        std::fs::write(&path, "abc").expect("written");
        let file = LocalFile { relative: "x/a.py".to_owned(), path: path.clone(), size: 3, executable: true };
        let announced = announce(vec![file]).expect("read");
        let artifact = &announced[0].artifact;
        assert_eq!((artifact.size, artifact.path.as_str(), artifact.executable), (3, "x/a.py", true));
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(artifact.hash.to_string(), known);
    }
}
