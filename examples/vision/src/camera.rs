//! Plays photographs as a camera would send them: one per tick, as bare pixels.

use std::path::{Path, PathBuf};

use dora_node_api::{DoraNode, Event};
use eyre::{Context, OptionExt};
use image::RgbImage;
use image::imageops::FilterType;
use vision_example::frame::{CAMERA_SIZE, Frame};

fn main() -> eyre::Result<()> {
    let directory =
        PathBuf::from(std::env::var("PICTURES").wrap_err("PICTURES names the directory of the photographs")?);
    let frames: i64 = std::env::var("FRAMES").wrap_err("FRAMES is the number of frames to send")?.parse()?;
    let photographs = load(&directory)?;
    let (mut node, mut events) = DoraNode::init_from_env()?;
    let mut endless = photographs.iter().cycle();
    let mut number = 0;
    while let Some(event) = events.recv() {
        match event {
            Event::Input { .. } => {
                let (name, picture) = endless.next().ok_or_eyre("no photographs")?;
                let frame = Frame { number, name: name.clone(), width: picture.width(), height: picture.height() };
                let pixels = picture.as_raw();
                // The closure writes into the memory that the receivers read.
                node.send_output_raw("image".into(), frame.parameters(number, "rgb8"), pixels.len(), |image| {
                    image.copy_from_slice(pixels);
                })?;
                number += 1;
                if number == frames {
                    break;
                }
            }
            Event::Stop(_) => break,
            _ => {}
        }
    }
    println!("sent {number} frames");
    Ok(())
}

/// Decodes every photograph of a directory, in the order of their names, at the size of the camera.
fn load(directory: &Path) -> eyre::Result<Vec<(String, RgbImage)>> {
    let entries = directory.read_dir().wrap_err_with(|| {
        format!("cannot read the photographs in {}: `cargo xtask demo --prepare` fetches them", directory.display())
    })?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    paths.sort();
    eyre::ensure!(!paths.is_empty(), "there are no photographs in {}", directory.display());
    paths
        .iter()
        .map(|path| {
            let picture = image::open(path).wrap_err_with(|| format!("cannot decode {}", path.display()))?;
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            Ok((name, picture.resize(CAMERA_SIZE.0, CAMERA_SIZE.1, FilterType::Triangle).into_rgb8()))
        })
        .collect()
}
