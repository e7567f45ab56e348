//! A small bounded reader and writer of FITS (standard 4.0): headers, images, binary tables.
//!
//! Files come from strangers: every length is checked against the file before it is used, nothing
//! is allocated on a header's word alone, and nothing panics. Images compressed in tiles are
//! unpacked when they are asked for; random groups are listed but refused with a message.

mod hcompress;
pub mod header;
mod image;
mod table;
mod tiles;
pub mod write;

use std::io::Read;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

pub use header::{Header, Value};
pub use image::Image;
pub use table::{Column, ColumnType, Table};
use tiles::Unpacked;

/// Bytes to which headers and data are filled.
pub(crate) const BLOCK: usize = 2880;
/// Most bytes that a file may have, and may inflate to.
pub const MAX_BYTES: u64 = 4 << 30;

/// Why a FITS file or a part of it cannot be read.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum FitsError {
    #[error("cannot read: {0}")]
    Io(#[from] std::io::Error),
    #[error("not FITS: the file does not begin with 'SIMPLE  ='")]
    NotFits,
    #[error("file is larger than {} GiB", MAX_BYTES >> 30)]
    TooLarge,
    #[error("{0}")]
    Packed(String),
    #[error("HDU {hdu}: {why}")]
    Hdu { hdu: usize, why: String },
}

/// What an HDU holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Header only.
    Empty,
    /// Primary array or IMAGE extension.
    Image,
    /// Binary table.
    BinTable,
    /// ASCII table.
    AsciiTable,
    /// An image compressed in tiles, in a binary table.
    Compressed,
    /// Something this reader lists but does not decode; the word says what.
    Other(&'static str),
}

/// One header-and-data unit; data are a range of the file.
#[derive(Clone, Debug)]
pub struct Hdu {
    /// Cards of the HDU.
    pub header: Header,
    /// What the data are.
    pub kind: Kind,
    start: usize,
    len: usize,
    /// The data run past the end of the file.
    pub truncated: bool,
}

/// A FITS file in memory.
#[derive(Debug)]
pub struct Fits {
    bytes: Vec<u8>,
    /// In the order of the file; the first is the primary.
    pub hdus: Vec<Hdu>,
    /// What is wrong with the file: where it is cut, or what is no HDU.
    pub damage: Option<String>,
    /// Images that were compressed, once they were asked for.
    unpacked: Vec<OnceLock<Result<Unpacked, String>>>,
}

/// Reads a whole file, unpacked if it is packed ([`crate::packed`]).
///
/// # Errors
/// I/O errors, a damaged archive, or more than [`MAX_BYTES`].
pub fn read_bytes(path: &Path) -> Result<Vec<u8>, FitsError> {
    if path == Path::new("-") {
        return stdin();
    }
    let about = std::fs::metadata(path)?;
    // A pipe would be waited for.
    if !about.is_file() {
        let what = std::io::Error::other("it is no regular file");
        return Err(FitsError::Io(what));
    }
    let file = std::fs::File::open(path)?;
    let size = about.len();
    if size > MAX_BYTES {
        return Err(FitsError::TooLarge);
    }
    let mut bytes = Vec::with_capacity(size as usize + 1);
    file.take(MAX_BYTES).read_to_end(&mut bytes)?;
    crate::packed::unpack(bytes).map_err(FitsError::Packed)
}

/// Standard input, which can be read once and is asked for again by reports.
fn stdin() -> Result<Vec<u8>, FitsError> {
    static READ: OnceLock<std::result::Result<Vec<u8>, String>> = OnceLock::new();
    let read = READ.get_or_init(|| {
        let mut bytes = Vec::new();
        let stdin = std::io::stdin().lock();
        let read = stdin.take(MAX_BYTES).read_to_end(&mut bytes);
        read.map_err(|e| e.to_string())?;
        crate::packed::unpack(bytes)
    });
    read.clone().map_err(FitsError::Packed)
}

impl Fits {
    /// Opens a file, packed or plain.
    ///
    /// # Errors
    /// As [`read_bytes`] and [`Fits::parse`].
    pub fn open(path: &Path) -> Result<Self, FitsError> {
        Fits::parse(read_bytes(path)?)
    }

