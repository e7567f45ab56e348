//! `slipher predict SYSTEM image.fits -o NAME.fits` of systems that answer with images: a whole image
//! in, a whole image out.

use std::path::{Path, PathBuf};

use miette::{IntoDiagnostic, Result};
use slipher_data::atomic::atomic_write;
use slipher_data::fits::header::Value;
use slipher_data::fits::write::{Picture, pictures};
use slipher_data::fits::{Fits, Kind};
use slipher_systems::answers::Answerer;
use slipher_systems::mosaic::restore;

use crate::Outcome;

/// Cards that describe how an image is stored, not what it shows.
const OWN: [&str; 18] = [
    "SIMPLE", "XTENSION", "BITPIX", "NAXIS", "EXTEND", "PCOUNT", "GCOUNT", "TFIELDS", "BSCALE",
    "BZERO", "BLANK", "CHECKSUM", "DATASUM", "EXTNAME", "EXTVER", "ZIMAGE", "DATAMIN", "DATAMAX",
];

/// Restores the one image of a file; writes image and error.
pub fn whole(a: &Answerer, files: &[PathBuf], out: &Path, quiet: bool) -> Result<Outcome> {
    let [file] = files else {
        return Err(miette::miette!(
            "{}: a restored image is of one file; give one, or -o NAME.parquet for stamps",
            out.display()
        ));
    };
    let cutouts = a
        .cutouts_of(file)
        .map_err(|e| miette::miette!("{}: {e}", file.display()))?;
    let [c] = cutouts.as_slice() else {
        return Err(miette::miette!(
            "{}: {} images: expected one; give -o NAME.parquet for stamps",
            file.display(),
            cutouts.len()
        ));
    };
    let m = restore(a, c).map_err(|e| miette::miette!("{}: {e}", file.display()))?;
    let header = header(file);
    let made: Vec<(String, String)> = [
        ("CREATOR", format!("slipher {}", env!("CARGO_PKG_VERSION"))),
        ("MODEL", a.model.id.clone()),
        ("MODELSHA", a.model.sha256.chars().take(16).collect()),
    ]
    .into_iter()
    .map(|(k, v)| (k.to_owned(), v))
    .collect();
    let picture = |name, data, keywords| Picture {
        name,
        keywords,
        copied: &header,
        width: c.width,
        data,
    };
    let bytes = pictures(
        false,
        &[
            picture("RESTORED", &m.image, &made),
            picture("ERROR", &m.error, &[]),
        ],
    );
    atomic_write(out, bytes).into_diagnostic()?;
    m.left_out.iter().for_each(|why| {
        tell!(
            "slipher: {}: a part was left out (NaN): {why}",
            file.display()
        )
    });
    let (squares, poor) = m.squares;
    if poor > 0 {
        tell!(
            "slipher: {}: {poor} of {squares} parts, blurred again, are not the image (χ² above 1.3): is the \
             point-spread function theirs?",
            file.display()
        );
    }
    if !quiet {
        tell!(
            "{} × {} pixels in {squares} parts. Wrote {} (HDUs RESTORED, ERROR)",
            c.width,
            c.height,
            out.display()
        );
    }
    Ok(if m.left_out.is_empty() {
        Outcome::Good
    } else {
        Outcome::SomeFailed
    })
}

/// What the header of the image says, of its place on the sky and the rest.
fn header(file: &Path) -> Vec<(String, Value)> {
    let Ok(f) = Fits::open(file) else {
        return vec![];
    };
    let is_image = |h: &&slipher_data::fits::Hdu| {
        matches!(h.kind, Kind::Image | Kind::Compressed) && h.header.int("NAXIS").unwrap_or(0) > 1
    };
    let Some(hdu) = f.hdus.iter().find(is_image) else {
        return vec![];
    };
    let kept = |(key, _): &&(String, Value)| {
        let stored = OWN.contains(&key.as_str())
            || key.starts_with("NAXIS")
            || key.starts_with('Z') && hdu.kind == Kind::Compressed
            || key.starts_with("TTYPE")
            || key.starts_with("TFORM");
        !stored && key.len() <= 8
    };
    hdu.header.cards().iter().filter(kept).cloned().collect()
}
