//! Cutouts in FITS: one image, a cube of bands, a stack of objects, or an HDU each.

use super::{CutoutOptions, Row, named};
use crate::cutout::Cutout;
use crate::fits::{Fits, Hdu, Header, Kind};

/// Most planes of a cube that are taken for bands of one object.
const MOST_BANDS: usize = 12;
/// Most pixels of a side: larger images are not cutouts.
const MOST_SIDE: usize = 8192;

/// What an image is for.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Role {
    Pixels,
    Variance,
    Sigma,
    InverseVariance,
    Mask,
    Psf,
}

/// By the name of the HDU.
pub(crate) fn role(h: &Header) -> Role {
    let name = h.str("EXTNAME").unwrap_or_default().to_uppercase();
    match name.trim() {
        "VARIANCE" | "VAR" => Role::Variance,
        "ERR" | "ERROR" | "SIGMA" | "SIG" | "NOISE" | "RMS" | "STDDEV" => Role::Sigma,
        "IVAR" | "INVVAR" | "WEIGHT" | "WHT" => Role::InverseVariance,
        "MASK" | "DQ" | "FLAGS" => Role::Mask,
        "PSF" => Role::Psf,
        _ => Role::Pixels,
    }
}

/// Images, also damaged and compressed ones; not tables, nor spectra beside the images.
fn may_hold_image(h: &Hdu) -> bool {
    match h.kind {
        Kind::Image => h.header.int("NAXIS").unwrap_or(0) > 1,
        Kind::Compressed => h.header.int("ZNAXIS").unwrap_or(0) > 1,
        Kind::Other(_) => h.truncated,
        Kind::Empty | Kind::BinTable | Kind::AsciiTable => false,
    }
}

/// Pixels of an HDU: objects × bands × height × width.
struct Block {
    hdu: usize,
    size: [usize; 4],
    pixels: Vec<f32>,
}

fn block(f: &Fits, hdu: usize, options: &CutoutOptions) -> Result<Block, String> {
    let image = f.image(hdu).map_err(|e| e.to_string())?;
    let mut axes = image.axes.clone();
    while axes.len() > 2 && axes.last() == Some(&1) {
        axes.pop();
    }
    let (w, h) = match axes.as_slice() {
        [w, h, ..] => (*w, *h),
        _ => return Err(format!("HDU {hdu}: {} axis, expected an image", axes.len())),
    };
    if w > MOST_SIDE || h > MOST_SIDE {
        return Err(format!(
            "HDU {hdu}: {w} × {h} pixels is no cutout; cut stamps of at most {MOST_SIDE} pixels around the objects first"
        ));
    }
    let known = options.bands.len();
    let (objects, bands) = match axes[2..] {
        [] => (1, 1),
        [n] if n == known || (known == 0 && n <= MOST_BANDS) => (1, n),
        [n] if known > 1 && n % known == 0 => (n / known, known),
        [n] => (n, 1),
        [b, n] => (n, b),
        _ => return Err(format!("HDU {hdu}: {} axes, expected 2 to 4", axes.len())),
    };
    let pixels: Vec<f32> = (0..image.rows())
        .flat_map(|r| image.row(r))
        .map(|v| v as f32)
        .collect();
    Ok(Block {
        hdu,
        size: [objects, bands, h, w],
        pixels,
    })
}

