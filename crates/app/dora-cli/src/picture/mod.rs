//! A dataflow as one HTML file that shows it and needs nothing else: no network, no library, no second file.
//!
//! `scene` says what is drawn (cards, chips, wires), `layout` where, `svg` how; `page.html`, `style.css` and `script.js`
//! are what surrounds it. Without JavaScript the picture is still whole; with it one can move, zoom and ask for details.

mod layout;
mod scene;
mod svg;

use dora_descriptor::Dataflow;
use scene::Scene;

/// The picture of `dataflow` as an HTML page. Values of environment variables do not appear in it.
pub(crate) fn html(dataflow: &Dataflow, title: &str) -> String {
    let scene = Scene::of(dataflow);
    let placement = layout::place(&scene.shapes(), &scene.connections());
    let details = serde_json::Value::Object(scene.details());
    let count = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    include_str!("page.html")
        .replace("{{style}}", include_str!("style.css").trim_end())
        .replace("{{script}}", include_str!("script.js").trim_end())
        .replace("{{legend}}", &svg::legend(&scene))
        .replace("{{nodes}}", &count(scene.node_count(), "node"))
        .replace("{{edges}}", &count(scene.edge_count(), "edge"))
        // What comes from the file is filled in last, so that nothing in it is taken for a place to fill.
        .replace("{{picture}}", &svg::picture(&scene, &placement))
        // `<` would end the script element early.
        .replace("{{details}}", &details.to_string().replace('<', "\\u003c"))
        .replace("{{title}}", &svg::escape(title))
}
