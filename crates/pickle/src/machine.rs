//! The machine that runs a pickle, reduced to the instructions that build data.
//!
//! Each instruction takes time and memory in proportion to its own bytes.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::calls::{self, Outcome};
use crate::error::PickleError;
use crate::literal;
use crate::node::{Id, Node, Nodes};

/// The newest pickle protocol of Python.
const MAX_PROTOCOL: u8 = 5;

const TRUNCATED: Reason = Cow::Borrowed("the file ends too soon");
const TOO_MANY: Reason = Cow::Borrowed("too many objects");
const BAD_NUMBER: Reason = Cow::Borrowed("malformed number");

type Reason = Cow<'static, str>;
type Result<T, E = Reason> = std::result::Result<T, E>;

/// Runs a pickle. Gives all objects that it made, and the object that the pickle stands for.
pub fn run(file: &[u8]) -> Result<(Nodes<'_>, Id), PickleError> {
    let mut machine = Machine {
        file,
        ..Machine::default()
    };
    loop {
        let offset = machine.at;
        match machine.step() {
            Ok(None) => {}
            Ok(Some(root)) => return Ok((machine.nodes, root)),
            Err(reason) => {
                let reason = reason.into_owned();
                return Err(PickleError::Malformed { offset, reason });
            }
        }
    }
}

#[derive(Default)]
struct Machine<'a> {
    file: &'a [u8],
    at: usize,
    nodes: Nodes<'a>,
    stack: Vec<Id>,
    /// The height of the stack at each mark.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

