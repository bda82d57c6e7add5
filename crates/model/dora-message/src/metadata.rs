//! What accompanies the payload of a message: its timestamp and its parameters.
//!
//! ```
//! use dora_message::metadata::{Metadata, Parameter};
//! # let sent_at = uhlc::HLC::default().new_timestamp();
//! let metadata = Metadata::from_parameters(sent_at, [("frame".to_owned(), Parameter::Integer(7))].into());
//! assert_eq!(metadata.get_or("frame", 0), 7);
//! assert_eq!(metadata.get_or("missing", 42), 42);
//! ```
//!
//! Timestamps come from the sender's hybrid clock ([`crate::clock`]). This module must not know how either is encoded.

use serde::{Deserialize, Serialize};

pub use crate::parameter::{
    MetadataParameters, Parameter, TryFromParameterError, get_bool_param, get_integer_param, get_string_param,
};

/// Key (string): pairs a service response with its request.
pub const REQUEST_ID: &str = "request_id";
/// Key (string): the goal of an action that a feedback, result or cancellation belongs to.
pub const GOAL_ID: &str = "goal_id";
/// Key (string): how a goal ended; one of [`GOAL_STATUS_SUCCEEDED`], [`GOAL_STATUS_ABORTED`], [`GOAL_STATUS_CANCELED`].
pub const GOAL_STATUS: &str = "goal_status";
/// Value of [`GOAL_STATUS`]: the goal was reached.
pub const GOAL_STATUS_SUCCEEDED: &str = "succeeded";
/// Value of [`GOAL_STATUS`]: the server gave up.
pub const GOAL_STATUS_ABORTED: &str = "aborted";
/// Value of [`GOAL_STATUS`]: the client called it off.
pub const GOAL_STATUS_CANCELED: &str = "canceled";
/// Key (string): the session that a chunk of a stream belongs to.
pub const SESSION_ID: &str = "session_id";
/// Key (integer): the segment within the session, for example one utterance.
pub const SEGMENT_ID: &str = "segment_id";
/// Key (integer): number of the chunk within its segment, from 0.
pub const SEQ: &str = "seq";
/// Key (bool): this chunk is the last of its segment.
pub const FIN: &str = "fin";
/// Key (bool): whatever is still queued of older segments is to be discarded.
pub const FLUSH: &str = "flush";
/// Key (string): the serialized OpenTelemetry context of the sender.
pub const OPEN_TELEMETRY_CONTEXT: &str = "open_telemetry_context";

/// Timestamp and parameters of one message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metadata {
    metadata_version: u16,
    timestamp: uhlc::Timestamp,
    /// What the sender attached, by key.
    pub parameters: MetadataParameters,
}

impl Metadata {
    /// Version of the metadata's meaning that this crate writes.
    pub const CURRENT_VERSION: u16 = 2;

    /// Metadata without parameters.
    pub fn new(timestamp: uhlc::Timestamp) -> Self {
        Self::from_parameters(timestamp, MetadataParameters::new())
    }

    /// Metadata with these parameters.
    pub fn from_parameters(timestamp: uhlc::Timestamp, parameters: MetadataParameters) -> Self {
        Self { metadata_version: Self::CURRENT_VERSION, timestamp, parameters }
    }

    /// When the message was sent, by the hybrid clock of its sender.
    pub fn timestamp(&self) -> uhlc::Timestamp {
        self.timestamp
    }

    /// The serialized OpenTelemetry context of the sender, or the empty string.
    pub fn open_telemetry_context(&self) -> String {
        get_string_param(&self.parameters, OPEN_TELEMETRY_CONTEXT).unwrap_or_default().to_owned()
    }

    /// Version of the metadata's meaning that the sender wrote.
    pub fn metadata_version(&self) -> u16 {
        self.metadata_version
    }

    /// The parameter of this key.
    pub fn get(&self, key: &str) -> Option<&Parameter> {
        self.parameters.get(key)
    }

    /// The parameter of this key as a `T`, or `default` if it is missing or of another type.
    pub fn get_or<'a, T: TryFrom<&'a Parameter>>(&'a self, key: &str, default: T) -> T {
        self.get(key).and_then(|parameter| parameter.try_into().ok()).unwrap_or(default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_of_another_type_counts_as_missing() {
        let sent_at = uhlc::HLC::default().new_timestamp();
        let parameters = [(OPEN_TELEMETRY_CONTEXT.to_owned(), "traceparent:1".into()), (FIN.to_owned(), 1.into())];
        let metadata = Metadata::from_parameters(sent_at, parameters.into());
        assert_eq!(metadata.open_telemetry_context(), "traceparent:1");
        assert_eq!(get_bool_param(&metadata.parameters, FIN), None);
        assert!(metadata.get_or(FIN, true));
        assert_eq!(metadata.timestamp(), sent_at);
    }

    #[test]
    fn json_round_trip() {
        let metadata = Metadata::new(uhlc::HLC::default().new_timestamp());
        let json = serde_json::to_string(&metadata).unwrap();
        assert_eq!(serde_json::from_str::<Metadata>(&json).unwrap(), metadata);
    }
}
