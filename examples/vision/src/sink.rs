//! Collects pictures and what was found in them; writes one annotated sheet and a summary of every edge of the graph.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};

use dora_node_api::{DataId, DoraArray, DoraNode, Event, Metadata, StopCause};
use eyre::{Context, OptionExt};
use image::RgbImage;
use vision_example::edge::{Edge, Summary, table};
use vision_example::frame::Frame;
use vision_example::sheet::{annotate, sheet};

/// What was found comes a little later than its picture: as many frames wait for it. They stay in shared memory, not copied.
const FRAMES_KEPT: usize = 8;

/// The three messages about one frame.
#[derive(Default)]
struct Parts {
    image: Option<DoraArray>,
    edges: Option<DoraArray>,
    corners: Option<DoraArray>,
}

/// Everything that has arrived.
#[derive(Default)]
struct Sink {
    waiting: VecDeque<(Frame, Parts)>,
    /// The annotated photographs by name.
    annotated: BTreeMap<String, RgbImage>,
    edges: BTreeMap<DataId, Edge>,
    /// What the node `features` tells about its own input.
    report: Option<Summary>,
}

fn main() -> eyre::Result<()> {
    let directory = PathBuf::from(std::env::var("RESULTS").wrap_err("RESULTS names the directory for the results")?);
    let (node, mut events) = DoraNode::init_from_env()?;
    let mut sink = Sink::default();
    let mut stopped_early = false;
    while let Some(event) = events.recv() {
        match event {
            Event::Input { id, data, .. } if id.as_str() == "report" => {
                let report: &str = (&data).try_into()?;
                sink.report = Some(serde_json::from_str(report)?);
            }
            Event::Input { id, metadata, data } => {
                sink.edges.entry(id.clone()).or_default().arrived(&metadata, node.timestamp());
                sink.take(&id, &metadata, data)?;
            }
            Event::Stop(cause) => {
                stopped_early = matches!(cause, StopCause::Manual);
                break;
            }
            _ => {}
        }
    }
    let dropped = events.drain_drop_counts();
    let dropped = |input: &DataId| dropped.get(input).copied().unwrap_or_default();
    let own = sink.edges.into_iter().map(|(input, edge)| {
        let producer = if input.as_str() == "image" { "camera" } else { "features" };
        let dropped = dropped(&input);
        edge.summary(&format!("{producer}/{}", input.as_str()), &format!("sink/{}", input.as_str()), dropped)
    });
    let mut edges: Vec<Summary> = own.chain(sink.report).collect();
    edges.sort_by(|a, b| (&a.from, &a.to).cmp(&(&b.from, &b.to)));
    write(&directory, &sink.annotated, &edges)?;
    if !stopped_early {
        check(&sink.annotated, &edges)?;
    }
    Ok(())
}

impl Sink {
    /// Keeps a message until the others about the same frame are there too, then draws.
    fn take(&mut self, input: &DataId, metadata: &Metadata, data: DoraArray) -> eyre::Result<()> {
        let frame = Frame::from_parameters(&metadata.parameters)?;
        let index = self.waiting.iter().position(|(other, _)| *other == frame).unwrap_or_else(|| {
            self.waiting.push_back((frame, Parts::default()));
            self.waiting.len() - 1
        });
        let (frame, parts) = &mut self.waiting[index];
        match input.as_str() {
            "image" => parts.image = Some(data),
            "edges" => parts.edges = Some(data),
            "corners" => parts.corners = Some(data),
            other => eyre::bail!("unexpected input `{other}`"),
        }
        if let Parts { image: Some(image), edges: Some(edges), corners: Some(corners) } = parts {
            if !self.annotated.contains_key(&frame.name) {
                let pixels: Vec<u8> = (&*image).try_into()?;
                let picture = RgbImage::from_raw(frame.width, frame.height, pixels);
                let mut picture = picture.ok_or_eyre("the picture has fewer bytes than its width and height say")?;
                annotate(&mut picture, (&*edges).try_into()?, (&*corners).try_into()?);
                self.annotated.insert(frame.name.clone(), picture);
            }
            self.waiting.remove(index);
        } else if self.waiting.len() > FRAMES_KEPT {
            self.waiting.pop_front();
        }
        Ok(())
    }
}

/// Writes the sheet, the table for people and the same for programs.
fn write(directory: &Path, annotated: &BTreeMap<String, RgbImage>, edges: &[Summary]) -> eyre::Result<()> {
    fs::create_dir_all(directory).wrap_err_with(|| format!("cannot create {}", directory.display()))?;
    sheet(annotated.values()).save(directory.join("annotated.png"))?;
    fs::write(directory.join("summary.txt"), table(edges))?;
    let names: Vec<&String> = annotated.keys().collect();
    let summary = serde_json::json!({ "photographs": names, "edges": edges });
    fs::write(directory.join("summary.json"), serde_json::to_string_pretty(&summary)?)?;
    println!("{} photographs annotated", annotated.len());
    Ok(())
}

/// Fails if a message is neither here nor counted, or if nothing was found.
fn check(annotated: &BTreeMap<String, RgbImage>, edges: &[Summary]) -> eyre::Result<()> {
    eyre::ensure!(edges.len() == 4, "expected messages on 4 edges, got {}", edges.len());
    for edge in edges {
        eyre::ensure!(edge.adds_up(), "messages of {} -> {} are unaccounted for: {edge:?}", edge.from, edge.to);
    }
    eyre::ensure!(!annotated.is_empty(), "no photograph was annotated");
    Ok(())
}