impl<'a> Machine<'a> {
    /// Runs one instruction. The last instruction gives the result of the pickle.
    fn step(&mut self) -> Result<Option<Id>> {
        let code = self.byte()?;
        match code {
            // STOP
            b'.' => return self.pop().map(Some),
            // PROTO
            0x80 => match self.byte()? {
                0..=MAX_PROTOCOL => {}
                newer => return Err(format!("protocol {newer} is not known").into()),
            },
            // FRAME: it helps readers that do not hold the whole file.
            0x95 => {
                self.array::<8>()?;
            }
            // MARK
            b'(' => self.marks.push(self.stack.len()),
            // POP, which takes a mark if it is on top
            b'0' if self.marks.last() == Some(&self.stack.len()) => {
                self.marks.pop();
            }
            b'0' => {
                self.pop()?;
            }
            // POP_MARK
            b'1' => {
                self.pop_mark()?;
            }
            // DUP
            b'2' => self.stack.push(self.top()?),
            // PUT, BINPUT, LONG_BINPUT, MEMOIZE
            b'p' | b'q' | b'r' | 0x94 => {
                let key = self.memo_key(code)?;
                self.memo.insert(key, self.top()?);
            }
            // GET, BINGET, LONG_BINGET
            b'g' | b'h' | b'j' => {
                let key = self.memo_key(code)?;
                let object = self.memo.get(&key);
                let &id = object.ok_or_else(|| format!("the memo has nothing at {key}"))?;
                self.stack.push(id);
            }
            // APPEND
            b'a' => {
                let item = self.pop()?;
                self.append(&[item])?;
            }
            // APPENDS, ADDITEMS
            b'e' | 0x90 => {
                let items = self.pop_mark()?;
                self.append(&items)?;
            }
            // SETITEM
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.set_items(&[key, value])?;
            }
            // SETITEMS
            b'u' => {
                let items = self.pop_mark()?;
                self.set_items(&items)?;
            }
            // DICT
            b'd' => {
                let items = self.pop_mark()?;
                self.push(Node::Dict(Vec::new()))?;
                self.set_items(&items)?;
            }
            // BUILD
            b'b' => {
                self.pop()?;
                let object = self.top()?;
                match self.nodes.get_mut(object) {
                    Node::Object { items, .. } => *items = None,
                    other if other.is_plain() => {
                        *other = Node::Unfit("holds a Python object with attributes");
                    }
                    _ => {}
                }
            }
            // REDUCE
            b'R' => {
                let arguments = self.pop()?;
                let callee = self.pop()?;
                let result = self.call(callee, arguments)?;
                self.stack.push(result);
            }
            // READONLY_BUFFER
            0x98 => {
                self.top()?;
            }
            _ => {
                let node = self.node(code)?;
                self.push(node)?;
            }
        }
        Ok(None)
    }

    /// The new object that an instruction pushes.
    fn node(&mut self, code: u8) -> Result<Node<'a>> {
        Ok(match code {
            b'N' => Node::None,
            // NEWTRUE, NEWFALSE
            0x88 => Node::Bool(true),
            0x89 => Node::Bool(false),
            // BININT1, BININT2, BININT
            b'K' => Node::Int(self.byte()?.into()),
            b'M' => Node::Int(u16::from_le_bytes(self.array()?).into()),
            b'J' => Node::Int(i32::from_le_bytes(self.array()?).into()),
            // INT; old protocols also write a bool so
            b'I' => match self.line()? {
                b"00" => Node::Bool(false),
                b"01" => Node::Bool(true),
                digits => decimal(digits)?,
            },
            // LONG
            b'L' => {
                let line = self.line()?;
                decimal(line.strip_suffix(b"L").unwrap_or(line))?
            }
            // LONG1, LONG4
            0x8a | 0x8b => Node::int_from_bytes(self.sized(code)?),
            // FLOAT
            b'F' => Node::Float(parse(self.line()?)?),
            // BINFLOAT
            b'G' => Node::Float(f64::from_be_bytes(self.array()?)),

            // UNICODE
            b'V' => match literal::raw_unicode_escape(self.line()?)? {
                Some(text) => Node::Text(text.into()),
                None => Node::NOT_UNICODE,
            },
            // SHORT_BINUNICODE, BINUNICODE, BINUNICODE8
            0x8c | b'X' | 0x8d => Node::text(self.sized(code)?),
            // SHORT_BINBYTES, BINBYTES, BINBYTES8, BYTEARRAY8
            b'C' | b'B' | 0x8e | 0x96 => Node::Bytes(self.sized(code)?.into()),
            // STRING
            b'S' => match String::from_utf8(literal::quoted(self.line()?)?) {
                Ok(text) => Node::Text(text.into()),
                Err(error) => Node::Bytes(error.into_bytes().into()),
            },
            // SHORT_BINSTRING, BINSTRING: Python 2 did not distinguish text from bytes
            b'U' | b'T' => {
                let bytes = self.sized(code)?;
                str::from_utf8(bytes).map_or(Node::Bytes(bytes.into()), |s| Node::Text(s.into()))
            }

            // EMPTY_TUPLE, TUPLE1 to TUPLE3, TUPLE
            b')' => Node::Tuple(Vec::new()),
            0x85..=0x87 => {
                let mut items = vec![0; usize::from(code - 0x84)];
                for item in items.iter_mut().rev() {
                    *item = self.pop()?;
                }
                Node::Tuple(items)
            }
            b't' => Node::Tuple(self.pop_mark()?),
            // EMPTY_LIST, LIST
            b']' => Node::List(Vec::new()),
            b'l' => Node::List(self.pop_mark()?),
            // EMPTY_SET, FROZENSET
            0x8f => Node::Set(Vec::new()),
            0x91 => Node::Set(self.pop_mark()?),
            // EMPTY_DICT
            b'}' => Node::Dict(Vec::new()),

            // GLOBAL
            b'c' => self.global_lines()?,
            // STACK_GLOBAL
            0x93 => {
                let name = self.pop()?;
                let module = self.pop()?;
                Node::Global { module, name }
            }
            // INST
            b'i' => {
                let class = self.global_lines()?;
                let class = self.add(class)?;
                self.pop_mark()?;
                self.nodes.object(class, false, None)
            }
            // OBJ
            b'o' => match self.pop_mark()?.first() {
                Some(&class) => self.nodes.object(class, false, None),
                None => return Err("an object without a class".into()),
            },
            // NEWOBJ, NEWOBJ_EX
            0x81 | 0x92 => {
                let mut arguments = Some(self.pop()?);
                if code == 0x92 {
                    self.pop()?;
                    arguments = None;
                }
                let class = self.pop()?;
                self.nodes.object(class, false, arguments)
            }
            // PERSID, BINPERSID
            b'P' | b'Q' => {
                if code == b'P' {
                    self.line()?;
                } else {
                    self.pop()?;
                }
                Node::Unfit("holds a reference to an object outside the file")
            }
            // EXT1, EXT2, EXT4
            0x82..=0x84 => {
                self.take(1 << (code - 0x82))?;
                Node::Unfit("holds an object of Python's extension registry")
            }
            // NEXT_BUFFER
            0x97 => Node::Unfit("holds a buffer that is outside the file"),
            _ => return Err(format!("unknown instruction 0x{code:02x}").into()),
        })
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let bytes = self.file[self.at..].get(..length).ok_or(TRUNCATED)?;
        self.at += length;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn byte(&mut self) -> Result<u8> {
        self.array().map(|[byte]| byte)
    }

    /// The rest of a line, without its end.
    fn line(&mut self) -> Result<&'a [u8]> {
        let rest = &self.file[self.at..];
        let length = rest.iter().position(|&b| b == b'\n').ok_or(TRUNCATED)?;
        self.at += length + 1;
        Ok(&rest[..length])
    }

    /// Bytes that follow their length. The form of the length depends on the instruction.
    fn sized(&mut self, code: u8) -> Result<&'a [u8]> {
        let length = match code {
            0x8a | 0x8c | b'C' | b'U' => self.byte()?.into(),
            b'X' | b'B' => u32::from_le_bytes(self.array()?).into(),
            0x8b | b'T' => {
                u64::try_from(i32::from_le_bytes(self.array()?)).map_err(|_| "a negative length")?
            }
            _ => u64::from_le_bytes(self.array()?),
        };
        self.take(usize::try_from(length).map_err(|_| TRUNCATED)?)
    }

    fn memo_key(&mut self, code: u8) -> Result<u32> {
        match code {
            b'p' | b'g' => parse(self.line()?),
            b'q' | b'h' => self.byte().map(u32::from),
            b'r' | b'j' => self.array().map(u32::from_le_bytes),
            _ => u32::try_from(self.memo.len()).map_err(|_| TOO_MANY),
        }
    }

    fn add(&mut self, node: Node<'a>) -> Result<Id> {
        self.nodes.add(node).ok_or(TOO_MANY)
    }

    fn push(&mut self, node: Node<'a>) -> Result<()> {
        let id = self.add(node)?;
        self.stack.push(id);
        Ok(())
    }

    fn top(&self) -> Result<Id> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let top = self.stack[floor..].last();
        top.copied().ok_or("the stack is empty".into())
    }

    fn pop(&mut self) -> Result<Id> {
        let id = self.top()?;
        self.stack.pop();
        Ok(id)
    }

    fn pop_mark(&mut self) -> Result<Vec<Id>> {
        let floor = self.marks.pop().ok_or("no mark is set")?;
        Ok(self.stack.split_off(floor))
    }

    /// Adds elements to the list or set on top of the stack.
    fn append(&mut self, items: &[Id]) -> Result<()> {
        let list = self.top()?;
        match self.nodes.get_mut(list) {
            Node::List(list) | Node::Set(list) => list.extend_from_slice(items),
            other if other.is_plain() => {
                return Err("elements for an object that is not a list".into());
            }
            _ => {}
        }
        Ok(())
    }

    /// Sets keys and values, in turn, in the dict on top of the stack.
    fn set_items(&mut self, items: &[Id]) -> Result<()> {
        let (items, []) = items.as_chunks() else {
            return Err("a key without a value".into());
        };
        let dict = self.top()?;
        match self.nodes.get_mut(dict) {
            Node::Dict(dict) => dict.extend(items.iter().map(|&[key, value]| (key, value))),
            other if other.is_plain() => {
                return Err("items for an object that is not a dict".into());
            }
            _ => {}
        }
        Ok(())
    }

    /// The class or function that two lines name.
    fn global_lines(&mut self) -> Result<Node<'a>> {
        let module = Node::text(self.line()?);
        let name = Node::text(self.line()?);
        Ok(Node::Global {
            module: self.add(module)?,
            name: self.add(name)?,
        })
    }

    fn call(&mut self, callee: Id, arguments: Id) -> Result<Id> {
        match calls::outcome(&mut self.nodes, callee, arguments) {
            Some(Outcome::New(node)) => self.add(node),
            Some(Outcome::Argument(id)) => Ok(id),
            None => Err("the arguments of a call are not a tuple".into()),
        }
    }
}

fn parse<T: std::str::FromStr>(text: &[u8]) -> Result<T> {
    let text = str::from_utf8(text).ok();
    text.and_then(|text| text.parse().ok()).ok_or(BAD_NUMBER)
}

fn decimal<'a>(text: &[u8]) -> Result<Node<'a>> {
    let text = str::from_utf8(text).ok();
    text.and_then(Node::int_from_text).ok_or(BAD_NUMBER)
}
