//! Types of messages: names such as `std/media/v1/Image[encoding=rgb8]`, what they stand for, which fits which.

mod registry;
mod standard;
mod urn;

pub(crate) use registry::Registry;
pub(crate) use urn::{Rules, Urn};

/// Type of a timer's messages, for comparing with what an input expects.
pub(crate) const TIMER: &str = "std/core/v1/UInt64";

/// The Arrow type of a standard type that is no struct, by the name that a dataflow file gives it; spelled as `arrow`
/// serializes it.
///
/// ```
/// assert_eq!(dora_descriptor::primitive("std/core/v1/String"), Some("Utf8"));
/// assert_eq!(dora_descriptor::primitive("std/math/v1/Pose"), None);
/// ```
pub fn primitive(urn: &str) -> Option<&'static str> {
    let (package, name) = Urn::parse(urn)?.base.rsplit_once('/')?;
    let (_, types) = standard::PACKAGES.into_iter().find(|(known, _)| *known == package)?;
    let (_, arrow, _) = types.iter().find(|(known, _, fields)| *known == name && fields.is_empty())?;
    Some(arrow)
}
