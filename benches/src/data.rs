//! The entries that contestants persist, made from a seed: they are the same in every run.

use std::cell::OnceCell;
use std::time::Duration;

use fastrand::Rng;
use larder_host::Entry;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::Result;

/// The bytes of a batch in columns. An entry that is larger has a batch of its own.
const BATCH: usize = 256 * 1024;
/// The ttl of entries that expire: longer than any run.
const LIFE: Duration = Duration::from_secs(24 * 3600);

/// A kind of data.
#[derive(Clone, Copy)]
pub enum Kind {
    /// 100,000 entries of 100 bytes
    Small,
    /// 1,000,000 entries of 100 bytes
    Million,
    /// 10,000 entries of 10 KB
    Medium,
    /// 100 entries of 10 MB
    Large,
    /// 100,000 entries of all sizes
    Mixture,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Small => "100,000 x 100 B",
            Self::Million => "1,000,000 x 100 B",
            Self::Medium => "10,000 x 10 KB",
            Self::Large => "100 x 10 MB",
            Self::Mixture => "a mixture of 100,000",
        }
    }

    /// The name of its case.
    pub fn case(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Million => "million",
            Self::Medium => "medium",
            Self::Large => "large",
            Self::Mixture => "mixture",
        }
    }
}

/// A number of entries that are made one batch at a time.
pub struct Size {
    pub entries: u64,
    pub name: &'static str,
}

/// The two sizes whose costs per entry are compared.
pub const FEW: Size = Size {
    entries: 100_000,
    name: "100,000 entries",
};
pub const MANY: Size = Size {
    entries: 10_000_000,
    name: "10,000,000 entries",
};

/// Entries, and a checksum that verifies loaded entries.
pub struct Data {
    pub entries: Vec<Entry>,
    columns: OnceCell<Vec<Columns>>,
    checksum: u64,
}

/// A loaded entry: key, value, and whether it expires.
pub type Loaded<'a> = (&'a [u8], &'a [u8], bool);

impl Data {
    pub fn new(kind: Kind) -> Self {
        Self::of(match kind {
            Kind::Small => uniform(100_000, 100),
            Kind::Million => uniform(1_000_000, 100),
            Kind::Medium => uniform(10_000, 10_000),
            Kind::Large => uniform(100, 10_000_000),
            Kind::Mixture => mixture(100_000),
        })
    }

    fn of(entries: Vec<Entry>) -> Self {
        let loaded = entries.iter().map(|entry| {
            let key = entry.key.as_bytes();
            (key, entry.value.as_slice(), entry.ttl.is_some())
        });
        Self {
            checksum: checksum(loaded).1,
            columns: OnceCell::new(),
            entries,
        }
    }

    /// Only the first entries, if there are more.
    pub fn sample(&self, most: usize) -> Option<Self> {
        let first = self.entries.get(..most)?;
        Some(Self::of(first.to_vec()))
    }

    /// The number of bytes of all keys and values.
    pub fn bytes(&self) -> usize {
        let sizes = self.entries.iter();
        sizes.map(|entry| entry.key.len() + entry.value.len()).sum()
    }

    /// Fails unless these are exactly the entries of the data, in any order.
    pub fn verify<'a>(&self, loaded: impl Iterator<Item = Loaded<'a>>) -> Result<()> {
        let (count, checksum) = checksum(loaded);
        if count != self.entries.len() {
            let expected = self.entries.len();
            return Err(format!("{count} entries came back, not {expected}").into());
        }
        if checksum != self.checksum {
            return Err("other entries came back than were persisted".into());
        }
        Ok(())
    }

    /// The entries in columns, which the first call makes.
    pub fn columns(&self) -> &[Columns] {
        self.columns.get_or_init(|| self.gathered())
    }

    fn gathered(&self) -> Vec<Columns> {
        let mut batches = vec![Columns::default()];
        let mut size = 0;
        for entry in &self.entries {
            let more = entry.key.len() + entry.value.len();
            if size > 0 && size + more > BATCH {
                batches.push(Columns::default());
                size = 0;
            }
            size += more;
            if let Some(batch) = batches.last_mut() {
                batch.push(&entry.key, &entry.value, entry.ttl);
            }
        }
        for batch in &mut batches {
            batch.finish();
        }
        batches
    }
}

/// A batch in the columns of `cache-bulk`.
#[derive(Default)]
pub struct Columns {
    pub keys: String,
    pub key_lengths: Vec<u32>,
    pub values: Vec<u8>,
    pub value_lengths: Vec<u32>,
    pub ttls: Vec<u64>,
}

