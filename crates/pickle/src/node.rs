//! The objects of a pickle, in one arena. They refer to each other by index.
//!
//! An object that occurs many times is stored once. An object that contains itself can be built and
//! dropped like any other.

use std::borrow::Cow;

use num_bigint::{BigInt, Sign};

/// The widest integer that is written out. Writing it in decimal takes time in the square of its
/// width.
const MAX_INT_BITS: u64 = 4096;

/// Messages show this many characters of the name of a Python object.
const MAX_NAME_CHARS: usize = 80;

/// The index of an object in the arena.
pub type Id = u32;

/// One object. Two scalars are equal if Python finds them equal. Two containers are equal only if
/// they hold the very same objects.
#[derive(Debug, PartialEq)]
pub enum Node<'a> {
    None,
    Bool(bool),
    Int(i64),
    /// An integer that does not fit `Int`.
    Big(Box<BigInt>),
    Float(f64),
    Text(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
    /// The bytes that a text stands for in Latin-1. They are converted only when they are written,
    /// because many objects may share one text.
    Latin1(Id),
    Tuple(Vec<Id>),
    /// A list or deque.
    List(Vec<Id>),
    /// A set or frozenset.
    Set(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// A class or function, by name. The reader never looks it up.
    Global {
        module: Id,
        name: Id,
    },
    /// An object that Python would make from a class, or by a call of a function (`called`).
    Object {
        of: Id,
        called: bool,
        /// The tuple that holds all of the object, as far as the file says, if there is one.
        items: Option<Id>,
    },
    /// Any other object that cannot be written, with the reason.
    Unfit(&'static str),
}

impl<'a> Node<'a> {
    pub const NOT_UNICODE: Self = Node::Unfit("holds text that is not valid Unicode");

    /// Text in UTF-8.
    pub fn text(bytes: &'a [u8]) -> Self {
        str::from_utf8(bytes).map_or(Self::NOT_UNICODE, |text| Node::Text(text.into()))
    }

    pub fn is_bytes(&self) -> bool {
        matches!(self, Node::Bytes(_) | Node::Latin1(_))
    }

    /// Whether it is data, and not only the name of an object.
    pub fn is_plain(&self) -> bool {
        !matches!(
            self,
            Node::Global { .. } | Node::Object { .. } | Node::Unfit(_)
        )
    }

    /// An integer of any size.
    pub fn int(value: BigInt) -> Self {
        match i64::try_from(&value) {
            Ok(value) => Node::Int(value),
            Err(_) if value.bits() <= MAX_INT_BITS => Node::Big(Box::new(value)),
            Err(_) => Node::Unfit("holds an integer that is too large"),
        }
    }

    /// An integer as little-endian two's complement.
    pub fn int_from_bytes(bytes: &[u8]) -> Self {
        Self::int(BigInt::from_signed_bytes_le(bytes))
    }

    /// An integer in decimal; `None` if the text is not one.
    pub fn int_from_text(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        // A digit takes more than three bits, so no integer that is refused here would fit.
        if digits.len() as u64 > MAX_INT_BITS / 3 {
            return Some(Node::Unfit("holds an integer that is too large"));
        }
        text.parse().ok().map(Self::int)
    }

    /// A number as a float; for an integer the nearest finite float. `None` for any other object, a
    /// bool included.
    pub fn number(&self) -> Option<f64> {
        match self {
            Node::Int(value) => Some(*value as f64),
            // Times are far smaller, so only the sign matters.
            Node::Big(value) if value.sign() == Sign::Minus => Some(f64::MIN),
            Node::Big(_) => Some(f64::MAX),
            Node::Float(value) => Some(*value),
            _ => None,
        }
    }
}

/// All objects of one pickle.
#[derive(Debug, Default)]
pub struct Nodes<'a> {
    nodes: Vec<Node<'a>>,
    /// How often `get` was called. Tests measure the work of an import by it.
    #[cfg(test)]
    pub looks: std::cell::Cell<usize>,
}

impl<'a> Nodes<'a> {
    pub fn get(&self, id: Id) -> &Node<'a> {
        #[cfg(test)]
        self.looks.update(|looks| looks + 1);
        &self.nodes[id as usize]
    }

    pub fn get_mut(&mut self, id: Id) -> &mut Node<'a> {
        &mut self.nodes[id as usize]
    }

    /// Adds an object; `None` if there are more objects than indices.
    pub fn add(&mut self, node: Node<'a>) -> Option<Id> {
        let id = Id::try_from(self.nodes.len()).ok()?;
        self.nodes.push(node);
        Some(id)
    }

    /// The text, if the object is a text.
    pub fn text(&self, id: Id) -> Option<&str> {
        match self.get(id) {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The two items of a tuple or list of two.
    pub fn pair(&self, id: Id) -> Option<(Id, Id)> {
        match self.get(id) {
            Node::Tuple(items) | Node::List(items) => match **items {
                [first, second] => Some((first, second)),
                _ => None,
            },
            _ => None,
        }
    }

    /// Stands for an object of a class, or for the result of a function.
    pub fn object(&self, of: Id, called: bool, items: Option<Id>) -> Node<'a> {
        let (of, items) = match *self.get(of) {
            // An object that another such object would make keeps the only known name.
            Node::Object { of, .. } => (of, None),
            _ => (of, items),
        };
        Node::Object { of, called, items }
    }

    /// The module and name of a class or function.
    pub fn global(&self, id: Id) -> Option<(&str, &str)> {
        match *self.get(id) {
            Node::Global { module, name } => Some((self.text(module)?, self.text(name)?)),
            _ => None,
        }
    }

    /// Why an object that is not plain data cannot be written, as a text that continues "the
    /// entry".
    pub fn objection(&self, id: Id) -> String {
        match *self.get(id) {
            Node::Unfit(reason) => reason.into(),
            Node::Object {
                of, called: true, ..
            } => format!(
                "would have Python call {}, which was not run",
                self.name(of)
            ),
            Node::Object { of, .. } => self.not_plain(of),
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
            return "an unnamed object".into();
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
