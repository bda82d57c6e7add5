//! A node source in the manner of dora 1.x compiles and does what it says.

mod common;

/// As it would stand in `src/main.rs` of a node.
mod node {
    use dora_node_api::{
        DataSample, DoraArray, DoraEvent, DoraNode, DoraNodeBuilder, EncodedSample, Event, EventScheduler, EventStream,
        FIN, FLUSH, GOAL_ID, GOAL_STATUS, InputState, InputTracker, IntoArrow, Metadata, MetadataParameters, NodeError,
        NodeResult, OPEN_TELEMETRY_CONTEXT, Parameter, PatternError, REQUEST_ID, SEGMENT_ID, SEQ, SESSION_ID,
        SampleAllocator, StopCause, StreamSegment, TryRecvError, ZERO_COPY_THRESHOLD, arrow_utils, arrow_v59,
        dora_core::{
            config::{DataId, NodeId, OperatorId},
            uhlc as core_uhlc,
        },
        get_bool_param, get_integer_param, get_string_param, into_vec, uhlc, uuid,
    };
    use std::{
        collections::{BTreeMap, HashMap},
        time::Duration,
    };

    pub fn main() -> eyre::Result<()> {
        let (mut node, mut events) = DoraNode::init_from_env()?;
        let mut tracker =
            InputTracker::with_source_map(HashMap::from([(DataId::from("number"), NodeId::from("source".to_owned()))]));
        while let Some(event) = events.recv() {
            tracker.process_event(&event);
            match event {
                Event::Input { id, metadata, data } => on_input(&mut node, &id, &metadata, &data)?,
                Event::InputClosed { id } => assert_eq!(tracker.state(&id), Some(InputState::Closed)),
                Event::Stop(StopCause::Manual) => break,
                Event::Stop(cause) => eprintln!("stopping: {cause:?}"),
                Event::NodeFailed { affected_input_ids, error, source_node_id } => {
                    eprintln!("{source_node_id} failed: {error} ({affected_input_ids:?})");
                }
                Event::InputRecovered { .. } | Event::NodeRestarted { .. } | Event::Reload { .. } => {}
                Event::ParamUpdate { key, value } => eprintln!("{key} = {value}"),
                Event::ParamDeleted { key } => eprintln!("{key} is gone"),
                other => eprintln!("{other:?}"),
            }
        }
        assert!(tracker.last_value(&"number".into()).is_some() && tracker.any_closed());
        node.log_info("done");
        node.log_with_fields(
            "debug",
            "done",
            Some("example"),
            Some(&BTreeMap::from([("a".to_owned(), "b".to_owned())])),
        );
        Ok(())
    }

    fn on_input(node: &mut DoraNode, id: &DataId, metadata: &Metadata, data: &DoraArray) -> NodeResult<()> {
        assert_eq!(id.as_str(), "number");
        let age = node.timestamp().get_diff_duration(&metadata.timestamp());
        assert!(age < Duration::from_secs(60) && metadata.open_telemetry_context().is_empty());
        let numbers: Vec<f64> = into_vec(data).map_err(|error| {
            NodeError::from(dora_node_api::TestingError::Output { output: id.clone(), reason: error.to_string() })
        })?;
        node.send_output("sum".into(), MetadataParameters::default(), numbers.iter().sum::<f64>())?;
        let v59: &arrow_v59::array::ArrayRef = data.as_array();
        node.send_output("same".into(), metadata.parameters.clone(), v59.clone())?;
        let allocator: SampleAllocator = node.sample_allocator();
        let encoded: EncodedSample = allocator.encode_arrow(data)?;
        assert_eq!(encoded.type_name(), "Int64");
        node.send_output_encoded("encoded".into(), MetadataParameters::new(), encoded)?;
        let mut sample: DataSample = node.allocate_data_sample(2)?;
        sample.copy_from_slice(&[4, 5]);
        node.send_output_sample("sample".into(), MetadataParameters::new(), Some(sample))?;
        patterns(node)
    }

