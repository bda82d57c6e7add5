//! Type annotations: whether types exist, and whether what is sent fits what is expected.
//!
//! All of it is a lint: findings are warnings, which strict types make errors of. Edges without annotations carry
//! anything.

use std::{collections::HashMap, path::Path};

use dora_message::id::{DataId, NodeId};

use crate::{
    diagnostic::{Code, Diagnostic},
    load::{InferredType, Session},
    model::{Dataflow, Input, Node, Source},
    places::{Part, Places},
    types::{Registry, Rules, TIMER, Urn},
};

/// Checks all annotations. Gives the types that inputs get from outputs.
pub(crate) fn types(
    dataflow: &Dataflow,
    places: &Places,
    dir: &Path,
    strict: bool,
    session: &mut Session<'_>,
) -> Vec<InferredType> {
    let annotated = |node: &Node| {
        node.inputs.values().any(|input| input.type_urn.is_some())
            || node.outputs.values().any(|output| output.type_urn.is_some())
    };
    if !dataflow.nodes.iter().any(annotated) {
        return Vec::new();
    }
    let mut registry = Registry::standard();
    registry.add_user_types(dir, session);
    let nodes = dataflow.nodes.iter().map(|node| (&node.id, node)).collect();
    let mut check = Check {
        nodes,
        places,
        registry,
        rules: Rules::new(&dataflow.type_rules),
        strict,
        session,
        inferred: Vec::new(),
    };
    for node in &dataflow.nodes {
        check.node(node);
    }
    check.inferred
}

struct Check<'c, 's> {
    nodes: HashMap<&'c NodeId, &'c Node>,
    places: &'c Places,
    registry: Registry,
    rules: Rules<'c>,
    strict: bool,
    session: &'c mut Session<'s>,
    inferred: Vec<InferredType>,
}

impl<'c> Check<'c, '_> {
    fn node(&mut self, node: &'c Node) {
        for (id, output) in &node.outputs {
            if let Some(urn) = &output.type_urn {
                self.known(urn, &node.id, Part::OutputType(id.clone()));
            }
        }
        for (id, input) in &node.inputs {
            let expected = match &input.type_urn {
                Some(urn) => match self.known(urn, &node.id, Part::InputType(id.clone())) {
                    Some(urn) => Some(urn),
                    None => continue,
                },
                None => None,
            };
            self.edge(node, id, input, expected);
        }
    }

    /// The name, if there is such a type.
    fn known<'u>(&mut self, text: &'u str, node: &NodeId, part: Part) -> Option<Urn<'u>> {
        let (message, help) = match Urn::parse(text) {
            None => (
                format!("`{text}` is no name of a type"),
                Some("write for example `std/media/v1/Image` or `std/media/v1/AudioFrame[sample_type=f32]`".to_owned()),
            ),
            Some(urn) if self.registry.contains(&urn) => return Some(urn),
            Some(urn) => {
                let near = self.registry.suggest(&urn).map(|near| format!("did you mean `{near}`?"));
                let help = near.unwrap_or_else(|| "define it in a file below `types/` beside the dataflow".to_owned());
                (format!("there is no type `{text}`"), Some(help))
            }
        };
        let span = self.places.part(node, &part);
        self.session.sink.push(Diagnostic::warning(Code::Type, span, message).maybe_help(help));
        None
    }

    fn edge(&mut self, node: &Node, id: &DataId, input: &Input, expected: Option<Urn<'_>>) {
        let (sent, from) = match &input.source {
            Source::Logs { .. } => return,
            Source::Timer { .. } => (Some(TIMER), "the timer".to_owned()),
            Source::Node { node: producer, output } => {
                let port = self.nodes.get(producer).and_then(|producer| producer.outputs.get(output));
                (port.and_then(|port| port.type_urn.as_deref()), format!("`{producer}/{output}`"))
            }
        };
        let span = self.places.part(&node.id, &Part::InputType(id.clone()));
        match (sent, expected) {
            (Some(text), Some(expected)) => {
                // A name that means nothing was reported where it stands.
                let Some(sent) = Urn::parse(text).filter(|sent| self.registry.contains(sent)) else { return };
                if !self.rules.fits(&sent, &expected) {
                    let difference = self.registry.difference(&sent, &expected);
                    let detail = difference.map(|difference| format!(": {difference}")).unwrap_or_default();
                    let mut diagnostic = Diagnostic::warning(
                        Code::Type,
                        span,
                        format!("{from} sends `{text}`, which is not what this input expects{detail}"),
                    )
                    .help("change one of the two, or add the pair to `type_rules:` if it is fine");
                    if let Source::Node { node, output } = &input.source {
                        let other = self.places.part(node, &Part::OutputType(output.clone()));
                        diagnostic = diagnostic.also(other, "sent here");
                    }
                    self.session.sink.push(diagnostic);
                }
            }
            (Some(text), None) => {
                if let Source::Node { node: producer, output } = &input.source {
                    self.inferred.push(InferredType {
                        node: node.id.clone(),
                        input: id.to_string(),
                        type_urn: text.to_owned(),
                        from: format!("{producer}/{output}"),
                    });
                }
            }
            (None, Some(_)) if self.strict => {
                let message = format!("{from} does not say what it sends");
                self.session
                    .sink
                    .push(Diagnostic::warning(Code::Type, span, message).help("add it to `output_types:` there"));
            }
            (None, _) => {}
        }
    }
}
