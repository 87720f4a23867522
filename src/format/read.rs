//! Reads a file from its beginning to its end, and salvages what damage leaves.

use std::collections::VecDeque;
use std::mem;
use std::vec;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::columns::Columns;
use super::frame::{
    FRAME, block_seed, directory_seed, frame_head, frame_length, index_seed, split_frame,
};
use super::header::{HEAD_BYTES, Header, MAGIC, Unreadable, VERSION, decode_head};
use super::index::{BlockEntry, Index, Segment};
use super::record::LostKeys;
use super::segments::{Found, LONG, directory, scan};
use super::source::Source;

/// The frame of an intact block.
#[derive(Debug)]
pub struct Block(Vec<u8>);

impl Block {
    /// The records of the block.
    pub fn columns(&self) -> Columns<'_> {
        Columns::of_block(&self.0)
    }

    /// The bytes of its frame.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// A piece of a file.
#[derive(Debug)]
pub enum Piece {
    /// A block of records.
    Block(Block),
    /// Records that cannot be read. Their keys are known.
    Lost(LostKeys),
    /// Records that cannot be read. Their keys are not known.
    Missing {
        /// How many of the records store an entry.
        puts: u64,
        /// How many of the records remove an entry.
        removes: u64,
    },
}

/// The keys of a segment.
pub enum Keys {
    /// The hashes of the keys.
    Known(Index),
    /// The index is damaged.
    Unknown {
        /// How many of the records store an entry.
        puts: u64,
    },
}

/// One damaged range of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The part of the file that is damaged.
    pub part: Part,
    /// Where the damage begins, in bytes.
    pub offset: u64,
    /// How many bytes are damaged.
    pub length: u64,
    /// How many records cannot be read because of the damage.
    pub records: u64,
}

/// A part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Magic, version and header.
    Header,
    /// A block.
    Block,
    /// An index; or the directory with the trailer.
    Index,
}

/// A file that is being read.
pub struct Reader<S> {
    source: S,
    header: Header,
    version: u8,
    /// Whether to check every byte, and not only the bytes that are needed.
    is_thorough: bool,
    segments: vec::IntoIter<Segment>,
    /// Where the next segment begins.
    offset: u64,
    segment: Option<Progress>,
    pieces: VecDeque<Piece>,
    damage: Vec<Damage>,
    /// Damage behind all segments.
    damaged_end: Option<Damage>,
    blocks: u64,
}

/// How much of a segment was read.
#[derive(Clone, Copy)]
struct Progress {
    segment: Segment,
    start: u64,
    /// Where the next block begins, and its length if that is known.
    position: u64,
    length: Option<u32>,
    /// How many blocks and records were read.
    blocks: usize,
    puts: u64,
    removes: u64,
}

impl Progress {
    fn new(segment: Segment, start: u64) -> Progress {
        Progress {
            segment,
            start,
            position: start,
            length: None,
            blocks: 0,
            puts: 0,
            removes: 0,
        }
    }

    fn end(&self) -> u64 {
        self.start + self.segment.blocks
    }
}

impl<S: Source> Reader<S> {
    /// Begins to read a file. Damaged parts are left out.
    pub fn open(source: S) -> Result<Result<Reader<S>, Unreadable>, S::Error> {
        Reader::begin(source, false)
    }

    fn begin(source: S, is_thorough: bool) -> Result<Result<Reader<S>, Unreadable>, S::Error> {
        let size = source.size();
        let head = source.read(0, HEAD_BYTES as u64)?;
        let header = decode_head(&head);
        let found = match (directory(&source, size)?, header) {
            (Some(found), _) => found,
            (None, Ok(header)) => {
                let version = head.get(MAGIC.len()).copied().unwrap_or(VERSION);
                scan(&source, size, header, version)?
            }
            (None, Err(unreadable)) => return Ok(Err(unreadable)),
        };
        let Found {
            header,
            version,
            segments,
            end,
        } = found;
        let expected = header.to_bytes(version);
        let mut reader = Reader {
            source,
            header,
            version,
            is_thorough,
            segments: segments.into_iter(),
            offset: expected.len() as u64,
            segment: None,
            pieces: VecDeque::new(),
            damage: Vec::new(),
            damaged_end: end.map(|offset| Damage {
                part: Part::Index,
                offset,
                length: size.saturating_sub(offset),
                records: 0,
            }),
            blocks: 0,
        };
        if !head.starts_with(&expected) {
            reader.damaged(Part::Header, 0, expected.len() as u64, 0);
        }
        Ok(Ok(reader))
    }