    /// Finds the HDUs. A damaged tail ends the list; what came before stays readable.
    ///
    /// # Errors
    /// If the first header is not FITS.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, FitsError> {
        if !bytes.starts_with(b"SIMPLE") {
            return Err(FitsError::NotFits);
        }
        let mut hdus: Vec<Hdu> = Vec::new();
        let mut damage = None;
        let mut at = 0usize;
        while at < bytes.len() && hdus.len() < 10_000 {
            let n = hdus.len();
            if n > 0 && !bytes[at..].starts_with(b"XTENSION") {
                damage = foreign(&bytes[at..], n - 1);
                break;
            }
            let (header, used) = match Header::parse(&bytes[at..]) {
                Ok(found) => found,
                Err(why) if n == 0 => return Err(FitsError::Hdu { hdu: 0, why }),
                Err(why) => {
                    damage = Some(format!("HDU {n}: {why}"));
                    break;
                }
            };
            let start = at + used;
            let (kind, size) = describe(&header);
            let Some(end) = size
                .and_then(|s| usize::try_from(s).ok())
                .and_then(|s| start.checked_add(s))
            else {
                hdus.push(Hdu {
                    header,
                    kind: Kind::Other("data of impossible size"),
                    start,
                    len: 0,
                    truncated: true,
                });
                damage = Some(format!("HDU {n}: data of impossible size"));
                break;
            };
            if end > bytes.len() {
                damage = Some(format!(
                    "HDU {n} ends early: {} of {} bytes are there; is the download complete?",
                    bytes.len().saturating_sub(start),
                    end - start
                ));
            }
            let len = end.min(bytes.len()).saturating_sub(start);
            let filled = start.saturating_add(len.next_multiple_of(BLOCK));
            if damage.is_none() && changed(&header, bytes.get(start..filled)) {
                damage = Some(format!(
                    "HDU {n}: the data differ from their DATASUM; was the file changed on its way? --ignore-checksums reads it all the same"
                ));
            }
            hdus.push(Hdu {
                header,
                kind,
                start: start.min(bytes.len()),
                len,
                truncated: end > bytes.len(),
            });
            at = start.saturating_add((end - start).next_multiple_of(BLOCK));
        }
        Ok(Fits {
            unpacked: hdus.iter().map(|_| OnceLock::new()).collect(),
            bytes,
            hdus,
            damage,
        })
    }

    /// The HDU of an EXTNAME, case-insensitive.
    pub fn named(&self, name: &str) -> Option<usize> {
        self.hdus.iter().position(|h| {
            h.header
                .str("EXTNAME")
                .is_some_and(|n| n.trim().eq_ignore_ascii_case(name))
        })
    }

    fn data(&self, hdu: usize) -> Result<(&Hdu, &[u8]), FitsError> {
        let h = self.hdus.get(hdu).ok_or_else(|| FitsError::Hdu {
            hdu,
            why: "does not exist".into(),
        })?;
        Ok((h, &self.bytes[h.start..h.start + h.len]))
    }

    /// The image of an HDU.
    ///
    /// # Errors
    /// If the HDU is no image, or its data end early.
    pub fn image(&self, hdu: usize) -> Result<Image<'_>, FitsError> {
        let (h, data) = self.data(hdu)?;
        let fail = |why: String| FitsError::Hdu { hdu, why };
        if h.kind == Kind::Compressed {
            let unpacked = self.unpacked[hdu].get_or_init(|| {
                let table = Table::new(h, data)?;
                tiles::unpack(&h.header, &table)
            });
            return match unpacked {
                Ok(u) => Ok(Image::unpacked(h, u)),
                Err(why) => Err(fail(why.clone())),
            };
        }
        Image::new(h, data).map_err(fail)
    }

    /// The table of an HDU.
    ///
    /// # Errors
    /// If the HDU is no table, or its header is inconsistent.
    pub fn table(&self, hdu: usize) -> Result<Table<'_>, FitsError> {
        let (h, data) = self.data(hdu)?;
        Table::new(h, data).map_err(|why| FitsError::Hdu { hdu, why })
    }
}

/// Whether [`ignore_checksums`] was called.
static IGNORED: AtomicBool = AtomicBool::new(false);

/// From now on data that do not add up to their DATASUM are read as if they did: files that were
/// edited by programs that do not update it.
pub fn ignore_checksums() {
    IGNORED.store(true, Ordering::Relaxed);
}

/// Whether data do not add up to what their header says (standard 4.0, appendix J).
fn changed(header: &Header, data: Option<&[u8]>) -> bool {
    if IGNORED.load(Ordering::Relaxed) {
        return false;
    }
    let said: Option<u32> = header.str("DATASUM").and_then(|t| t.trim().parse().ok());
    match (said, data) {
        // Zero and minus zero are one in ones' complement.
        (Some(said), Some(data)) => {
            let own = write::sum32(data, 0);
            own != said && !(own == 0 && said == u32::MAX) && !(own == u32::MAX && said == 0)
        }
        _ => false,
    }
}

/// What stands behind HDU `last` and is none: nothing is said of blanks and zeros.
fn foreign(rest: &[u8], last: usize) -> Option<String> {
    let filled = rest.iter().any(|b| !matches!(b, 0 | b' ' | b'\n' | b'\r'));
    filled.then(|| format!("{} bytes after HDU {last} are no HDU", rest.len()))
}

