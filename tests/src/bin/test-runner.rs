//! Runs a dataflow through the library of `dora-cli`, as the `run.rs` of examples do: `dora-test-runner FILE [COUNT]`.
//! With a count it runs it so often, and tells what this process holds after the first few and at the end.

use dora_cli::{Executable as _, LogFormat, RunCommand};
use dora_tests::Holdings;

/// After so many rounds a process has what it keeps for ever.
const WARM: usize = 5;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut command = RunCommand::new(arguments.next().ok_or("expected a dataflow file")?);
    command.log_format = LogFormat::Compact;
    command.env.push(("GREETING".to_owned(), "1.10".to_owned()));
    let Some(count) = arguments.next() else { return Ok(command.execute()?) };
    let count: usize = count.parse()?;
    for round in 0..WARM + count {
        if round == WARM {
            tell("before");
        }
        command.clone().execute()?;
        println!("end of round {round}.");
    }
    tell("after");
    Ok(())
}

fn tell(when: &str) {
    let own = std::process::id().cast_signed();
    let Holdings { descriptors, mappings, .. } = Holdings::of(own);
    println!("{when}: {descriptors} {mappings} {}", dora_tests::resident_kib(own));
}