pub(super) fn read(
    source: &str,
    bytes: Vec<u8>,
    options: &CutoutOptions,
    each: &mut dyn FnMut(Row) -> bool,
) -> Result<bool, String> {
    let f = Fits::parse(bytes).map_err(|e| e.to_string())?;
    let mut blocks = Vec::new();
    let mut besides: Vec<(Role, Block)> = Vec::new();
    let mut bad: Vec<(usize, String)> = Vec::new();
    for hdu in (0..f.hdus.len()).filter(|hdu| may_hold_image(&f.hdus[*hdu])) {
        match (role(&f.hdus[hdu].header), block(&f, hdu, options)) {
            (Role::Pixels, Ok(b)) => blocks.push(b),
            (r, Ok(b)) => besides.push((r, b)),
            (_, Err(e)) => bad.push((hdu, e)),
        }
    }
    if blocks.is_empty() {
        return Err(bad
            .into_iter()
            .next()
            .map_or_else(|| "no HDU holds an image".to_owned(), |b| b.1));
    }
    for (row, why) in bad {
        if !each(Row {
            source: source.to_owned(),
            row,
            cutout: Err(why),
        }) {
            return Ok(false);
        }
    }
    let filters: Vec<Option<String>> = blocks
        .iter()
        .map(|b| filter(&f.hdus[b.hdu].header))
        .collect();
    let distinct: std::collections::HashSet<_> = filters.iter().flatten().collect();
    let alike = blocks.len() > 1
        && blocks
            .iter()
            .all(|b| b.size[2..] == blocks[0].size[2..] && b.size[..2] == [1, 1]);
    if alike && distinct.len() == blocks.len() && blocks.len() <= MOST_BANDS {
        // An HDU for each band of one object.
        let pixels: Vec<f32> = blocks
            .iter()
            .flat_map(|b| b.pixels.iter().copied())
            .collect();
        let joined = Block {
            hdu: blocks[0].hdu,
            size: [1, blocks.len(), blocks[0].size[2], blocks[0].size[3]],
            pixels,
        };
        let bands = filters.into_iter().flatten().collect();
        return Ok(give(source, &f, &joined, bands, &besides, options, each));
    }
    for b in &blocks {
        let header = &f.hdus[b.hdu].header;
        let bands = band_names(header, b.size[1]);
        if !give(source, &f, b, bands, &besides, options, each) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Hands the objects of a block out.
fn give(
    source: &str,
    f: &Fits,
    b: &Block,
    bands: Vec<String>,
    besides: &[(Role, Block)],
    options: &CutoutOptions,
    each: &mut dyn FnMut(Row) -> bool,
) -> bool {
    let [objects, count, h, w] = b.size;
    let header = &f.hdus[b.hdu].header;
    let n = count * h * w;
    for (i, pixels) in b.pixels.chunks_exact(n.max(1)).take(objects).enumerate() {
        let row = if objects > 1 { i } else { b.hdu };
        let names: Vec<&str> = bands.iter().map(String::as_str).collect();
        let cutout = Cutout::new(&names, h, w, pixels.to_vec()).and_then(|mut c| {
            let range = i * n..(i + 1) * n;
            for (role, beside) in besides {
                let part = beside
                    .pixels
                    .get(range.clone())
                    .filter(|_| beside.size[2..] == b.size[2..]);
                match (role, part) {
                    (Role::Psf, _) => {
                        c.psf = (beside.size[2], beside.size[3], beside.pixels.clone())
                    }
                    (Role::Variance, Some(v)) => c.variance = v.to_vec(),
                    (Role::Sigma, Some(v)) => c.variance = v.iter().map(|s| s * s).collect(),
                    (Role::InverseVariance, Some(v)) => {
                        c.variance = v
                            .iter()
                            .map(|s| if *s > 0.0 { 1.0 / s } else { f32::NAN })
                            .collect()
                    }
                    (Role::Mask, Some(v)) => {
                        c.mask = v.iter().map(|m| u8::from(*m != 0.0)).collect()
                    }
                    _ => {}
                }
            }
            if objects == 1 {
                c.object_id = header
                    .str("OBJECT")
                    .or(header.str("OBJID"))
                    .unwrap_or_default()
                    .trim()
                    .to_owned();
                place(header, &mut c);
            }
            // Of one unit of flux, as surveys and SExtractor's users write it.
            let zero = [
                "MAGZERO", "MAGZPT", "ZEROPNT", "ZEROPOIN", "MAGZP", "PHOTZP", "ZPAB",
            ]
            .iter()
            .find_map(|k| header.float(k));
            if let Some(z) = zero.filter(|z| (10.0..40.0).contains(z)) {
                c.survey.push((super::ZERO_POINT.to_owned(), z));
            }
            let mut c = named(
                c,
                source,
                if f.hdus.len() > 1 || objects > 1 {
                    row
                } else {
                    0
                },
                options,
            )?;
            if c.bands.iter().any(String::is_empty) && c.bands.len() > 1 {
                c.notes.push(
                    "bands are not named in the file: taken in the order of the planes".into(),
                );
            }
            Ok(c)
        });
        if !each(Row {
            source: source.to_owned(),
            row,
            cutout,
        }) {
            return false;
        }
    }
    true
}

pub(crate) fn filter(h: &Header) -> Option<String> {
    let text = ["FILTER", "BAND", "FILTER1"]
        .iter()
        .find_map(|k| h.str(k))
        .or_else(|| h.str("EXTNAME"))
        .map(str::trim)?;
    (!text.is_empty()).then(|| text.to_owned())
}

/// Names of `n` bands: BANDS ('ugriz' or 'u,g,r'), BAND1…, or one FILTER.
pub(crate) fn band_names(h: &Header, n: usize) -> Vec<String> {
    let list = h
        .str("BANDS")
        .or(h.str("FILTERS"))
        .unwrap_or_default()
        .trim()
        .to_owned();
    let split: Vec<String> = if list.contains([',', ' ']) {
        list.split([',', ' '])
            .filter(|s| !s.is_empty())
            .map(str::to_owned)
            .collect()
    } else {
        list.chars().map(String::from).collect()
    };
    if split.len() == n {
        return split;
    }
    let first = usize::from(h.str("BAND0").is_none());
    let numbered: Vec<String> = (first..first + n)
        .filter_map(|i| h.str(&format!("BAND{i}")))
        .map(|s| s.trim().to_owned())
        .collect();
    if numbered.len() == n {
        return numbered;
    }
    if n == 1 {
        vec![filter(h).unwrap_or_default()]
    } else {
        vec![String::new(); n]
    }
}

/// Position of the middle and pixel scale, from a linear world coordinate system.
fn place(h: &Header, c: &mut Cutout) {
    let cd = |i: usize, j: usize| {
        h.float(&format!("CD{i}_{j}"))
            .or_else(|| {
                if i == j {
                    h.float(&format!("CDELT{i}"))
                } else {
                    None
                }
            })
            .unwrap_or(0.0)
    };
    let (m, det) = (
        [[cd(1, 1), cd(1, 2)], [cd(2, 1), cd(2, 2)]],
        cd(1, 1) * cd(2, 2) - cd(1, 2) * cd(2, 1),
    );
    let sky = h.str("CTYPE1").is_some_and(|t| t.starts_with("RA"));
    if det != 0.0 && sky {
        c.pixel_scale = 3600.0 * det.abs().sqrt();
        if let (Some(ra), Some(dec), Some(x), Some(y)) = (
            h.float("CRVAL1"),
            h.float("CRVAL2"),
            h.float("CRPIX1"),
            h.float("CRPIX2"),
        ) {
            let (dx, dy) = (
                0.5 * (c.width as f64 + 1.0) - x,
                0.5 * (c.height as f64 + 1.0) - y,
            );
            c.dec = dec + m[1][0] * dx + m[1][1] * dy;
            c.ra = (ra + (m[0][0] * dx + m[0][1] * dy) / c.dec.to_radians().cos().max(1e-6))
                .rem_euclid(360.0);
        }
    } else if let Some(s) = h.float("PIXSCALE").or(h.float("PIXELSCL")) {
        c.pixel_scale = s;
    }
    if c.ra.is_nan() {
        let number = |k: &str| h.float(k).filter(|v| v.is_finite());
        if let (Some(ra), Some(dec)) = (number("RA"), number("DEC")) {
            (c.ra, c.dec) = (ra, dec);
        }
    }
}
