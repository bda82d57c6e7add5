//! Moves slowly over photographs, as a camera would: one picture per tick, as bare pixels.

use std::path::{Path, PathBuf};

use dora_node_api::{DoraNode, Event};
use eyre::Context;
use image::RgbImage;
use image::imageops::{self, FilterType};
use vision_example::frame::{CAMERA_SIZE, Frame};

/// A photograph is at least this much larger than what the camera sees of it.
const MARGIN: f64 = 1.15;

fn main() -> eyre::Result<()> {
    let directory =
        PathBuf::from(std::env::var("PICTURES").wrap_err("PICTURES names the directory of the photographs")?);
    let frames: usize = std::env::var("FRAMES").wrap_err("FRAMES is the number of frames to send")?.parse()?;
    let photographs = load(&directory)?;
    let per_photograph = frames.div_ceil(photographs.len());
    let (mut node, mut events) = DoraNode::init_from_env()?;
    let mut number = 0;
    while let Some(event) = events.recv() {
        match event {
            Event::Input { .. } if number < frames => {
                let (name, photograph) = &photographs[number / per_photograph];
                let done = (number % per_photograph) as f64 / per_photograph as f64;
                let frame = Frame { number: i64::try_from(number)?, name: name.clone() };
                node.send_output_raw("image".into(), frame.parameters("rgb8"), Frame::BYTES, |image| {
                    // Written into the memory that the receivers read.
                    see(photograph, done, image);
                })?;
                number += 1;
            }
            Event::Input { .. } | Event::Stop(_) => break,
            _ => {}
        }
    }
    println!("sent {number} frames");
    Ok(())
}

/// What the camera sees of a photograph when it has moved over `done` of it, 0 to 1.
fn see(photograph: &RgbImage, done: f64, image: &mut [u8]) {
    let (width, height) = CAMERA_SIZE;
    // From left to right, and a little down in the upper part, where faces are.
    let left = (f64::from(photograph.width() - width) * done) as usize;
    let top = (f64::from(photograph.height() - height) * (0.1 + 0.2 * done)) as usize;
    let line = 3 * width as usize;
    let lines = photograph.as_raw().chunks_exact(3 * photograph.width() as usize).skip(top);
    for (seen, from) in image.chunks_exact_mut(line).zip(lines) {
        seen.copy_from_slice(&from[3 * left..3 * left + line]);
    }
}

/// Decodes every photograph of a directory, in the order of their names, a little larger than the camera sees.
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
            Ok((name, enlarged(&picture.into_rgb8())))
        })
        .collect()
}

fn enlarged(picture: &RgbImage) -> RgbImage {
    let (width, height) = (f64::from(picture.width()), f64::from(picture.height()));
    let scale = (f64::from(CAMERA_SIZE.0) / width).max(f64::from(CAMERA_SIZE.1) / height) * MARGIN;
    imageops::resize(picture, (width * scale).ceil() as u32, (height * scale).ceil() as u32, FilterType::Triangle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_camera_stays_inside_of_every_photograph() {
        for (width, height) in [(512, 512), (640, 427), (30, 400)] {
            let photograph = enlarged(&RgbImage::from_pixel(width, height, image::Rgb([7; 3])));
            for done in [0.0, 0.5, 1.0] {
                let mut image = vec![0; Frame::BYTES];
                see(&photograph, done, &mut image);
                assert!(image.iter().all(|byte| *byte == 7), "{width} x {height} at {done}");
            }
        }
    }
}
