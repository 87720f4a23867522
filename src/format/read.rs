//! Reads a file from its beginning to its end, and salvages what damage leaves.

use std::mem;
use std::rc::Rc;
use std::vec;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::columns::Columns;
use super::frame::{FRAME, block_seed, frame_head, frame_length, split_frame};
use super::header::{HEAD_BYTES, Header, MAGIC, Unreadable, VERSION, decode_head, gap};
use super::index::{BlockEntry, Index, Segment};
use super::piece::{Block, Piece};
use super::place::{Place, places};
use super::segments::{Found, LONG, directory, index, scan, segments_end};
use super::source::{Source, is_zero};
use super::table::{PAGE, Table};

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
    mode: Mode,
    segments: vec::IntoIter<Segment>,
    /// Where the next segment begins.
    offset: u64,
    rest: Option<Rest>,
    damage: Vec<Damage>,
    /// The offsets of damaged pages of the table.
    damaged_pages: Vec<u64>,
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

    fn records(&self) -> u64 {
        self.puts + self.removes
    }

    /// Whether all blocks and records of the segment were read.
    fn is_complete(&self) -> bool {
        let Segment { puts, removes, .. } = self.segment;
        self.position == self.end() && (self.puts, self.removes) == (puts, removes)
    }

    /// Passes a block that the index describes.
    fn pass(&mut self, entry: &BlockEntry) {
        self.position += entry.frame();
        self.blocks += 1;
        self.puts += u64::from(entry.puts);
        self.removes += u64::from(entry.removes);
    }

    /// Passes the blocks that hold no wanted key.
    fn pass_unwanted(&mut self, index: &Index, wanted: &[u64]) {
        while let Some(entry) = index.blocks.get(self.blocks) {
            let mut hashes = index.hashes_of(entry, self.records());
            if hashes.any(|hash| wanted.binary_search(&hash).is_ok()) {
                break;
            }
            self.pass(entry);
        }
    }

    /// The same block, where the index says that it is.
    fn at_block(self, index: &Index) -> Progress {
        let mut progress = Progress::new(self.segment, self.start);
        for entry in index.blocks.iter().take(self.blocks) {
            progress.pass(entry);
        }
        progress
    }
}

/// What is read of a file.
enum Mode {
    /// All blocks, and only the bytes that are needed for them.
    All,
    /// Every byte.
    Thorough,
    /// The blocks that may hold keys with these hashes.
    Wanted(Rc<[u64]>),
}

/// How the rest of a segment is read.
enum Rest {
    /// Block after block. Nothing is damaged so far.
    Intact(Progress),
    /// With the help of the index.
    Indexed(Progress, Index),
    /// Block after block, without the index, which is damaged too.
    Unindexed(Progress),
    /// Where the table says that wanted keys are, in all segments.
    Placed(vec::IntoIter<Place>),
}

impl<S: Source> Reader<S> {
    /// Begins to read a file. Damaged parts are left out.
    pub fn open(source: S) -> Result<Result<Reader<S>, Unreadable>, S::Error> {
        Reader::begin(source, Mode::All)
    }

    /// Begins to read only the blocks that may hold certain keys. `wanted` are the hashes of these
    /// keys, sorted. Where an index is damaged, all blocks of its segment are read.
    pub fn select(source: S, wanted: Rc<[u64]>) -> Result<Result<Reader<S>, Unreadable>, S::Error> {
        Reader::begin(source, Mode::Wanted(wanted))
    }

    fn begin(source: S, mode: Mode) -> Result<Result<Reader<S>, Unreadable>, S::Error> {
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
            pages,
            end,
        } = found;
        let table = Table {
            id: header.id,
            offset: segments_end(&header, version, &segments),
            pages,
            records: header.puts.saturating_add(header.removes),
        };
        let expected = header.to_bytes(version);
        let mut reader = Reader {
            source,
            header,
            version,
            mode,
            segments: segments.into_iter(),
            offset: expected.len() as u64,
            rest: None,
            damage: Vec::new(),
            damaged_pages: Vec::new(),
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
        match &reader.mode {
            Mode::Wanted(wanted) if pages > 0 => {
                if let Some(places) = places(&reader.source, &table, wanted)? {
                    reader.segments = Vec::new().into_iter();
                    reader.rest = Some(Rest::Placed(places.into_iter()));
                }
            }
            Mode::Thorough => {
                reader.damaged_pages = table.damaged(&reader.source)?;
                let gap = gap(reader.version);
                let is_empty = reader.segments.as_slice().is_empty() && end.is_none();
                if is_empty && !is_zero(&reader.source, reader.offset, gap)? {
                    reader.damaged(Part::Index, reader.offset, gap, 0);
                }
            }
            Mode::All | Mode::Wanted(_) => {}
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
            let Some(mut rest) = self.rest.take() else {
                let Some(segment) = self.segments.next() else {
                    return Ok(None);
                };
                let progress = Progress::new(segment, self.offset);
                self.offset += segment.bytes(self.version);
                if let Mode::Thorough = self.mode {
                    self.check_gap(&progress)?;
                }
                self.rest = Some(match self.mode {
                    Mode::All => Rest::Intact(progress),
                    Mode::Thorough | Mode::Wanted(_) => self.salvage(progress)?,
                });
                continue;
            };
            let piece = match &mut rest {
                Rest::Intact(progress) => match self.block(progress)? {
                    Some(block) => Some(Piece::Block(block)),
                    None if progress.is_complete() => None,
                    None => {
                        self.rest = Some(self.salvage(*progress)?);
                        continue;
                    }
                },
                Rest::Indexed(progress, index) => self.indexed_block(progress, index)?,
                Rest::Unindexed(progress) => self.unindexed_block(progress)?,
                Rest::Placed(places) => match places.next() {
                    Some(place) => Some(place.read(&self.source, self.header.id)?),
                    None => None,
                },
            };
            if piece.is_some() {
                self.rest = Some(rest);
                return Ok(piece);
            }
        }
    }

