//! The `dora` program.
//!
//! `dora keeper` is looked for before anything else happens: a keeper must stay small, and must be alone in its process.

use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|verb| verb == "keeper") {
        return dora_keeper::run();
    }
    dora_cli::main()
}
