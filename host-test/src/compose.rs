//! Composes components, as `wac` does, but leaves nothing open in silence.

use std::fmt;

use wac_graph::types::Package;
use wac_graph::{CompositionGraph, EncodeOptions, NodeId, PackageId};

/// What a host provides. All else that a component imports has to come from another component.
const HOST: [&str; 7] = [
    "wasi:cli/",
    "wasi:clocks/",
    "wasi:filesystem/",
    "wasi:http/",
    "wasi:io/",
    "wasi:random/",
    "wasi:sockets/",
];

/// Why components do not go together.
#[derive(Debug)]
pub struct Unfit(String);

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unfit {}

/// A component, and which of its exports go to which imports of another.
#[derive(Clone, Copy)]
pub struct Part<'a> {
    /// The component.
    pub component: &'a [u8],
    /// An export and an import each.
    pub wires: &'a [(&'a str, &'a str)],
}

/// Puts each of the plugs' exports where the socket imports something of that name, as `wac plug` does.
///
/// # Errors
///
/// [`Unfit`] where an export is not what the socket imports under that name, which `wac plug` passes over, where
/// nothing goes to a plug or to an import that is not the host's, or where something is not a component.
pub fn plug(socket: &[u8], plugs: &[&[u8]]) -> Result<Vec<u8>, Unfit> {
    let mut composition = Composition::new(socket)?;
    for plug in plugs {
        let plug = composition.add(plug)?;
        let exports: Vec<String> = composition.exports(plug.package);
        let names = exports.iter().map(String::as_str);
        let fitting: Vec<_> = names
            .filter(|name| composition.imports(name))
            .map(|name| (name, name))
            .collect();
        composition.connect(&plug, &fitting)?;
    }
    composition.finish()
}

/// Puts exports of these parts where the socket has these imports.
///
/// # Errors
///
/// As with [`plug`].
pub fn compose(socket: &[u8], parts: &[Part<'_>]) -> Result<Vec<u8>, Unfit> {
    let mut composition = Composition::new(socket)?;
    for part in parts {
        let instance = composition.add(part.component)?;
        composition.connect(&instance, part.wires)?;
    }
    composition.finish()
}

/// A socket, and what has been put into it.
struct Composition {
    graph: CompositionGraph,
    socket: Instance,
}

struct Instance {
    package: PackageId,
    node: NodeId,
}

impl Composition {
    fn new(socket: &[u8]) -> Result<Composition, Unfit> {
        let mut graph = CompositionGraph::new();
        let socket = instantiate(&mut graph, socket)?;
        Ok(Composition { graph, socket })
    }

    fn add(&mut self, component: &[u8]) -> Result<Instance, Unfit> {
        instantiate(&mut self.graph, component)
    }

    fn connect(&mut self, from: &Instance, wires: &[(&str, &str)]) -> Result<(), Unfit> {
        if wires.is_empty() {
            return Err(Unfit("a component exports nothing that is imported".into()));
        }
        for (export, import) in wires {
            let export = self
                .graph
                .alias_instance_export(from.node, export)
                .map_err(unfit)?;
            self.graph
                .set_instantiation_argument(self.socket.node, import, export)
                .map_err(unfit)?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<u8>, Unfit> {
        for name in self.exports(self.socket.package) {
            let export = self.graph.alias_instance_export(self.socket.node, &name);
            let exported = self.graph.export(export.map_err(unfit)?, &name);
            exported.map_err(unfit)?;
        }
        let mut imports = self.graph.imports().map(|(name, ..)| name);
        if let Some(open) = imports.find(|name| !HOST.iter().any(|host| name.starts_with(host))) {
            return Err(Unfit(format!("nothing was put where {open} is imported")));
        }
        self.graph.encode(EncodeOptions::default()).map_err(unfit)
    }

    fn exports(&self, package: PackageId) -> Vec<String> {
        let world = self.graph[package].ty();
        self.graph.types()[world].exports.keys().cloned().collect()
    }

    /// Whether the socket imports something of that name.
    fn imports(&self, name: &str) -> bool {
        let world = self.graph[self.socket.package].ty();
        self.graph.types()[world].imports.contains_key(name)
    }
}

fn instantiate(graph: &mut CompositionGraph, component: &[u8]) -> Result<Instance, Unfit> {
    // One component may be there twice.
    let name = format!("part:n{}", graph.packages().count());
    let package = Package::from_bytes(&name, None, component, graph.types_mut()).map_err(unfit)?;
    let package = graph.register_package(package).map_err(unfit)?;
    let node = graph.instantiate(package);
    Ok(Instance { package, node })
}

/// Tells an error with all that it says of its causes.
fn unfit(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Unfit {
    let error = error.into();
    let mut why = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        why = format!("{why}: {cause}");
        source = cause.source();
    }
    Unfit(why)
}