    /// Reads the next block of a segment. Returns none if the block is damaged.
    fn block(&mut self, progress: &mut Progress) -> Result<Option<Block>, S::Error> {
        let (start, end) = (progress.position, progress.end());
        if start == end {
            return Ok(None);
        }
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

    /// Checks the zeros before the index of a segment.
    fn check_gap(&mut self, progress: &Progress) -> Result<(), S::Error> {
        let gap = gap(self.version);
        if progress.segment.index > 0 && !is_zero(&self.source, progress.end(), gap)? {
            self.damaged(Part::Index, progress.end(), gap, 0);
        }
        Ok(())
    }

    /// Begins to salvage the rest of a segment, with the help of its index.
    fn salvage(&mut self, progress: Progress) -> Result<Rest, S::Error> {
        Ok(match self.index(&progress)? {
            Some(index) => Rest::Indexed(progress.at_block(&index), index),
            None => Rest::Unindexed(progress),
        })
    }

    /// Reads the index of a segment. Returns none if the index is damaged.
    fn index(&mut self, progress: &Progress) -> Result<Option<Index>, S::Error> {
        let (id, segment) = (self.header.id, &progress.segment);
        index(&self.source, id, self.version, progress.start, segment)
    }

    /// Reads the next block where the index says that it is. Returns none after the last one.
    fn indexed_block(
        &mut self,
        progress: &mut Progress,
        index: &Index,
    ) -> Result<Option<Piece>, S::Error> {
        if let Mode::Wanted(wanted) = &self.mode {
            progress.pass_unwanted(index, wanted);
        }
        let Some(entry) = index.blocks.get(progress.blocks).copied() else {
            return Ok(None);
        };
        let (start, first) = (progress.position, progress.records());
        progress.pass(&entry);
        self.blocks += 1;
        let block = match entry.length {
            0 => None,
            _ => self.whole_block(start, &entry)?,
        };
        Ok(Some(match block {
            Some(block) => Piece::Block(block),
            None => {
                self.damaged(Part::Block, start, entry.frame(), entry.records());
                Piece::Lost(index.lost_keys(&entry, first))
            }
        }))
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

    /// Reads the next block without an index. Tells of missing records after the last block, and
    /// then returns none.
    fn unindexed_block(&mut self, progress: &mut Progress) -> Result<Option<Piece>, S::Error> {
        while progress.position < progress.end() {
            self.blocks += 1;
            let start = progress.position;
            if let Some(block) = self.block(progress)? {
                return Ok(Some(Piece::Block(block)));
            }
            // The blocks behind a damaged block may be intact.
            let head = self.source.read(start, start + FRAME as u64)?;
            let after = frame_length(&head).and_then(|length| match length {
                0 => Some(gap(self.version)).filter(|gap| *gap > 0),
                length => Some(FRAME as u64 + u64::from(length)),
            });
            let after = after.map(|bytes| start + bytes);
            let after = after.filter(|after| *after < progress.end());
            progress.position = after.unwrap_or(progress.end());
            progress.length = None;
            self.damaged(Part::Block, start, progress.position - start, 0);
        }
        let index = mem::take(&mut progress.segment.index);
        if index > 0 {
            let start = progress.end() + gap(self.version);
            self.damaged(Part::Index, start, index, 0);
        }
        let Segment { puts, removes, .. } = progress.segment;
        let puts = puts.saturating_sub(mem::replace(&mut progress.puts, puts));
        let removes = removes.saturating_sub(mem::replace(&mut progress.removes, removes));
        Ok((puts > 0 || removes > 0).then_some(Piece::Missing { puts, removes }))
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
        self.offset += segment.bytes(self.version);
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
    let mut reader = match Reader::begin(source, Mode::Thorough)? {
        Ok(reader) => reader,
        Err(unreadable) => return Ok(Err(unreadable)),
    };
    while reader.next()?.is_some() {}
    let mut damage = mem::take(&mut reader.damage);
    damage.extend(reader.damaged_pages.iter().map(|offset| Damage {
        part: Part::Index,
        offset: *offset,
        length: PAGE,
        records: 0,
    }));
    damage.extend(reader.damaged_end);
    damage.sort_by_key(|damage| damage.offset);
    Ok(Ok((reader.blocks, damage)))
}
