//! The role of a node that forks while it holds a message.
#![allow(unsafe_code)]

use dora_node_api::{Event, MetadataParameters, dora_core::config::DataId};

use crate::Outcome;

/// Exit code of a child that found everything as it must be.
const ALL_WELL: i32 = 42;

/// Receives messages; at the first, forks a child that reads it too, while the parent goes on.
pub(crate) fn read_in_child() -> Outcome {
    let (mut node, mut events) = crate::start()?;
    let mut held = None;
    while let Some(event) = events.recv() {
        let Event::Input { data, .. } = event else { continue };
        if held.is_some() {
            continue;
        }
        // SAFETY: the child only reads memory, tries to send, and leaves by _exit.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let readable =
                <&[u8]>::try_from(&data).is_ok_and(|bytes| !bytes.is_empty() && bytes.iter().all(|b| *b == 7));
            // The channels belong to the parent.
            let refused =
                node.send_output(DataId::from("data".to_owned()), MetadataParameters::default(), 1_u64).is_err();
            // SAFETY: ends this process and runs nothing of it.
            unsafe { libc::_exit(if readable && refused { ALL_WELL } else { 1 }) };
        }
        let mut status = 0;
        // SAFETY: the child is ours, the pointer is valid.
        let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
        println!("child: {}", waited == child && libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == ALL_WELL);
        held = Some(data);
        node.send_output(DataId::from("data".to_owned()), MetadataParameters::default(), 2_u64)?;
    }
    Ok(())
}