    /// The header of the file.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The next piece of the file. Returns none at its end.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator would have to define what follows an error"
    )]
    pub fn next(&mut self) -> Result<Option<Piece>, S::Error> {
        loop {
            if let Some(piece) = self.pieces.pop_front() {
                return Ok(Some(piece));
            }
            let Some(mut progress) = self.segment.take() else {
                let Some(segment) = self.segments.next() else {
                    return Ok(None);
                };
                self.segment = Some(Progress::new(segment, self.offset));
                self.offset += segment.blocks + segment.index;
                continue;
            };
            let segment = progress.segment;
            if self.is_thorough {
                self.salvage(progress)?;
            } else if progress.position == progress.end() {
                if (progress.puts, progress.removes) != (segment.puts, segment.removes) {
                    self.salvage(progress)?;
                }
            } else if let Some(block) = self.block(&mut progress)? {
                self.segment = Some(progress);
                return Ok(Some(Piece::Block(block)));
            } else {
                self.salvage(progress)?;
            }
        }
    }

    /// Reads the next block of a segment. Returns none if the block is damaged.
    fn block(&mut self, progress: &mut Progress) -> Result<Option<Block>, S::Error> {
        let (start, end) = (progress.position, progress.end());
        let length = match progress.length {
            Some(length) => length,
            None => match frame_length(&self.source.read(start, start + FRAME as u64)?) {
                Some(length) => length,
                None => return Ok(None),
            },
        };
        let after = start + FRAME as u64 + u64::from(length);
        if length == 0 || after > end {
            return Ok(None);
        }
        // The same call reads the head of the next frame.
        let mut bytes = match self.source.read(start, (after + FRAME as u64).min(end)) {
            Ok(bytes) => bytes,
            // A damaged length may have any value. The index knows the right one.
            Err(_) if u64::from(length) > LONG => return Ok(None),
            Err(error) => return Err(error),
        };
        let next = bytes.get(FRAME + length as usize..).and_then(frame_length);
        let seed = block_seed(self.header.id, start);
        let frame = split_frame(&bytes).filter(|frame| frame.holds(seed));
        let Some(columns) = frame.and_then(|frame| Columns::decode(frame.bytes)) else {
            return Ok(None);
        };
        let removes = columns.removes() as u64;
        let puts = columns.len() as u64 - removes;
        let segment = progress.segment;
        if puts > segment.puts - progress.puts || removes > segment.removes - progress.removes {
            // The caller reserved memory for as many records as the directory claims, and not for
            // more.
            return Ok(None);
        }
        progress.puts += puts;
        progress.removes += removes;
        progress.blocks += 1;
        progress.position = after;
        progress.length = next;
        bytes.truncate(FRAME + length as usize);
        Ok(Some(Block(bytes)))
    }

    /// Salvages the rest of a segment, with the help of its index.
    fn salvage(&mut self, progress: Progress) -> Result<(), S::Error> {
        match self.index(&progress)? {
            Some(index) => self.follow(&progress, &index),
            None => self.walk(progress),
        }
    }

    /// Reads the index of a segment. Returns none if the index is damaged.
    fn index(&mut self, progress: &Progress) -> Result<Option<Index>, S::Error> {
        let Segment {
            index: length,
            puts,
            removes,
            ..
        } = progress.segment;
        if length == 0 {
            return Ok(None);
        }
        let start = progress.end();
        let bytes = self.source.read(start, start + length)?;
        self.source.reserve(length)?;
        let frame = split_frame(&bytes).filter(|frame| frame.bytes.len() + FRAME == bytes.len());
        let index = match self.version {
            1 => frame
                .filter(|frame| frame.holds(directory_seed(1, start)))
                .and_then(|frame| Some(Index::decode_v1(frame.bytes)?.1)),
            _ => frame
                .filter(|frame| frame.holds(index_seed(self.header.id, start)))
                .and_then(|frame| Index::decode(frame.bytes)),
        };
        let fits = |index: &Index| {
            index.block_bytes() == progress.segment.blocks && index.records() == (puts, removes)
        };
        Ok(index.filter(fits))
    }

    /// Reads the remaining blocks where the index says that they are.
    fn follow(&mut self, progress: &Progress, index: &Index) -> Result<(), S::Error> {
        let mut offset = progress.start;
        for (at, (entry, lost)) in index.blocks().enumerate() {
            let frame = match entry.length {
                0 => 0,
                length => FRAME as u64 + u64::from(length),
            };
            let start = offset;
            offset += frame;
            if at < progress.blocks {
                continue;
            }
            self.blocks += 1;
            let block = match frame {
                0 => None,
                _ => self.whole_block(start, &entry)?,
            };
            if let Some(block) = block {
                self.pieces.push_back(Piece::Block(block));
            } else {
                self.damaged(Part::Block, start, frame, entry.records());
                self.pieces.push_back(Piece::Lost(lost));
            }
        }
        Ok(())
    }

    /// Reads a block that the index describes. Returns none if the block is damaged.
    fn whole_block(&mut self, start: u64, entry: &BlockEntry) -> Result<Option<Block>, S::Error> {
        let end = start + FRAME as u64 + u64::from(entry.length);
        let mut bytes = self.source.read(start, end)?;
        let Some((head, block)) = bytes.split_first_chunk_mut::<FRAME>() else {
            return Ok(None);
        };
        let is_whole = block.len() == entry.length as usize
            && xxh3_64_with_seed(block, block_seed(self.header.id, start)) == entry.sum
            && Columns::decode(block).is_some_and(|columns| {
                let removes = columns.removes();
                removes == entry.removes as usize && columns.len() - removes == entry.puts as usize
            });
        let expected = frame_head(entry.length, entry.sum);
        if is_whole && *head != expected {
            *head = expected;
            self.damaged(Part::Block, start, FRAME as u64, 0);
        }
        Ok(is_whole.then_some(Block(bytes)))
    }

    /// Reads block after block without an index, until a frame does not lead to another.
    fn walk(&mut self, mut progress: Progress) -> Result<(), S::Error> {
        while progress.position < progress.end() {
            self.blocks += 1;
            let start = progress.position;
            if let Some(block) = self.block(&mut progress)? {
                self.pieces.push_back(Piece::Block(block));
                continue;
            }
            // The blocks behind a damaged block may be intact.
            let head = self.source.read(start, start + FRAME as u64)?;
            let length = frame_length(&head).filter(|length| *length > 0);
            let after = length.map(|length| start + FRAME as u64 + u64::from(length));
            let after = after.filter(|after| *after < progress.end());
            progress.position = after.unwrap_or(progress.end());
            progress.length = None;
            self.damaged(Part::Block, start, progress.position - start, 0);
        }
        let Segment {
            index,
            puts,
            removes,
            ..
        } = progress.segment;
        if index > 0 {
            self.damaged(Part::Index, progress.end(), index, 0);
        }
        let (puts, removes) = (
            puts.saturating_sub(progress.puts),
            removes.saturating_sub(progress.removes),
        );
        if puts > 0 || removes > 0 {
            self.pieces.push_back(Piece::Missing { puts, removes });
        }
        Ok(())
    }

    fn damaged(&mut self, part: Part, offset: u64, length: u64, records: u64) {
        match self.damage.last_mut() {
            Some(last)
                if part == Part::Block
                    && (last.part, last.records, records) == (part, 0, 0)
                    && last.offset + last.length == offset =>
            {
                last.length += length;
            }
            _ => self.damage.push(Damage {
                part,
                offset,
                length,
                records,
            }),
        }
    }

    /// The keys of the next segment. Returns none at the end of the file.
    pub fn next_keys(&mut self) -> Result<Option<Keys>, S::Error> {
        let Some(segment) = self.segments.next() else {
            return Ok(None);
        };
        let progress = Progress::new(segment, self.offset);
        self.offset += segment.blocks + segment.index;
        Ok(Some(match self.index(&progress)? {
            Some(index) => Keys::Known(index),
            None => Keys::Unknown { puts: segment.puts },
        }))
    }
}

/// How many blocks there are, and the damage in the order of its offsets.
pub type Checked = (u64, Vec<Damage>);

/// Checks every byte of a file.
pub fn check<S: Source>(source: S) -> Result<Result<Checked, Unreadable>, S::Error> {
    let mut reader = match Reader::begin(source, true)? {
        Ok(reader) => reader,
        Err(unreadable) => return Ok(Err(unreadable)),
    };
    while reader.next()?.is_some() {}
    let mut damage = mem::take(&mut reader.damage);
    damage.extend(reader.damaged_end);
    Ok(Ok((reader.blocks, damage)))
}
