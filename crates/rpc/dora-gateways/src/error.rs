//! What all errors of the gateways have in common.

use dora_rpc::{Retryable, RpcError};

/// An error with a name for programs. Whether trying again can help is in [`Retryable`].
pub trait Coded: Retryable + std::error::Error {
    /// A name that does not change with the wording: `dispatcher.unknown_dataflow`.
    fn code(&self) -> &'static str;
}

impl Coded for RpcError {
    fn code(&self) -> &'static str {
        Self::code(self)
    }
}

/// Gives the error of a gateway its codes. Of its own reasons none goes away by itself, except those named after `retry`.
macro_rules! coded {
    ($error:ident { $($variant:ident => $code:literal),* $(,)? } retry { $($retried:ident),* $(,)? }) => {
        impl $crate::Coded for $error {
            fn code(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => $code,)*
                    Self::Rpc(error) => error.code(),
                }
            }
        }

        impl dora_rpc::Retryable for $error {
            fn retryable(&self) -> bool {
                match self {
                    $(Self::$retried { .. } => true,)*
                    Self::Rpc(error) => error.retryable(),
                    #[allow(unreachable_patterns, reason = "some errors have no reasons of their own but these")]
                    _ => false,
                }
            }
        }
    };
}
pub(crate) use coded;
