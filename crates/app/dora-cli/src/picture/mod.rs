//! A dataflow as one HTML file that shows it and needs nothing else: no network, no library, no second file.
//!
//! `scene` says what is drawn (cards, chips, wires), `layout` where, `svg` how; `page.html`, `style.css` and `script.js`
//! are what surrounds it. Without JavaScript the picture is still whole; with it one can move, zoom and ask for details.

mod layout;
mod scene;
mod svg;

use dora_descriptor::Dataflow;
use scene::Scene;

use crate::{fill::fill, words::counted};

/// The picture of `dataflow` as an HTML page. Values of environment variables do not appear in it.
pub(crate) fn html(dataflow: &Dataflow, title: &str) -> String {
    let scene = Scene::of(dataflow);
    let placement = layout::place(&scene.shapes(), &scene.connections());
    let details = serde_json::Value::Object(scene.details());
    fill(
        include_str!("page.html"),
        &[
            ("title", &svg::escape(title)),
            ("style", include_str!("style.css").trim_end()),
            ("picture", &svg::picture(&scene, &placement)),
            ("nodes", &counted(scene.node_count(), "node")),
            ("edges", &counted(scene.edge_count(), "edge")),
            ("legend", &svg::legend(&scene)),
            // `<` would end the script element early.
            ("details", &details.to_string().replace('<', "\\u003c")),
            ("script", include_str!("script.js").trim_end()),
        ],
    )
}
