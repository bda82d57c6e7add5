//! What the metadata of a message tells about the frame that it belongs to.

use dora_node_api::{MetadataParameters, Parameter, get_integer_param, get_string_param};
use eyre::OptionExt;

/// Width and height of every frame, in pixels.
pub const CAMERA_SIZE: (u32, u32) = (640, 480);

/// A frame of the camera. Its pixels travel as data, all of this as parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Counts the frames of the camera from 0.
    pub number: i64,
    /// The file name of the photograph.
    pub name: String,
}

impl Frame {
    /// Of its pixels: red, green and blue.
    pub const BYTES: usize = 3 * (CAMERA_SIZE.0 * CAMERA_SIZE.1) as usize;

    /// The parameters of a message about this frame.
    pub fn parameters(&self, encoding: &str) -> MetadataParameters {
        MetadataParameters::from([
            ("frame".to_owned(), Parameter::Integer(self.number)),
            ("name".to_owned(), Parameter::String(self.name.clone())),
            ("width".to_owned(), Parameter::Integer(CAMERA_SIZE.0.into())),
            ("height".to_owned(), Parameter::Integer(CAMERA_SIZE.1.into())),
            ("encoding".to_owned(), Parameter::String(encoding.to_owned())),
        ])
    }

    /// Reads the parameters back. Fails if one is missing.
    pub fn from_parameters(parameters: &MetadataParameters) -> eyre::Result<Self> {
        Ok(Self {
            number: get_integer_param(parameters, "frame").ok_or_eyre("no parameter `frame`")?,
            name: get_string_param(parameters, "name").ok_or_eyre("no parameter `name`")?.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_carry_the_whole_frame() {
        let frame = Frame { number: 7, name: "coffee.png".to_owned() };
        assert_eq!(Frame::from_parameters(&frame.parameters("rgb8")).unwrap(), frame);
        assert!(Frame::from_parameters(&MetadataParameters::new()).is_err());
    }
}
