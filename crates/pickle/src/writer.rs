//! Objects of a pickle as the keys and values of a cache.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::node::{Id, Node, Nodes};

/// How many lists, tuples and dicts may be inside one another.
const MAX_DEPTH: usize = 128;

/// Why something can't be written, to follow the words "the entry".
pub(super) type Reason = String;
type Result<T, E = Reason> = std::result::Result<T, E>;

/// One key and value of a dict.
pub(super) struct Item {
    /// The key as text; where that can't be had, where the item stands in the dict.
    pub(super) key: String,
    pub(super) value: Id,
    pub(super) flaw: Option<Flaw>,
}

/// What may be wrong with the key of an item.
pub(super) enum Flaw {
    Unfit(Reason),
    /// It is written like an earlier, different key of the dict.
    Clash,
}

/// Writes objects, all of them together at most so much text, as objects that
/// share others can stand for far more of it than any memory holds.
pub(super) struct Writer<'a> {
    nodes: &'a Nodes<'a>,
    /// How much may still be written.
    room: usize,
    /// The lists, tuples and dicts being written, from the outermost in.
    path: Vec<Id>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(nodes: &'a Nodes<'a>, room: usize) -> Self {
        Self {
            nodes,
            room,
            path: Vec::new(),
        }
    }

    /// The items of a dict as Python would have them: of equal keys, the last value.
    ///
    /// Keys that differ but are written alike are a flaw of the later item. Inside of an entry
    /// the first flaw ends it, as none can be left out there.
    pub(super) fn items(&mut self, pairs: &[(Id, Id)]) -> Vec<Item> {
        let mut items: Vec<Item> = Vec::new();
        let mut seen = HashMap::new();
        for (position, &(key_id, value)) in pairs.iter().enumerate() {
            let (key, flaw) = match self.share(|writer| writer.key(key_id)) {
                Ok(key) => match seen.entry(key.clone()) {
                    Slot::Vacant(slot) => {
                        slot.insert((key_id, items.len()));
                        (key, None)
                    }
                    Slot::Occupied(slot) => {
                        let (earlier, index) = *slot.get();
                        if self.nodes.get(earlier) == self.nodes.get(key_id) {
                            items[index].value = value;
                            continue;
                        }
                        (key, Some(Flaw::Clash))
                    }
                },
                Err(reason) => {
                    let reason = self.reason(reason);
                    (format!("item {}", position + 1), Some(Flaw::Unfit(reason)))
                }
            };
            let flawed = flaw.is_some();
            items.push(Item { key, value, flaw });
            if flawed && !self.path.is_empty() {
                break;
            }
        }
        items
    }

    /// The bytes of text or bytes, and anything else as JSON.
    pub(super) fn value(&mut self, id: Id) -> Result<Vec<u8>> {
        self.share(|writer| match writer.nodes.get(id) {
            Node::Text(text) => {
                writer.spend(text.len())?;
                Ok(text.as_bytes().to_vec())
            }
            Node::Bytes(bytes) => {
                writer.spend(bytes.len())?;
                Ok(bytes.to_vec())
            }
            Node::Latin1(text) => writer.latin1(*text),
            _ => {
                let mut json = String::new();
                writer.json(id, &mut json)?;
                Ok(json.into_bytes())
            }
        })
    }

    /// A reason to be kept, in few words if there is no room for it.
    pub(super) fn reason(&mut self, reason: Reason) -> Reason {
        self.spend(reason.len()).err().unwrap_or(reason)
    }

    /// A text as it is, and anything else as JSON.
    fn key(&mut self, id: Id) -> Result<String> {
        // An empty key is work as well.
        self.spend(1)?;
        let mut key = String::new();
        match self.nodes.get(id) {
            Node::Text(text) => self.put(text, &mut key)?,
            _ => self.json(id, &mut key)?,
        }
        Ok(key)
    }

    fn json(&mut self, id: Id, out: &mut String) -> Result<()> {
        match self.nodes.get(id) {
            Node::None => self.put("null", out),
            Node::Bool(value) => self.put(&value.to_string(), out),
            Node::Int(value) => self.put(&value.to_string(), out),
            Node::Big(value) => self.put(&value.to_string(), out),
            Node::Float(value) if value.is_finite() => self.put(&format!("{value:?}"), out),
            Node::Float(value) => Err(format!("holds {value}, for which JSON has no number")),
            Node::Text(text) => self.string(text, out),
            Node::Bytes(bytes) => self.base64(bytes, out),
            Node::Latin1(text) => {
                let bytes = self.latin1(*text)?;
                self.base64(&bytes, out)
            }
            Node::Tuple(items) | Node::List(items) => self.nested(id, |writer| {
                writer.put("[", out)?;
                for (position, &item) in items.iter().enumerate() {
                    if position > 0 {
                        writer.put(",", out)?;
                    }
                    writer.json(item, out)?;
                }
                writer.put("]", out)
            }),
            Node::Dict(pairs) => self.nested(id, |writer| {
                writer.put("{", out)?;
                for (position, item) in writer.items(pairs).into_iter().enumerate() {
                    match item.flaw {
                        None => {}
                        Some(Flaw::Unfit(reason)) => return Err(reason),
                        Some(Flaw::Clash) => {
                            return Err(
                                "holds a dict with different keys that are written alike".into()
                            );
                        }
                    }
                    if position > 0 {
                        writer.put(",", out)?;
                    }
                    writer.string(&item.key, out)?;
                    writer.put(":", out)?;
                    writer.json(item.value, out)?;
                }
                writer.put("}", out)
            }),
            Node::Global { .. } | Node::Object { .. } | Node::Unfit(_) => {
                Err(self.nodes.objection(id))
            }
        }
    }

    // The two below pay for the work first, as what it comes to may turn out not to fit.

    fn string(&mut self, text: &str, out: &mut String) -> Result<()> {
        self.spend(text.len())?;
        self.put(&serde_json::Value::from(text).to_string(), out)
    }

    fn base64(&mut self, bytes: &[u8], out: &mut String) -> Result<()> {
        self.spend(bytes.len())?;
        let text = STANDARD.encode(bytes);
        self.put(&format!("{{\"base64\":\"{text}\"}}"), out)
    }

    fn latin1(&mut self, text: Id) -> Result<Vec<u8>> {
        let text = self.nodes.text(text).unwrap_or_default();
        self.spend(text.len())?;
        let bytes: Result<_, _> = text.chars().map(u8::try_from).collect();
        bytes.map_err(|_| "holds bytes with a character beyond Latin-1".into())
    }

    /// Goes one level in.
    fn nested(&mut self, id: Id, write: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        if self.path.contains(&id) {
            return Err("holds something that contains itself".into());
        }
        if self.path.len() == MAX_DEPTH {
            return Err("is nested too deeply".into());
        }
        self.path.push(id);
        write(self)?;
        self.path.pop();
        Ok(())
    }

    /// Writes a key or value, within half of the room if it is an entry's own,
    /// so that one monster leaves some to the entries after it.
    fn share<T>(&mut self, write: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let depth = self.path.len();
        let kept = if depth == 0 { self.room / 2 } else { 0 };
        self.room -= kept;
        let written = write(self);
        self.room += kept;
        self.path.truncate(depth);
        written
    }

    fn put(&mut self, text: &str, out: &mut String) -> Result<()> {
        self.spend(text.len())?;
        out.push_str(text);
        Ok(())
    }

    fn spend(&mut self, length: usize) -> Result<()> {
        let left = self.room.checked_sub(length);
        self.room = left.ok_or("would be far larger than the file that it is in")?;
        Ok(())
    }
}