/// Kind and data size in bytes (standard 4.0, equations 1 and 2); `None` if it overflows.
pub(crate) fn describe(h: &Header) -> (Kind, Option<u64>) {
    let naxis = h.int("NAXIS").unwrap_or(0).clamp(0, 999);
    let bytes = h.int("BITPIX").unwrap_or(8).unsigned_abs() / 8;
    let axes: Vec<u64> = (1..=naxis)
        .map(|i| u64::try_from(h.int(&format!("NAXIS{i}")).unwrap_or(0)).unwrap_or(0))
        .collect();
    let groups = h.bool("GROUPS") == Some(true) && axes.first() == Some(&0);
    let product = |a: &[u64]| a.iter().try_fold(1u64, |p, n| p.checked_mul(*n));
    let count = if naxis == 0 {
        Some(0)
    } else if groups {
        product(&axes[1..])
    } else {
        product(&axes)
    };
    let extra = u64::try_from(h.int("PCOUNT").unwrap_or(0)).unwrap_or(0);
    let many = u64::try_from(h.int("GCOUNT").unwrap_or(1)).unwrap_or(1);
    let extension = h.str("XTENSION").unwrap_or_default();
    let extra = if extension.is_empty() && !groups {
        0
    } else {
        extra
    };
    let many = if extension.is_empty() && !groups {
        1
    } else {
        many
    };
    let size = count
        .and_then(|c| c.checked_add(if naxis == 0 { 0 } else { extra }))
        .and_then(|c| c.checked_mul(many))
        .and_then(|c| c.checked_mul(bytes));
    let kind = match extension.trim() {
        _ if groups => Kind::Other("random groups"),
        "BINTABLE" | "A3DTABLE" if h.bool("ZIMAGE") == Some(true) => Kind::Compressed,
        "BINTABLE" | "A3DTABLE" => Kind::BinTable,
        "TABLE" => Kind::AsciiTable,
        "" | "IMAGE" if size == Some(0) => Kind::Empty,
        "" | "IMAGE" => Kind::Image,
        _ => Kind::Other("an unknown extension"),
    };
    (kind, size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// No bytes panic the reader, however damaged.
        #[test]
        fn damage_never_panics(at in prop::collection::vec((0usize..20_000, any::<u8>()), 1..40), cut in 0usize..20_000) {
            let mut t = write::TableWriter::new("SPECTRA");
            t.column("WAVE", "Angstrom", write::Cells::F64(vec![4000.0, 4001.0]));
            t.column("NAME", "", write::Cells::Text(vec!["a".into(), "bc".into()]));
            let mut bytes = t.to_bytes();
            for (i, b) in at {
                let n = bytes.len();
                bytes[i % n] = b;
            }
            bytes.truncate(cut.max(10));
            if let Ok(f) = Fits::parse(bytes) {
                for i in 0..f.hdus.len() {
                    if let Ok(im) = f.image(i) {
                        let _ = im.row(0);
                    }
                    if let Ok(t) = f.table(i) {
                        for c in t.columns() {
                            let _ = (t.f64(&c.name, 0), t.text(&c.name, 0), t.scalar(&c.name, 1));
                        }
                    }
                }
            }
        }
    }

    /// Headers that promise more than the file holds are refused before anything is allocated.
    #[test]
    fn promises_are_not_believed() {
        let file = |cards: &[&str]| {
            let mut text: String = cards.iter().map(|c| format!("{c:<80}")).collect();
            text.push_str(&format!("{:<80}", "END"));
            let mut bytes = text.into_bytes();
            bytes.resize(bytes.len().next_multiple_of(2880) + 2880, b' ');
            bytes
        };
        let primary = "SIMPLE  =                    T";
        for cards in [
            vec![
                primary,
                "BITPIX  =                  -32",
                "NAXIS   =         900000000000",
                "PCOUNT  =                    1",
            ],
            vec![
                primary,
                "BITPIX  =                  -32",
                "NAXIS   =                    2",
                "NAXIS1  =       10000000000000",
                "NAXIS2  =                    0",
                "CRVAL1  =               4000.0",
                "CDELT1  =                  1.0",
            ],
            vec![
                primary,
                "BITPIX  =                    8",
                "NAXIS   =                    1",
                "NAXIS1  =  9000000000000000000",
            ],
        ] {
            let f = Fits::parse(file(&cards)).unwrap();
            assert!(f.image(0).is_err() && f.table(0).is_err());
        }
        let mut table = file(&[
            primary,
            "BITPIX  =                    8",
            "NAXIS   =                    0",
        ]);
        table.truncate(2880);
        table.extend(file(&[
            "XTENSION= 'BINTABLE'",
            "BITPIX  =                    8",
            "NAXIS   =                    2",
            "NAXIS1  =                    0",
            "NAXIS2  =     1000000000000000",
            "PCOUNT  =                    0",
            "GCOUNT  =                    1",
            "TFIELDS =                    1",
            "TFORM1  = '0D'",
            "TTYPE1  = 'FLUX'",
        ]));
        let f = Fits::parse(table).unwrap();
        assert!(f.table(1).is_err());
    }
}