    fn patterns(node: &mut DoraNode) -> NodeResult<()> {
        let request_id: String = node.send_service_request("request".into(), MetadataParameters::new(), "what")?;
        assert!(uuid::Uuid::parse_str(&request_id).is_ok());
        let reply = MetadataParameters::from([(REQUEST_ID.to_owned(), Parameter::String(request_id))]);
        node.send_service_response("response".into(), reply, "that")?;
        let mut segment = StreamSegment::with_session_id("session".to_owned());
        node.send_stream_chunk("stream".into(), &mut segment, true, "word")?;
        let flush = segment.flush();
        assert_eq!(get_bool_param(&flush, FLUSH), Some(true));
        assert_eq!((get_integer_param(&flush, SEGMENT_ID), get_integer_param(&flush, SEQ)), (Some(1), Some(0)));
        assert_eq!((get_string_param(&flush, SESSION_ID), get_bool_param(&flush, FIN)), (Some("session"), Some(false)));
        Ok(())
    }

    /// Names and signatures that sources rely on; never run.
    #[allow(dead_code)]
    async fn signatures(node: &mut DoraNode, events: &mut EventStream, scheduler: &EventScheduler) -> eyre::Result<()> {
        let builder: DoraNodeBuilder = DoraNode::builder().node_id("a".parse()?).dynamic().daemon_port(1);
        let _: NodeResult<(DoraNode, EventStream)> = builder.build();
        let server: NodeId = "server".parse()?;
        let reply: Result<Event, PatternError> = events.recv_service_response("id", &server, Duration::ZERO).await;
        let result = events.recv_action_result(&DoraNode::new_goal_id(), &server, Duration::ZERO).await;
        let _: (Option<DoraEvent>, Option<Event>) =
            (events.recv_async().await, events.recv_async_timeout(Duration::ZERO).await);
        let _: (bool, Option<Vec<Event>>, HashMap<DataId, u64>) =
            (events.is_empty(), events.drain(), events.drain_drop_counts());
        if let Err(TryRecvError::Empty | TryRecvError::Closed) = events.try_recv() {}
        let stamp: core_uhlc::Timestamp = node.timestamp();
        let _: (uhlc::Timestamp, usize, usize, bool, u32) =
            (stamp, ZERO_COPY_THRESHOLD, node.zero_copy_threshold(), node.is_restart(), node.restart_count());
        let _ = node.dataflow_descriptor()?["nodes"].as_array();
        let _: OperatorId = "op".parse()?;
        let _ = (GOAL_ID, GOAL_STATUS, OPEN_TELEMETRY_CONTEXT, reply?, result?, scheduler);
        let bytes = arrow_utils::encode_arrow_ipc(&1u8.into_arrow())?;
        arrow_utils::decode_arrow_ipc(&bytes)?;
        let (mut again, _) = DoraNode::init_flexible("a".parse()?)?;
        again.extension_store("ns", "key", vec![])?;
        dora_node_api::event_stream::extensions::drain_dropped_keys("ns");
        let _guard = dora_node_api::init_tracing(node.id(), node.dataflow_id())?;
        Ok(())
    }
}

use common::{input, outputs_of};
use serde_json::json;

#[test]
fn a_node_of_1_x() -> eyre::Result<()> {
    let closed = json!({ "type": "InputClosed", "id": "number", "time_offset_secs": 0.0 });
    let events = json!([input("number", json!([1, 2])), closed, { "type": "Stop", "time_offset_secs": 0.0 }]);
    assert_eq!(
        outputs_of(node::main, events)?,
        [
            r#""sum": [3.0]"#,
            r#""same": [1,2]"#,
            r#""encoded": [1,2]"#,
            r#""sample": [4,5]"#,
            r#""request": ["what"]"#,
            r#""response": ["that"]"#,
            r#""stream": ["word"]"#
        ]
    );
    Ok(())
}
