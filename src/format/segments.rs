//! Finds the segments of a file: through its directory, or through a scan if the directory is
//! damaged.

use super::frame::{FRAME, directory_seed, frame_length, index_seed, split_frame};
use super::header::{
    HEAD_BYTES, Header, MAGIC, TRAILER, Unreadable, decode_head, decode_trailer, gap,
};
use super::index::{Directory, Index, Segment};
use super::source::Source;

/// A longer frame that cannot be read is skipped, unless it is known to be a frame.
pub(super) const LONG: u64 = 16 * 1024 * 1024;

/// Reads the header of a file from its directory, or from its head if the directory is damaged. An
/// intact head may belong to another file, but the directory leads to the segments.
pub fn header<S: Source>(source: &S) -> Result<Result<Header, Unreadable>, S::Error> {
    let head = source.read(0, HEAD_BYTES as u64)?;
    let header = decode_head(&head);
    if header.is_ok() && head.get(MAGIC.len()) == Some(&1) {
        // The directory of version 1 holds the hashes of all keys, so it is long.
        return Ok(header);
    }
    let found = directory(source, source.size())?;
    Ok(found.map_or(header, |found| Ok(found.header)))
}

/// The segments of a file, from its directory or from a scan.
pub(super) struct Found {
    pub(super) header: Header,
    pub(super) version: u8,
    pub(super) segments: Vec<Segment>,
    /// How many pages the table has; 0 if there is none, or if it was not found.
    pub(super) pages: u64,
    /// Where the damage behind the segments begins, if a scan found them.
    pub(super) end: Option<u64>,
}

/// Reads the directory. Returns none if it is damaged.
pub(super) fn directory<S: Source>(source: &S, size: u64) -> Result<Option<Found>, S::Error> {
    let end = size.saturating_sub(TRAILER as u64);
    let trailer = source.read(end, size)?;
    let Some((version, offset)) = decode_trailer(&trailer) else {
        return Ok(None);
    };
    if offset >= end {
        return Ok(None);
    }
    // A damaged trailer may lead anywhere.
    let head = source.read(offset, offset.saturating_add(FRAME as u64))?;
    let length = frame_length(&head).map(|length| u64::from(length) + FRAME as u64);
    if length != Some(end - offset) {
        return Ok(None);
    }
    let bytes = source.read(offset, end)?;
    source.reserve(end - offset)?;
    Ok(directory_frame(&bytes, version, offset))
}

/// Decodes the frame at `offset` as a directory.
fn directory_frame(bytes: &[u8], version: u8, offset: u64) -> Option<Found> {
    let frame = split_frame(bytes)
        .filter(|frame| frame.bytes.len() + FRAME == bytes.len())
        .filter(|frame| frame.holds(directory_seed(version, offset)))?;
    let start = |header: &Header| header.to_bytes(version).len() as u64;
    let (header, segments, pages) = match version {
        1 => {
            let (header, index) = Index::decode_v1(frame.bytes)?;
            let segment = Segment {
                blocks: index.block_bytes(),
                index: bytes.len() as u64,
                puts: header.puts,
                removes: header.removes,
            };
            let fits = start(&header) + segment.blocks == offset;
            (header, fits.then(|| vec![segment])?, 0)
        }
        _ => {
            let found = Directory::decode(frame.bytes, version, start, offset)?;
            let Directory { header, segments } = found.directory;
            (header, segments, found.pages)
        }
    };
    Some(Found {
        header,
        version,
        segments,
        pages,
        end: None,
    })
}

/// Where the segments end.
pub(super) fn segments_end(header: &Header, version: u8, segments: &[Segment]) -> u64 {
    let start = header.to_bytes(version).len() as u64;
    let bytes = segments.iter().map(|segment| segment.bytes(version));
    start + bytes.sum::<u64>()
}

/// Reads the index of the segment at `start`. Returns none if the index is damaged.
pub(super) fn index<S: Source>(
    source: &S,
    id: u64,
    version: u8,
    start: u64,
    segment: &Segment,
) -> Result<Option<Index>, S::Error> {
    if segment.index == 0 {
        return Ok(None);
    }
    let start = start + segment.blocks + gap(version);
    let bytes = source.read(start, start + segment.index)?;
    source.reserve(segment.index)?;
    let frame = split_frame(&bytes).filter(|frame| frame.bytes.len() + FRAME == bytes.len());
    let index = match version {
        1 => frame
            .filter(|frame| frame.holds(directory_seed(1, start)))
            .and_then(|frame| Some(Index::decode_v1(frame.bytes)?.1)),
        _ => frame
            .filter(|frame| frame.holds(index_seed(id, start)))
            .and_then(|frame| Index::decode(frame.bytes)),
    };
    let records = (segment.puts, segment.removes);
    let fits = |index: &Index| index.block_bytes() == segment.blocks && index.records() == records;
    Ok(index.filter(fits))
}

/// Replaces a damaged directory: finds the segments by their frames.
pub(super) fn scan<S: Source>(
    source: &S,
    size: u64,
    header: Header,
    version: u8,
) -> Result<Found, S::Error> {
    let mut segments: Vec<Segment> = Vec::new();
    let (mut puts, mut removes) = (header.puts, header.removes);
    let mut start = header.to_bytes(version).len() as u64;
    let mut position = start;
    let gap = gap(version);
    while puts > 0 || removes > 0 {
        let head = |at| Ok(frame_length(&source.read(at, at + FRAME as u64)?));
        // No frame is empty, so zeros are the gap before an index.
        let (at, length) = match head(position)? {
            Some(0) if position + gap < size => (position + gap, head(position + gap)?),
            length => (position, length),
        };
        let after = at + FRAME as u64 + u64::from(length.unwrap_or(0));
        let Some(length) = length.filter(|length| *length > 0 && after <= size) else {
            break;
        };
        let bytes = match source.read(at, after) {
            Ok(bytes) => bytes,
            Err(_) if u64::from(length) > LONG => Vec::new(),
            Err(error) => return Err(error),
        };
        if let Some(found) = directory_frame(&bytes, version, at) {
            // The directory is intact; only the trailer is damaged.
            let end = Some(after);
            return Ok(Found { end, ..found });
        }
        let index = split_frame(&bytes)
            .filter(|frame| frame.holds(index_seed(header.id, at)))
            .and_then(|frame| Index::decode(frame.bytes))
            .filter(|index| index.block_bytes() == position - start);
        let indexed = index.map(|index| index.records());
        // No segment has more records than the header says.
        if let Some((indexed_puts, indexed_removes)) =
            indexed.filter(|indexed| indexed.0 <= puts && indexed.1 <= removes)
        {
            puts -= indexed_puts;
            removes -= indexed_removes;
            segments.push(Segment {
                blocks: position - start,
                index: after - at,
                puts: indexed_puts,
                removes: indexed_removes,
            });
            start = after;
        }
        position = after;
    }
    if start < position || puts > 0 || removes > 0 {
        segments.push(Segment {
            blocks: position - start,
            index: 0,
            puts,
            removes,
        });
    }
    Ok(Found {
        header,
        version,
        segments,
        pages: 0,
        end: Some(position),
    })
}
