//! Draws what was found onto the photographs and puts them together on one sheet.

use image::imageops::overlay;
use image::{Rgb, RgbImage};

use crate::frame::CAMERA_SIZE;

const COLUMNS: usize = 3;
const EDGE_COLOUR: Rgb<u8> = Rgb([255, 196, 0]);
const CORNER_COLOUR: Rgb<u8> = Rgb([0, 255, 90]);
/// Half the length of the cross on a corner, in pixels.
const CROSS: u32 = 4;

/// Draws edges (one byte per pixel, not 0 on an edge) and corners (x, y, x, y, ...) onto a photograph.
pub fn annotate(picture: &mut RgbImage, edges: &[u8], corners: &[u32]) {
    for (pixel, edge) in picture.pixels_mut().zip(edges) {
        if *edge != 0 {
            *pixel = EDGE_COLOUR;
        }
    }
    let (width, height) = picture.dimensions();
    for corner in corners.chunks_exact(2) {
        let (x, y) = (corner[0], corner[1]);
        for along in 0..=2 * CROSS {
            for (x, y) in [((x + along).wrapping_sub(CROSS), y), (x, (y + along).wrapping_sub(CROSS))] {
                if x < width && y < height {
                    picture.put_pixel(x, y, CORNER_COLOUR);
                }
            }
        }
    }
}

/// Puts pictures of at most the size of the camera side by side.
pub fn sheet<'a>(pictures: impl ExactSizeIterator<Item = &'a RgbImage>) -> RgbImage {
    let columns = pictures.len().clamp(1, COLUMNS);
    let rows = pictures.len().div_ceil(columns).max(1);
    let (tile_width, tile_height) = CAMERA_SIZE;
    let mut sheet = RgbImage::new(tile_width * columns as u32, tile_height * rows as u32);
    for (index, picture) in pictures.enumerate() {
        let (column, row) = ((index % columns) as i64, (index / columns) as i64);
        let left = column * i64::from(tile_width) + (i64::from(tile_width) - i64::from(picture.width())) / 2;
        let top = row * i64::from(tile_height) + (i64::from(tile_height) - i64::from(picture.height())) / 2;
        overlay(&mut sheet, picture, left, top);
    }
    sheet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_and_corners_are_drawn_inside_the_picture_only() {
        let mut picture = RgbImage::new(10, 10);
        let mut edges = [0; 100];
        edges[99] = 255;
        annotate(&mut picture, &edges, &[0, 0]);
        assert_eq!(picture.get_pixel(9, 9), &EDGE_COLOUR);
        assert_eq!(picture.get_pixel(CROSS, 0), &CORNER_COLOUR);
        assert_eq!(picture.get_pixel(0, CROSS), &CORNER_COLOUR);
        assert_eq!(picture.get_pixel(5, 5), &Rgb([0, 0, 0]));
    }

    #[test]
    fn a_sheet_has_three_columns() {
        let pictures = vec![RgbImage::new(300, 200); 4];
        assert_eq!(sheet(pictures.iter()).dimensions(), (3 * CAMERA_SIZE.0, 2 * CAMERA_SIZE.1));
        assert_eq!(sheet(pictures[..1].iter()).dimensions(), CAMERA_SIZE);
    }
}
