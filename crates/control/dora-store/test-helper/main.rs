//! Submits dataflows without end and prints the id of each that the store has taken. The test kills it.

use std::{error::Error, io::Write, path::Path};

use chrono::DateTime;
use dora_gateways::{DataflowId, DataflowState, Submission};
use dora_store::{DataflowRecord, Store};
use uuid::Uuid;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("give the file")?;
    let store = Store::open(Path::new(&path))?;
    let mut output = std::io::stdout();
    for number in 1.. {
        let submission = Submission {
            descriptor: format!("# {}", "x".repeat(number as usize * 37 % 9000)),
            ..Submission::default()
        };
        // Two writes for each: a kill comes before, within or between them.
        let id = DataflowId(Uuid::from_u128(u128::from(store.epoch()) << 64 | number));
        store.submit(&DataflowRecord::new(id, DateTime::UNIX_EPOCH, submission))?;
        store.update(id, |record| record.state = DataflowState::Finished)?;
        writeln!(output, "{id}")?;
        output.flush()?;
    }
    Ok(())
}
