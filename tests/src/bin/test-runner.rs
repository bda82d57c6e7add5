//! Runs a dataflow through the library of `dora-cli`, as the `run.rs` of examples do: `dora-test-runner FILE`.

use dora_cli::{Executable as _, LogFormat, RunCommand};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut command = RunCommand::new(std::env::args().nth(1).ok_or("expected a dataflow file")?);
    command.log_format = LogFormat::Compact;
    command.env.push(("GREETING".to_owned(), "1.10".to_owned()));
    Ok(command.execute()?)
}
