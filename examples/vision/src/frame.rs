//! What the metadata of a message tells about the frame that it belongs to.

use dora_node_api::{MetadataParameters, Parameter, get_integer_param, get_string_param};
use eyre::OptionExt;

/// No frame is wider or higher than this, in pixels.
pub const CAMERA_SIZE: (u32, u32) = (640, 480);

/// A frame of the camera. Its pixels travel as data, all of this as parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Counts the frames of the camera from 0.
    pub number: i64,
    /// The file name of the photograph.
    pub name: String,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
}

impl Frame {
    /// The parameters of message number `message` of one output; numbers without a gap show what was lost on the way.
    pub fn parameters(&self, message: i64, encoding: &str) -> MetadataParameters {
        MetadataParameters::from([
            ("frame".to_owned(), Parameter::Integer(self.number)),
            ("name".to_owned(), Parameter::String(self.name.clone())),
            ("width".to_owned(), Parameter::Integer(self.width.into())),
            ("height".to_owned(), Parameter::Integer(self.height.into())),
            ("encoding".to_owned(), Parameter::String(encoding.to_owned())),
            ("message".to_owned(), Parameter::Integer(message)),
        ])
    }

    /// Reads the parameters back. Fails if one is missing.
    pub fn from_parameters(parameters: &MetadataParameters) -> eyre::Result<Self> {
        Ok(Self {
            number: get_integer_param(parameters, "frame").ok_or_eyre("no parameter `frame`")?,
            name: get_string_param(parameters, "name").ok_or_eyre("no parameter `name`")?.to_owned(),
            width: get_integer_param(parameters, "width").ok_or_eyre("no parameter `width`")?.try_into()?,
            height: get_integer_param(parameters, "height").ok_or_eyre("no parameter `height`")?.try_into()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_carry_the_whole_frame() {
        let frame = Frame { number: 7, name: "coffee.png".to_owned(), width: 600, height: 400 };
        assert_eq!(Frame::from_parameters(&frame.parameters(3, "rgb8")).unwrap(), frame);
        assert!(Frame::from_parameters(&MetadataParameters::new()).is_err());
    }
}
