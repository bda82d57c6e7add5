//! A node source in the manner of dora 0.4 and 0.5 compiles and does what it says.

mod common;

/// As it would stand in `src/main.rs` of a node.
mod node {
    use dora_node_api::{
        self, ArrowData, DoraNode, Event, EventStream, IntoArrow, MetadataParameters, Parameter,
        arrow::{
            array::{Array, ArrayRef, AsArray, Float32Array, StringArray, UInt64Array},
            datatypes::{DataType, Int64Type},
        },
        dora_core::config::{DataId, NodeId},
        futures::StreamExt,
        merged::{MergeExternal, MergedEvent},
    };
    use eyre::{Context, ContextCompat, bail};
    use std::{collections::BTreeMap, sync::Arc, time::Duration};

    pub fn main() -> eyre::Result<()> {
        let output = DataId::from("numbers".to_owned());
        let (mut node, mut events): (DoraNode, EventStream) = DoraNode::init_from_env()?;
        let id: &NodeId = node.id();
        let name = id.to_string();
        while let Some(event) = events.recv() {
            match event {
                Event::Input { ref id, metadata, data } => match id.as_ref() {
                    "number" => {
                        let number: i64 = TryFrom::try_from(&data).context("expected a number")?;
                        let array = UInt64Array::from(vec![number as u64, 1]);
                        node.send_output(output.clone(), metadata.parameters, array)?;
                    }
                    "text" => {
                        let text: &str = TryFrom::try_from(&data).context("expected a text")?;
                        node.send_output(
                            DataId::from(String::from("text")),
                            Default::default(),
                            format!("{name}: {text}").into_arrow(),
                        )?;
                        node.send_output(
                            "text".to_string().into(),
                            metadata.parameters.clone(),
                            StringArray::from(vec![text]),
                        )?;
                    }
                    "list" => by_downcast(&mut node, metadata.parameters, data)?,
                    other => bail!("unexpected input `{other}`"),
                },
                Event::InputClosed { id } => println!("input `{id}` was closed"),
                Event::Stop(_) => println!("stopped"),
                other => eprintln!("received {other:?}"),
            }
        }
        Ok(())
    }

    fn by_downcast(node: &mut DoraNode, parameters: MetadataParameters, data: ArrowData) -> eyre::Result<()> {
        if data.data_type() != &DataType::Int64 {
            bail!("expected Int64, got {}", data.data_type());
        }
        let numbers = data.as_primitive::<Int64Type>();
        let again = data.as_any().downcast_ref::<dora_node_api::arrow::array::Int64Array>().context("no Int64Array")?;
        assert_eq!(numbers, again);
        let halves: Float32Array = numbers.iter().map(|number| number.map(|number| number as f32 / 2.0)).collect();
        let halves: ArrayRef = Arc::new(halves);
        node.send_output(DataId::from("halves".to_owned()), parameters, halves)?;
        let mut parameters: MetadataParameters = BTreeMap::new();
        parameters.insert("width".to_owned(), Parameter::Integer(2));
        parameters.insert("encoding".to_owned(), Parameter::String("rgb8".to_owned()));
        let pixels = vec![1u8, 2, 3];
        node.send_output_raw(DataId::from("image".to_owned()), parameters.clone(), pixels.len(), |out| {
            out.copy_from_slice(&pixels)
        })?;
        node.send_output_bytes(DataId::from("image".to_owned()), parameters, pixels.len(), &pixels)?;
        node.close_outputs(vec![])?;
        Ok(())
    }

    /// Other streams beside the events.
    pub async fn main_async() -> eyre::Result<()> {
        let (mut node, events) = DoraNode::init_from_env()?;
        let external = dora_node_api::futures::stream::iter(vec!["ros"]);
        let mut merged = events.merge_external(Box::pin(external));
        while let Some(event) = merged.next().await {
            match event {
                MergedEvent::Dora(Event::Input { id, .. }) => {
                    node.send_output(DataId::from("seen".to_owned()), Default::default(), id.as_str().into_arrow())?
                }
                MergedEvent::Dora(_) => {}
                MergedEvent::External(text) => {
                    node.send_output(DataId::from("seen".to_owned()), Default::default(), text)?
                }
            }
        }
        Ok(())
    }

    /// With a timeout.
    pub fn main_timeout() -> eyre::Result<()> {
        let (_node, mut events) = DoraNode::init_from_env()?;
        match events.recv_timeout(Duration::from_millis(1)) {
            Some(Event::Error(error)) if error.contains("Timeout") => Ok(()),
            other => bail!("expected a timeout, got {other:?}"),
        }
    }
}

use common::{input, outputs_of};
use serde_json::json;

#[test]
fn a_node_of_0_5() -> eyre::Result<()> {
    let events = json!([input("number", json!(7)), input("text", json!("hi")), input("list", json!([1, 2]))]);
    assert_eq!(
        outputs_of(node::main, events)?,
        [
            r#""numbers": [7,1]"#,
            r#""text": ["node: hi"]"#,
            r#""text": ["hi"]"#,
            r#""halves": [0.5,1.0]"#,
            r#""image": [1,2,3]"#,
            r#""image": [1,2,3]"#
        ]
    );
    Ok(())
}

#[test]
fn an_async_node_of_0_5() -> eyre::Result<()> {
    let events = json!([input("number", json!(7))]);
    let run = || dora_node_api::futures::executor::block_on(node::main_async());
    let mut outputs = outputs_of(run, events)?;
    outputs.sort();
    assert_eq!(outputs, [r#""seen": ["number"]"#, r#""seen": ["ros"]"#]);
    Ok(())
}

#[test]
fn a_timeout_of_0_5() -> eyre::Result<()> {
    let later = json!([{ "type": "Stop", "time_offset_secs": 1000.0 }]);
    assert_eq!(outputs_of(node::main_timeout, later)?, Vec::<String>::new());
    Ok(())
}
