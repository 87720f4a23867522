//! The calls by which Python itself writes plain data. The reader knows them by name, and runs
//! none.
//!
//! A container that Python makes from another one takes its place, and is not copied: the file may
//! refer to it again and again. Python writes the other one for this call alone.

use std::borrow::Cow;
use std::mem;

use crate::node::{Id, Node, Nodes};

const NOT_PAIRS: Node<'static> = Node::Unfit("holds an OrderedDict whose items are not pairs");

/// The result of a call.
pub enum Outcome<'a> {
    New(Node<'a>),
    /// An argument is the result.
    Argument(Id),
}

/// The result of a call; `None` if the arguments are not a tuple. For a call that does not write
/// plain data, the result is an object that stands for it.
pub fn outcome<'a>(nodes: &mut Nodes<'a>, callee: Id, arguments: Id) -> Option<Outcome<'a>> {
    let Node::Tuple(arguments) = nodes.get(arguments) else {
        return None;
    };
    let (module, function) = nodes.global(callee).unwrap_or_default();
    let module = match module {
        "__builtin__" => "builtins",
        "copy_reg" => "copyreg",
        module => module,
    };
    let latin1 = |id| matches!(nodes.text(id), Some("latin1" | "latin-1"));
    let list = |id| matches!(nodes.get(id), Node::List(_));
    let dict = |id| matches!(nodes.get(id), Node::Dict(_));
    let limit = |id| matches!(nodes.get(id), Node::None | Node::Int(_));
    let node = match (module, function, arguments.as_slice()) {
        ("_codecs", "encode", &[text, encoding]) | ("builtins", "bytearray", &[text, encoding])
            if nodes.text(text).is_some() && latin1(encoding) =>
        {
            Node::Latin1(text)
        }
        ("builtins", "bytes" | "bytearray", []) => Node::Bytes(Cow::Borrowed(&[])),
        ("builtins", "bytearray", &[bytes]) if nodes.get(bytes).is_bytes() => {
            return Some(Outcome::Argument(bytes));
        }
        ("builtins", "set" | "frozenset", &[items])
            if list(items) || matches!(nodes.get(items), Node::Set(_)) =>
        {
            become_set(nodes, items);
            return Some(Outcome::Argument(items));
        }
        ("collections", "OrderedDict" | "defaultdict" | "Counter", []) => Node::Dict(Vec::new()),
        // Python 2 writes a list of pairs.
        ("collections", "OrderedDict", &[items]) if list(items) || dict(items) => {
            become_dict(nodes, items);
            return Some(Outcome::Argument(items));
        }
        // The factory makes values for missing keys. It is no part of the data.
        ("collections", "defaultdict", &[factory])
            if matches!(nodes.get(factory), Node::None | Node::Global { .. }) =>
        {
            Node::Dict(Vec::new())
        }
        ("collections", "Counter", &[counts]) if dict(counts) => {
            return Some(Outcome::Argument(counts));
        }
        ("collections", "deque", []) => Node::List(Vec::new()),
        ("collections", "deque", &[items]) if list(items) => {
            return Some(Outcome::Argument(items));
        }
        ("collections", "deque", &[items, most]) if list(items) && limit(most) => {
            return Some(Outcome::Argument(items));
        }
        ("collections", "deque", &[items, most])
            if matches!(nodes.get(items), Node::Tuple(none) if none.is_empty()) && limit(most) =>
        {
            Node::List(Vec::new())
        }
        // Protocols 0 and 1 make every object by this call.
        ("copyreg", "_reconstructor", &[class, base, state]) => {
            let is_tuple = matches!(
                nodes.global(base),
                Some(("__builtin__" | "builtins", "tuple"))
            );
            nodes.object(class, false, is_tuple.then_some(state))
        }
        ("copyreg", "_reconstructor", &[class, ..]) => nodes.object(class, false, None),
        _ => nodes.object(callee, true, None),
    };
    Some(Outcome::New(node))
}

/// Makes a set of a list, in its place.
fn become_set(nodes: &mut Nodes<'_>, id: Id) {
    let node = nodes.get_mut(id);
    if let Node::List(items) = node {
        *node = Node::Set(mem::take(items));
    }
}

/// Makes a dict of a list of pairs, in its place.
fn become_dict(nodes: &mut Nodes<'_>, id: Id) {
    if let Node::List(items) = nodes.get_mut(id) {
        let items = mem::take(items);
        let pairs: Option<_> = items.into_iter().map(|item| nodes.pair(item)).collect();
        *nodes.get_mut(id) = pairs.map_or(NOT_PAIRS, Node::Dict);
    }
}
