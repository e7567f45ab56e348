//! Files of images, recognised by content: FITS, NumPy, PNG, JPEG and TIFF, alerts in Avro, Parquet, and
//! zip and tar archives of them.
//!
//! [`read`] calls back once a cutout, so that an archive of a million stamps needs the memory of
//! one; a cutout that cannot be read comes as the reason.

mod alert;
pub mod batch;
pub(crate) mod fits;
mod npy;
mod packet;
mod parquet;
pub mod picture;
mod tar;
pub mod write;

use std::io::Read;
use std::path::Path;

use crate::cutout::Cutout;
use crate::fits::{MAX_BYTES, read_bytes};

/// One image of a file, or why there is none.
#[derive(Clone, Debug)]
pub struct Row {
    /// File, and for archives the entry: `archive.zip/folder/name.png`.
    pub source: String,
    /// Number in it: HDU, row or plane.
    pub row: usize,
    /// What was read, or why not.
    pub cutout: Result<Cutout, String>,
}

/// What the user knows better than the file.
#[derive(Clone, Debug, Default)]
pub struct CutoutOptions {
    /// Names of the bands, in the order of the planes.
    pub bands: Vec<String>,
    /// Point-spread function for images that bring none: height, width, `[row][column]`.
    pub psf: Option<(usize, usize, Vec<f32>)>,
    /// Whether point-spread functions lack the pixel (optical), or are stars as the detector sees
    /// them.
    pub optical_psf: bool,
    /// AB magnitude of one unit of flux, for images that do not say it.
    pub zero_point: Option<f64>,
}

/// Name of the zero point among what a survey says.
pub const ZERO_POINT: &str = "zeropoint";

/// Reads a point-spread function: the first image of a file.
///
/// # Errors
/// No image in it, or one without light.
pub fn psf_file(path: &Path) -> Result<(usize, usize, Vec<f32>), String> {
    let mut found = None;
    read(path, &CutoutOptions::default(), &mut |r| {
        found = Some(r.cutout);
        false
    })?;
    let c = found.ok_or("no image in it")??;
    let pixels = c.band(0).to_vec();
    let sum: f64 = pixels.iter().map(|v| f64::from(*v)).sum();
    if !(sum > 0.0 && sum.is_finite()) {
        return Err("its pixels sum up to nothing: expected a point-spread function".into());
    }
    Ok((c.height, c.width, pixels))
}

/// Adds what the options know and the image does not say.
fn completed(mut c: Cutout, options: &CutoutOptions) -> Cutout {
    if let (true, Some(psf)) = (c.psf.2.is_empty(), &options.psf) {
        c.psf.clone_from(psf);
    }
    c.optical_psf = options.optical_psf;
    let told = c.survey.iter().any(|s| s.0 == ZERO_POINT);
    if let (false, Some(z)) = (told, options.zero_point) {
        c.survey.push((ZERO_POINT.to_owned(), z));
    }
    c
}

/// Endings of files that may hold images.
pub const ENDINGS: [&str; 14] = [
    "fits", "fit", "fts", "fz", "npy", "png", "jpg", "jpeg", "tif", "tiff", "avro", "parquet",
    "zip", "tar",
];

/// Most bytes that an entry of an archive may inflate to.
const MAX_ENTRY: u64 = 1 << 30;

/// Reads a file; false from `each` ends the reading.
///
/// # Errors
/// A file that cannot be opened or whose format is not known: what it begins with, and what would
/// be read.
pub fn read(
    path: &Path,
    options: &CutoutOptions,
    each: &mut dyn FnMut(Row) -> bool,
) -> Result<(), String> {
    let mut head = [0u8; 8];
    let mut file = std::fs::File::open(path).map_err(|e| format!("cannot read: {e}"))?;
    let n = file
        .read(&mut head)
        .map_err(|e| format!("cannot read: {e}"))?;
    let source = path.display().to_string();
    match &head[..n] {
        h if h.starts_with(b"PAR1") => parquet::read(path, options, each),
        h if h.starts_with(b"PK\x03\x04") => archive(path, options, each),
        _ if tar::is(&mut file) => tar::read(path, options, each),
        _ => content(
            &source,
            read_bytes(path).map_err(|e| e.to_string())?,
            options,
            each,
        )
        .map(|_| ()),
    }
}

