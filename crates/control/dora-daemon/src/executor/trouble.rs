//! What goes wrong before nodes run, as it is told to the master.

use std::any::Any;

use dora_gateways::{NodeMistake, Trouble};

use super::{place::PlaceError, stopper::Stopped};
use crate::{build::BuildError, keeper::KeeperError, prepare::PrepareError};

impl From<PrepareError> for Trouble {
    fn from(error: PrepareError) -> Self {
        let mistake = |mistake: crate::Mistake| NodeMistake {
            node: mistake.node,
            key: Some(mistake.problem.key().to_owned()),
            message: mistake.problem.to_string(),
            hint: None,
            last_lines: Vec::new(),
        };
        Trouble::Mistakes(error.mistakes.into_iter().map(mistake).collect())
    }
}

impl From<BuildError> for Trouble {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Node { node, problem } => Trouble::Build(NodeMistake {
                node,
                key: Some(problem.key().to_owned()),
                message: problem.to_string(),
                hint: problem.hint(),
                last_lines: problem.last_lines().to_vec(),
            }),
            BuildError::Cancelled => Trouble::Interrupted,
            error @ (BuildError::Thread(_) | BuildError::Session { .. }) => Trouble::CannotRun(error.to_string()),
        }
    }
}

impl From<KeeperError> for Trouble {
    fn from(error: KeeperError) -> Self {
        Trouble::CannotRun(error.to_string())
    }
}

impl From<PlaceError> for Trouble {
    fn from(error: PlaceError) -> Self {
        Trouble::CannotRun(error.to_string())
    }
}

impl From<Stopped> for Trouble {
    fn from(_: Stopped) -> Self {
        Trouble::Interrupted
    }
}

/// A bug of ours, told instead of swallowed.
pub(super) fn panicked(panic: &(dyn Any + Send)) -> Trouble {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("it gave no reason");
    Trouble::CannotRun(format!("the thread of the daemon that runs it has panicked: {text}"))
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    #[test]
    fn a_bug_says_what_it_says() {
        let words = |panic: Box<dyn Any + Send>| panicked(&*panic).to_string();
        let told = catch_unwind(|| panic!("number {}", 7)).map_err(words).unwrap_err();
        assert!(told.ends_with("has panicked: number 7"), "{told}");
        let told = catch_unwind(|| panic!("plain")).map_err(words).unwrap_err();
        assert!(told.ends_with("has panicked: plain"), "{told}");
    }
}
