//! Names the format of a file that is not a pickle, with what to do about it.

use serde::de::IgnoredAny;

/// How an SQLite database begins.
const SQLITE: &[u8] = b"SQLite format 3\0";
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The format of a file that no pickle machine can run, and what to do. No pickle begins like one
/// of these formats.
pub fn other_format(file: &[u8]) -> Option<&'static str> {
    match file {
        [0x1f, 0x8b, ..] => Some("gzip: unpack it first, with `gzip -d`"),
        // The levels of compression differ in the second byte.
        [b'x', 0x01 | 0x5e | 0x9c | 0xda, ..] => {
            Some("zlib: unpack it first, with `zlib.decompress` of Python")
        }
        _ if file.starts_with(SQLITE) => {
            Some("SQLite: read its rows with `sqlite3`, and store them with `larder save`")
        }
        _ if is_json(file) => {
            Some("JSON: store its entries with `larder save`, which reads JSON lines")
        }
        _ => None,
    }
}

/// Whether a file begins with a whole object or array of JSON.
fn is_json(file: &[u8]) -> bool {
    let text = file.strip_prefix(BYTE_ORDER_MARK).unwrap_or(file);
    let text = text.trim_ascii_start();
    let mut values = serde_json::Deserializer::from_slice(text).into_iter::<IgnoredAny>();
    matches!(text, [b'{' | b'[', ..]) && matches!(values.next(), Some(Ok(_)))
}
