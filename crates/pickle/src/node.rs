//! What a pickle holds: objects in one arena, that refer to one another by index.
//!
//! Objects that occur many times are stored once, and ones that contain
//! themselves are no trouble to build or to drop.

use std::borrow::Cow;

use num_bigint::{BigInt, Sign};

/// The widest integer that is written out. Its decimal digits cost the square of its width.
const MAX_INT_BITS: u64 = 4096;

/// Longer names of Python objects are cut short in messages.
const MAX_NAME_CHARS: usize = 80;

/// Where an object stands in the arena.
pub(super) type Id = u32;

/// One object. Two of them are equal where Python would find them equal, and
/// otherwise only where they have the very same elements.
#[derive(Debug, PartialEq)]
pub(super) enum Node<'a> {
    None,
    Bool(bool),
    Int(i64),
    /// An integer that does not fit `Int`.
    Big(Box<BigInt>),
    Float(f64),
    Text(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
    /// The bytes that a text stands for in Latin-1; converted when written, because many may share one text.
    Latin1(Id),
    Tuple(Vec<Id>),
    /// A list, set or frozenset.
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// A class or function, by name. Nothing ever looks it up.
    Global {
        module: Id,
        name: Id,
    },
    /// What Python would get from a class, or from a call of a function (`called`).
    Object {
        of: Id,
        called: bool,
    },
    /// Anything else that can't be written, and why.
    Unfit(&'static str),
}

impl<'a> Node<'a> {
    pub(super) const NOT_UNICODE: Self = Node::Unfit("holds text that is not valid Unicode");

    /// Text in UTF-8.
    pub(super) fn text(bytes: &'a [u8]) -> Self {
        str::from_utf8(bytes).map_or(Self::NOT_UNICODE, |text| Node::Text(text.into()))
    }

    pub(super) fn is_bytes(&self) -> bool {
        matches!(self, Node::Bytes(_) | Node::Latin1(_))
    }

    /// Whether there is data in it, and not only the name of an object.
    pub(super) fn is_plain(&self) -> bool {
        !matches!(
            self,
            Node::Global { .. } | Node::Object { .. } | Node::Unfit(_)
        )
    }

    /// An integer of any size.
    pub(super) fn int(value: BigInt) -> Self {
        match i64::try_from(&value) {
            Ok(value) => Node::Int(value),
            Err(_) if value.bits() <= MAX_INT_BITS => Node::Big(Box::new(value)),
            Err(_) => Node::Unfit("holds an integer that is too large"),
        }
    }

    /// An integer as little-endian two's complement.
    pub(super) fn int_from_bytes(bytes: &[u8]) -> Self {
        Self::int(BigInt::from_signed_bytes_le(bytes))
    }

    /// An integer in decimal; `None` if the text is not one.
    pub(super) fn int_from_text(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        // A digit is more than three bits: nothing that is turned away here would fit.
        if digits.len() as u64 > MAX_INT_BITS / 3 {
            return Some(Node::Unfit("holds an integer that is too large"));
        }
        text.parse().ok().map(Self::int)
    }

    /// A number as a float, the nearest finite one for an integer; `None` for anything else, a bool included.
    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Node::Int(value) => Some(*value as f64),
            // Beyond every time that matters here, so its sign says enough.
            Node::Big(value) if value.sign() == Sign::Minus => Some(f64::MIN),
            Node::Big(_) => Some(f64::MAX),
            Node::Float(value) => Some(*value),
            _ => None,
        }
    }
}

/// All objects of one pickle.
#[derive(Debug, Default)]
pub(super) struct Nodes<'a> {
    nodes: Vec<Node<'a>>,
    /// How often one was looked at, by which tests measure how much work was done.
    #[cfg(test)]
    pub(super) looks: std::cell::Cell<usize>,
}

impl<'a> Nodes<'a> {
    pub(super) fn get(&self, id: Id) -> &Node<'a> {
        #[cfg(test)]
        self.looks.update(|looks| looks + 1);
        &self.nodes[id as usize]
    }

    pub(super) fn get_mut(&mut self, id: Id) -> &mut Node<'a> {
        &mut self.nodes[id as usize]
    }

    /// Adds an object; `None` once there are more than indices.
    pub(super) fn add(&mut self, node: Node<'a>) -> Option<Id> {
        let id = Id::try_from(self.nodes.len()).ok()?;
        self.nodes.push(node);
        Some(id)
    }

    /// The text of an object that is one.
    pub(super) fn text(&self, id: Id) -> Option<&str> {
        match self.get(id) {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The module and name of a class or function.
    pub(super) fn global(&self, id: Id) -> Option<(&str, &str)> {
        match *self.get(id) {
            Node::Global { module, name } => Some((self.text(module)?, self.text(name)?)),
            _ => None,
        }
    }

    /// Why an object that is not plain data can't be written, to follow the words "the entry".
    pub(super) fn objection(&self, id: Id) -> String {
        match *self.get(id) {
            Node::Unfit(reason) => reason.into(),
            Node::Object { of, called: true } => format!(
                "would have Python call {}, which was not run",
                self.name(of)
            ),
            Node::Object { of, called: false } => self.not_plain(of),
            _ => self.not_plain(id),
        }
    }

    fn not_plain(&self, id: Id) -> String {
        format!(
            "holds a Python object ({}), which is not plain data",
            self.name(id)
        )
    }

    fn name(&self, id: Id) -> String {
        let Some((module, name)) = self.global(id) else {
            return "something without a name".into();
        };
        // The file chose the name, and it may end up on a terminal.
        let mut shown = [module, ".", name].into_iter().flat_map(str::chars);
        let mut name: String = shown
            .by_ref()
            .take(MAX_NAME_CHARS)
            .flat_map(char::escape_debug)
            .collect();
        if shown.next().is_some() {
            name.push('…');
        }
        name
    }
}
