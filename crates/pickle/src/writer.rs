//! Writes objects of a pickle as the keys and values of a cache.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::node::{Id, Node, Nodes};

/// How deep lists, tuples and dicts may be nested.
const MAX_DEPTH: usize = 128;

/// Why an object cannot be written, as a text that continues "the entry".
pub type Reason = String;
type Result<T, E = Reason> = std::result::Result<T, E>;

/// One key and value of a dict.
pub struct Item {
    /// The key as text. If the key cannot be written, the position of the item in the dict.
    pub key: String,
    pub value: Id,
    pub flaw: Option<Flaw>,
}

/// The fault of a key.
pub enum Flaw {
    Unfit(Reason),
    /// The key is written like an earlier, different key of the dict.
    Clash,
}

/// Writes objects. All of them together may take only so many bytes, because objects that share
/// other objects can stand for more text than any memory holds.
pub struct Writer<'a> {
    nodes: &'a Nodes<'a>,
    /// How many bytes may still be written.
    room: usize,
    /// The lists, tuples and dicts that are being written, the outermost first.
    path: Vec<Id>,
}

impl<'a> Writer<'a> {
    pub fn new(nodes: &'a Nodes<'a>, room: usize) -> Self {
        Self {
            nodes,
            room,
            path: Vec::new(),
        }
    }

    /// The items of a dict. As in Python, the last value of a key counts.
    ///
    /// If two different keys are written alike, the later item has a flaw. Inside an entry, the
    /// items end with the first flaw, because no item can be left out there.
    pub fn items(&mut self, pairs: &[(Id, Id)]) -> Vec<Item> {
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

    /// The bytes of a text or of bytes; any other object as JSON.
    pub fn value(&mut self, id: Id) -> Result<Vec<u8>> {
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

    /// Takes room for a reason that is kept. If there is no room, gives a shorter reason.
    pub fn reason(&mut self, reason: Reason) -> Reason {
        self.spend(reason.len()).err().unwrap_or(reason)
    }

    /// A text as it is; any other object as JSON.
    fn key(&mut self, id: Id) -> Result<String> {
        // An empty key takes work as well.
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
            Node::Tuple(items) | Node::List(items) | Node::Set(items) => {
                self.nested(id, |writer| {
                    writer.put("[", out)?;
                    for (position, &item) in items.iter().enumerate() {
                        if position > 0 {
                            writer.put(",", out)?;
                        }
                        writer.json(item, out)?;
                    }
                    writer.put("]", out)
                })
            }
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

    // These methods take room before they work, because the result may not fit.

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

    /// Writes the inside of a list, tuple or dict.
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

    /// Writes a key or value. The key or value of an entry gets half of the room, so that a huge
    /// entry leaves room for the entries after it.
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
