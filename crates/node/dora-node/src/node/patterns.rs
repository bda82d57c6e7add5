//! Services, actions and streams: conventions about the parameters of messages.
//!
//! | pattern | parameters |
//! |---|---|
//! | service | `request_id` on the request, copied to the response |
//! | action | `goal_id` on goal, feedback, result and cancellation; `goal_status` on the result |
//! | stream | `session_id`, `segment_id`, `seq`, `fin`, and `flush` where older segments are withdrawn |

use std::cell::RefCell;

use dora_arrow_convert::IntoArrow;
use dora_message::{
    id::DataId,
    metadata::{FIN, FLUSH, MetadataParameters, Parameter, REQUEST_ID, SEGMENT_ID, SEQ, SESSION_ID},
};

use super::DoraNode;
use crate::error::NodeResult;

impl DoraNode {
    /// A new id for a request: a UUID of version 7, so ids of one thread sort by time.
    pub fn new_request_id() -> String {
        thread_local! {
            static COUNTER: RefCell<uuid::ContextV7> = const { RefCell::new(uuid::ContextV7::new()) };
        }
        COUNTER.with_borrow(|counter| uuid::Uuid::new_v7(uuid::Timestamp::now(counter)).to_string())
    }

    /// A new id for a goal, made like those of requests.
    pub fn new_goal_id() -> String {
        Self::new_request_id()
    }

    /// Sends a request with a new `request_id`, which is returned: wait for the response with
    /// [`recv_service_response`](crate::EventStream::recv_service_response). A `request_id` among the parameters is
    /// replaced.
    ///
    /// # Errors
    /// As [`Self::send_output`].
    pub fn send_service_request(
        &mut self,
        output_id: DataId,
        mut parameters: MetadataParameters,
        data: impl IntoArrow,
    ) -> NodeResult<String> {
        let request_id = Self::new_request_id();
        parameters.insert(REQUEST_ID.to_owned(), Parameter::String(request_id.clone()));
        self.send_output(output_id, parameters, data)?;
        Ok(request_id)
    }

    /// Sends a response. `parameters` must hold the `request_id` of the request: pass on what came with it.
    ///
    /// # Errors
    /// As [`Self::send_output`].
    pub fn send_service_response(
        &mut self,
        output_id: DataId,
        parameters: MetadataParameters,
        data: impl IntoArrow,
    ) -> NodeResult<()> {
        self.send_output(output_id, parameters, data)
    }

    /// Sends the next chunk of a stream. `fin`: it is the last one of its segment.
    ///
    /// # Errors
    /// As [`Self::send_output`].
    pub fn send_stream_chunk(
        &mut self,
        output_id: DataId,
        segment: &mut StreamSegment,
        fin: bool,
        data: impl IntoArrow,
    ) -> NodeResult<()> {
        self.send_output(output_id, segment.chunk(fin), data)
    }
}

/// Where a stream is: numbers its segments, and the chunks in each.
///
/// ```
/// use dora_message::metadata::{FIN, get_bool_param};
/// use dora_node::StreamSegment;
///
/// let mut segment = StreamSegment::new();
/// let parameters = segment.chunk(false);
/// assert_eq!(get_bool_param(&parameters, FIN), Some(false));
/// assert_eq!((segment.segment_id(), segment.seq()), (0, 1));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamSegment {
    session_id: String,
    segment_id: i64,
    seq: i64,
}

impl StreamSegment {
    /// A new session, at segment 0, chunk 0.
    pub fn new() -> Self {
        Self::with_session_id(DoraNode::new_request_id())
    }

    /// A session with this id, at segment 0, chunk 0.
    pub fn with_session_id(session_id: String) -> Self {
        StreamSegment { session_id, segment_id: 0, seq: 0 }
    }

    /// Goes on to the next segment, which starts with chunk 0; returns its number.
    pub fn next_segment(&mut self) -> i64 {
        self.segment_id += 1;
        self.seq = 0;
        self.segment_id
    }

    /// The parameters of the next chunk. `fin`: it is the last one of its segment.
    pub fn chunk(&mut self, fin: bool) -> MetadataParameters {
        let seq = self.seq;
        self.seq += 1;
        MetadataParameters::from([
            (SESSION_ID.to_owned(), Parameter::String(self.session_id.clone())),
            (SEGMENT_ID.to_owned(), Parameter::Integer(self.segment_id)),
            (SEQ.to_owned(), Parameter::Integer(seq)),
            (FIN.to_owned(), Parameter::Bool(fin)),
        ])
    }

    /// The parameters of a chunk that withdraws what came before: the first one of a new segment, with `flush`. The old
    /// segment gets no `fin`. What a receiver has not taken yet it never gets, and it counts as dropped, but for messages
    /// with a `request_id` or a `goal_id`. The mark concerns the whole input, so use one output per session with it.
    pub fn flush(&mut self) -> MetadataParameters {
        self.next_segment();
        let mut parameters = self.chunk(false);
        parameters.insert(FLUSH.to_owned(), Parameter::Bool(true));
        parameters
    }

    /// The session.
    pub fn session_id(&self) -> &str {
        &self.session_id
    }

    /// The segment that the next chunk belongs to.
    pub fn segment_id(&self) -> i64 {
        self.segment_id
    }

    /// The number of the next chunk in its segment.
    pub fn seq(&self) -> i64 {
        self.seq
    }
}

impl Default for StreamSegment {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dora_message::metadata::{get_bool_param, get_integer_param, get_string_param};

    #[test]
    fn request_ids_are_unique_and_sorted() {
        let ids: Vec<_> = (0..1000).map(|_| DoraNode::new_request_id()).collect();
        assert!(ids.is_sorted_by(|a, b| a < b));
        assert_eq!(uuid::Uuid::parse_str(&ids[0]).unwrap().get_version_num(), 7);
    }

    #[test]
    fn a_flush_begins_a_segment() {
        let mut segment = StreamSegment::with_session_id("s".to_owned());
        let first = segment.chunk(false);
        let flush = segment.flush();
        let next = segment.chunk(true);
        assert_eq!(get_string_param(&first, SESSION_ID), Some("s"));
        assert_eq!(get_bool_param(&first, FLUSH), None);
        let numbers = |p| (get_integer_param(p, SEGMENT_ID), get_integer_param(p, SEQ), get_bool_param(p, FIN));
        assert_eq!(numbers(&first), (Some(0), Some(0), Some(false)));
        assert_eq!(numbers(&flush), (Some(1), Some(0), Some(false)));
        assert_eq!(get_bool_param(&flush, FLUSH), Some(true));
        assert_eq!(numbers(&next), (Some(1), Some(1), Some(true)));
    }
}