impl Columns {
    fn push(&mut self, key: &str, value: &[u8], ttl: Option<Duration>) {
        self.keys.push_str(key);
        self.key_lengths.push(key.len() as u32);
        self.values.extend_from_slice(value);
        self.value_lengths.push(value.len() as u32);
        self.ttls
            .push(ttl.map_or(u64::MAX, |ttl| ttl.as_nanos() as u64));
    }

    /// Leaves the column of ttls empty if no entry has a ttl.
    fn finish(&mut self) {
        if self.ttls.iter().all(|&ttl| ttl == u64::MAX) {
            self.ttls.clear();
        }
    }

    /// The entries, one after the other.
    pub fn entries(&self) -> impl Iterator<Item = Loaded<'_>> {
        let keys = (self.keys.as_bytes(), &self.key_lengths[..]);
        let values = (&self.values[..], &self.value_lengths[..]);
        entries(keys, values, &self.ttls)
    }

    /// Appends all columns to these bytes: the least that a store has to write.
    pub fn write_to(&self, bytes: &mut Vec<u8>) {
        for length in self.key_lengths.iter().chain(&self.value_lengths) {
            bytes.extend_from_slice(&length.to_le_bytes());
        }
        for ttl in &self.ttls {
            bytes.extend_from_slice(&ttl.to_le_bytes());
        }
        bytes.extend_from_slice(self.keys.as_bytes());
        bytes.extend_from_slice(&self.values);
    }
}

/// The entries of columns: keys, values, and deadlines (`u64::MAX`: none).
pub fn entries<'a>(
    keys: (&'a [u8], &'a [u32]),
    values: (&'a [u8], &'a [u32]),
    expires: &'a [u64],
) -> impl Iterator<Item = Loaded<'a>> {
    let expires = expires.iter().map(|&at| at != u64::MAX);
    let expires = expires.chain(std::iter::repeat(false));
    let pairs = parts(keys).zip(parts(values)).zip(expires);
    pairs.map(|((key, value), expires)| (key, value, expires))
}

/// The parts of a column. A part beyond its end is empty, and fails verification.
fn parts<'a>((mut bytes, lengths): (&'a [u8], &'a [u32])) -> impl Iterator<Item = &'a [u8]> {
    let part = move |&length: &u32| bytes.split_off(..length as usize).unwrap_or_default();
    lengths.iter().map(part)
}

/// Entries of 100 bytes in columns, made one batch at a time, so that they need little memory.
pub fn stream(count: u64) -> impl Iterator<Item = Columns> {
    let per_batch = BATCH as u64 / 112;
    (0..count.div_ceil(per_batch)).map(move |batch| {
        let first = batch * per_batch;
        let mut random = Rng::with_seed(batch);
        let mut columns = Columns::default();
        let mut value = [0; 100];
        for i in first..count.min(first + per_batch) {
            random.fill(&mut value);
            columns.push(&format!("user:{i}"), &value, None);
        }
        columns.finish();
        columns
    })
}

/// The number of entries, and a sum over all their bytes that does not depend on their order.
pub fn checksum<'a>(entries: impl Iterator<Item = Loaded<'a>>) -> (usize, u64) {
    entries.fold((0, 0_u64), |(count, sum), (key, value, expires)| {
        let hash = xxh3_64_with_seed(value, xxh3_64(key));
        let hash = hash.rotate_left(expires.into());
        (count + 1, sum.wrapping_add(hash))
    })
}

fn uniform(count: usize, size: usize) -> Vec<Entry> {
    let mut random = Rng::with_seed(size as u64);
    let entry = |i| Entry::new(format!("user:{i}"), bytes(&mut random, size));
    (0..count).map(entry).collect()
}

/// Entries with sizes from a Pareto distribution: most have some hundred bytes, a few have some
/// MiB. Keys share prefixes and have no order. Half of the entries expire.
fn mixture(count: usize) -> Vec<Entry> {
    const SMALLEST: f64 = 64.0;
    const LARGEST: f64 = 4.0 * 1024.0 * 1024.0;
    const SHAPE: f64 = 1.1;
    let mut random = Rng::with_seed(count as u64);
    let entry = |i| {
        let key = match random.u8(..4) {
            0 => format!("session/{:016x}/{i}", random.u64(..)),
            1 => format!("tenant/{:02}/user/{i}/profile", random.u8(..50)),
            2 => format!("page/en/articles/{:04}/{i}.html", random.u16(..2000)),
            _ => format!("api/v2/search?user={i}&limit={}", random.u8(..)),
        };
        let size = SMALLEST * (1.0 - random.f64()).powf(-1.0 / SHAPE);
        let entry = Entry::new(key, bytes(&mut random, size.min(LARGEST) as usize));
        if random.bool() {
            entry.ttl(LIFE)
        } else {
            entry
        }
    };
    (0..count).map(entry).collect()
}

fn bytes(random: &mut Rng, size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    random.fill(&mut bytes);
    bytes
}