/// Reads the bytes of one file, unpacked; whether to go on.
///
/// # Errors
/// Bytes of no format that is known.
pub fn content(
    source: &str,
    bytes: Vec<u8>,
    options: &CutoutOptions,
    each: &mut dyn FnMut(Row) -> bool,
) -> Result<bool, String> {
    match () {
        () if bytes.starts_with(b"SIMPLE") => fits::read(source, bytes, options, each),
        () if bytes.starts_with(b"\x93NUMPY") => npy::read(source, &bytes, options, each),
        () if bytes.starts_with(b"Obj\x01") => alert::read(source, &bytes, each),
        () if packet::is(&bytes) => packet::read(source, &bytes, each),
        () if picture::is(&bytes) => {
            let cutout = picture::decode(&bytes).and_then(|c| named(c, source, 0, options));
            Ok(each(Row { source: source.to_owned(), row: 0, cutout }))
        }
        () if bytes.first() == Some(&0) && source.ends_with(".avro") => {
            Err("an Avro message without its schema (Confluent's wire format): write it with the schema, as an Avro object container file".into())
        }
        () => {
            let start: String = bytes.iter().take(8).map(|b| if b.is_ascii_graphic() { *b as char } else { '.' }).collect();
            Err(format!(
                "begins with '{start}', which is none of the formats read: FITS, NumPy .npy, PNG, JPEG, TIFF, alerts in Avro or JSON, Parquet with images, zip or tar of these"
            ))
        }
    }
}

/// Gives names that the file does not.
fn named(
    mut c: Cutout,
    source: &str,
    row: usize,
    options: &CutoutOptions,
) -> Result<Cutout, String> {
    if c.object_id.is_empty() {
        let stem = Path::new(source)
            .file_name()
            .map(|n| n.to_string_lossy().into_owned())
            .unwrap_or_default();
        let stem = ENDINGS.iter().chain(["gz"].iter()).fold(stem, |s, e| {
            s.strip_suffix(&format!(".{e}"))
                .map(str::to_owned)
                .unwrap_or(s)
        });
        c.object_id = if row > 0 {
            format!("{stem}#{row}")
        } else {
            stem
        };
    }
    with_options(c, options)
}

/// What the options know and the image does not say: point-spread function, zero point, names of bands.
///
/// # Errors
/// Another number of names than of planes.
fn with_options(mut c: Cutout, options: &CutoutOptions) -> Result<Cutout, String> {
    c = completed(c, options);
    let nameless = c.bands.iter().all(String::is_empty);
    if options.bands.is_empty() || !nameless {
        return Ok(c);
    }
    if options.bands.len() != c.bands.len() {
        return Err(format!(
            "{} planes without names, but bands names {}: {}",
            c.bands.len(),
            options.bands.len(),
            options.bands.join(", ")
        ));
    }
    c.bands.clone_from(&options.bands);
    Ok(c)
}

fn archive(
    path: &Path,
    options: &CutoutOptions,
    each: &mut dyn FnMut(Row) -> bool,
) -> Result<(), String> {
    let file = std::fs::File::open(path).map_err(|e| format!("cannot read: {e}"))?;
    let mut zip = zip::ZipArchive::new(std::io::BufReader::new(file))
        .map_err(|e| format!("not a zip archive: {e}"))?;
    let mut names: Vec<(usize, String)> = (0..zip.len())
        .filter_map(|i| zip.name_for_index(i).map(|n| (i, n.to_owned())))
        .collect();
    names.retain(|(_, n)| {
        ENDINGS.iter().any(|e| {
            n.to_lowercase()
                .trim_end_matches(".gz")
                .ends_with(&format!(".{e}"))
        }) && !n.contains("__MACOSX")
    });
    names.sort_by(|a, b| a.1.cmp(&b.1));
    if names.is_empty() {
        return Err(
            "the archive holds no images: expected .png, .jpg, .fits, .npy or .avro in it".into(),
        );
    }
    for (i, name) in names {
        let source = format!("{}/{name}", path.display());
        let bytes = entry(&mut zip, i);
        let done = bytes.and_then(|b| content(&source, b, options, each));
        match done {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(why) => {
                if !each(Row {
                    source,
                    row: 0,
                    cutout: Err(why),
                }) {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

fn entry(
    zip: &mut zip::ZipArchive<std::io::BufReader<std::fs::File>>,
    i: usize,
) -> Result<Vec<u8>, String> {
    let entry = zip.by_index(i).map_err(|e| e.to_string())?;
    let mut bytes = Vec::new();
    entry
        .take(MAX_ENTRY + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| e.to_string())?;
    if bytes.len() as u64 > MAX_ENTRY {
        return Err(format!("larger than {} MiB unpacked", MAX_ENTRY >> 20));
    }
    inflate(bytes)
}

/// Bytes of a gzip member, or the bytes themselves.
fn inflate(bytes: Vec<u8>) -> Result<Vec<u8>, String> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(bytes);
    }
    let mut out = Vec::new();
    flate2::read::MultiGzDecoder::new(&bytes[..])
        .take(MAX_BYTES.min(MAX_ENTRY) + 1)
        .read_to_end(&mut out)
        .map_err(|e| format!("broken gzip: {e}"))?;
    if out.len() as u64 > MAX_ENTRY {
        Err(format!("larger than {} MiB unpacked", MAX_ENTRY >> 20))
    } else {
        Ok(out)
    }
}

#[cfg(test)]
mod tests;
