//! One file per command: its arguments, its help, what it does.

pub(crate) mod completion;
pub(crate) mod expand;
pub(crate) mod graph;
pub(crate) mod new;
pub(crate) mod run;
pub(crate) mod schema;
pub(crate) mod validate;

use std::io::{self, Write as _};

use crate::error::CommandError;

/// Writes a result to standard output. Whoever closed it does not want the rest.
fn print(text: &str) -> Result<(), CommandError> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(CommandError::failed(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}
