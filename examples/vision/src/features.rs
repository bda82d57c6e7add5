//! Finds the edges (Canny) and the corners (FAST) of each picture.

use dora_node_api::{DoraNode, Event};
use eyre::OptionExt;
use image::{GrayImage, ImageBuffer, Rgb};
use imageproc::corners::{Corner, corners_fast9};
use imageproc::edges::canny;
use vision_example::frame::{CAMERA_SIZE, Frame};

/// Corners closer to each other than this, in pixels, are one corner.
const CORNER_SPACING: u32 = 8;
/// As many corners are kept, the strongest first.
const MOST_CORNERS: usize = 300;

fn main() -> eyre::Result<()> {
    let (mut node, mut events) = DoraNode::init_from_env()?;
    let mut looked_at = 0;
    while let Some(event) = events.recv() {
        match event {
            Event::Input { metadata, data, .. } => {
                let frame = Frame::from_parameters(&metadata.parameters)?;
                let gray = in_gray((&data).try_into()?)?;
                let edges = canny(&gray, 40.0, 90.0);
                node.send_output_bytes("edges".into(), frame.parameters("mono8"), edges.len(), &edges)?;
                node.send_output("corners".into(), frame.parameters("points"), strongest_corners(&gray))?;
                looked_at += 1;
            }
            Event::Stop(_) => break,
            _ => {}
        }
    }
    println!("looked at {looked_at} frames");
    Ok(())
}

/// Looks at the pixels where they are, without a copy, and turns them to gray.
fn in_gray(pixels: &[u8]) -> eyre::Result<GrayImage> {
    let picture = ImageBuffer::<Rgb<u8>, &[u8]>::from_raw(CAMERA_SIZE.0, CAMERA_SIZE.1, pixels);
    let picture = picture.ok_or_eyre("the picture has fewer bytes than its width and height say")?;
    Ok(image::imageops::grayscale(&picture))
}

/// The strongest corners, spread over the picture: x, y, x, y, ...
fn strongest_corners(gray: &GrayImage) -> Vec<u32> {
    let mut corners = corners_fast9(gray, 35);
    corners.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut kept: Vec<Corner> = Vec::new();
    for corner in corners {
        let is_new = |other: &Corner| {
            corner.x.abs_diff(other.x) >= CORNER_SPACING || corner.y.abs_diff(other.y) >= CORNER_SPACING
        };
        if kept.len() < MOST_CORNERS && kept.iter().all(is_new) {
            kept.push(corner);
        }
    }
    kept.iter().flat_map(|corner| [corner.x, corner.y]).collect()
}
