//! Composes components, as `wac` does, but reports every import that is left open.

use std::fmt;

use wac_graph::types::Package;
use wac_graph::{CompositionGraph, EncodeOptions, NodeId, PackageId};

/// The interfaces that a host provides. Another component has to provide all other imports.
const HOST: [&str; 7] = [
    "wasi:cli/",
    "wasi:clocks/",
    "wasi:filesystem/",
    "wasi:http/",
    "wasi:io/",
    "wasi:random/",
    "wasi:sockets/",
];

/// Why components cannot be composed.
#[derive(Debug)]
pub struct Unfit(String);

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unfit {}

/// A component, and which of its exports go to which imports of the socket.
#[derive(Clone, Copy)]
pub struct Part<'a> {
    /// The component.
    pub component: &'a [u8],
    /// Pairs of an export of this component and an import of the socket.
    pub wires: &'a [(&'a str, &'a str)],
}

/// Connects each export of the plugs to the socket's import of the same name, as `wac plug` does.
///
/// # Errors
///
/// If something is not a component, or a plug has no export that the socket imports. If an export
/// differs from the import of the same name (`wac plug` ignores this). If an import stays open that
/// the host does not provide.
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

/// Connects exports of these parts to imports of the socket.
///
/// # Errors
///
/// As for [`plug`], but with the names in [`Part::wires`].
pub fn compose(socket: &[u8], parts: &[Part<'_>]) -> Result<Vec<u8>, Unfit> {
    let mut composition = Composition::new(socket)?;
    for part in parts {
        let instance = composition.add(part.component)?;
        composition.connect(&instance, part.wires)?;
    }
    composition.finish()
}

/// A socket, and the components that are connected to it.
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

    /// Whether the socket has an import of this name.
    fn imports(&self, name: &str) -> bool {
        let world = self.graph[self.socket.package].ty();
        self.graph.types()[world].imports.contains_key(name)
    }
}

fn instantiate(graph: &mut CompositionGraph, component: &[u8]) -> Result<Instance, Unfit> {
    // The same component may be part of a composition twice.
    let name = format!("part:n{}", graph.packages().count());
    let package = Package::from_bytes(&name, None, component, graph.types_mut()).map_err(unfit)?;
    let package = graph.register_package(package).map_err(unfit)?;
    let node = graph.instantiate(package);
    Ok(Instance { package, node })
}

/// The text of an error and of all its causes.
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
