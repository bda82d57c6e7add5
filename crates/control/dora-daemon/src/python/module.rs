//! The wheel of the Python module `dora` that speaks to this version.
//!
//! Other modules of that name speak another language, so environments that are made for nodes get this one.

use std::path::{Path, PathBuf};

/// Where the wheel is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PythonModule {
    /// In this file.
    Wheel(PathBuf),
    /// Nowhere; for people, where it was looked for: "in `a` and in `b`".
    Missing {
        /// Places.
        looked: String,
    },
}

impl Default for PythonModule {
    fn default() -> Self {
        PythonModule::Missing { looked: "nowhere".to_owned() }
    }
}

impl PythonModule {
    /// The file; otherwise where it was looked for.
    pub fn wheel(&self) -> Result<&Path, &str> {
        match self {
            PythonModule::Wheel(wheel) => Ok(wheel),
            PythonModule::Missing { looked } => Err(looked),
        }
    }
}
