//! Processes that run on after the command that started them: the coordinator and the daemon of `dora up`.
//!
//! Each has a directory below `$DORA_HOME` with an `instance` file, which says that it runs and what others may want to
//! know of it, and a `log`. It must not know what the processes do.

mod instance;
mod launch;
mod started;
pub(crate) mod strays;
mod thrift;

pub(crate) use self::{
    instance::{Instance, Running},
    launch::launch,
    started::{Started, panicked},
    thrift::give_back,
};
