//! Cutouts out: FITS, and Parquet for data sets.

use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{FixedSizeListBuilder, Float32Builder, ListBuilder};
use arrow_array::{ArrayRef, Float32Array, Float64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;

use crate::atomic::PendingFile;
use crate::cutout::Cutout;

const BLOCK: usize = 2880;

/// Bytes of a FITS file with an image HDU for each cutout: `[band][row][column]`, 32-bit floats.
pub fn fits(cutouts: &[Cutout]) -> Vec<u8> {
    let mut out = Vec::new();
    for (i, c) in cutouts.iter().enumerate() {
        let mut cards = vec![
            if i == 0 {
                card("SIMPLE", "T")
            } else {
                "XTENSION= 'IMAGE   '".into()
            },
            card("BITPIX", "-32"),
        ];
        let axes = if c.bands.len() > 1 {
            vec![c.width, c.height, c.bands.len()]
        } else {
            vec![c.width, c.height]
        };
        cards.push(card("NAXIS", &axes.len().to_string()));
        cards.extend(
            axes.iter()
                .enumerate()
                .map(|(k, n)| card(&format!("NAXIS{}", k + 1), &n.to_string())),
        );
        if i == 0 {
            cards.push(card("EXTEND", "T"));
        } else {
            cards.extend([card("PCOUNT", "0"), card("GCOUNT", "1")]);
        }
        let text = |k: &str, v: &str| {
            format!(
                "{k:<8}= '{:<8}'",
                v.replace('\'', "''")
                    .chars()
                    .filter(|c| c.is_ascii() && !c.is_control())
                    .take(60)
                    .collect::<String>()
            )
        };
        cards.push(text("OBJECT", &c.object_id));
        if c.bands.iter().any(|b| !b.is_empty()) {
            cards.extend(
                c.bands
                    .iter()
                    .enumerate()
                    .map(|(k, b)| text(&format!("BAND{}", k + 1), b)),
            );
        }
        for (k, v) in [("RA", c.ra), ("DEC", c.dec), ("PIXSCALE", c.pixel_scale)] {
            if v.is_finite() {
                cards.push(card(k, &format!("{v:.9}")));
            }
        }
        cards.push("END".into());
        let start = out.len();
        cards
            .iter()
            .for_each(|c| out.extend(format!("{c:<80}").into_bytes()));
        fill(&mut out, start, b' ');
        let start = out.len();
        c.pixels.iter().for_each(|v| out.extend(v.to_be_bytes()));
        fill(&mut out, start, 0);
    }
    out
}

fn card(key: &str, value: &str) -> String {
    format!("{key:<8}= {value:>20}")
}

fn fill(out: &mut Vec<u8>, start: usize, with: u8) {
    out.resize(start + (out.len() - start).next_multiple_of(BLOCK), with);
}

/// Writes cutouts with their labels and answers to Parquet, atomically; readable by
/// [`super::read`], with point-spread functions, variances and masks. Cutouts of one size are lists
/// of fixed length, others of their own. Truths are a column for each of `outputs`, or, where they
/// are images, a list `truth` as the head's target has it.
///
/// # Errors
/// The file cannot be written.
pub fn parquet(
    path: &Path,
    rows: &[(Cutout, Vec<f32>, f32)],
    outputs: &[&str],
    depth: &str,
) -> Result<(), String> {
    let Some((first, ..)) = rows.first() else {
        return Err("nothing to write".into());
    };
    let n = first.pixels.len();
    let alike = rows.iter().all(|(c, ..)| c.pixels.len() == n);
    let mut fixed = FixedSizeListBuilder::new(Float32Builder::new(), n as i32);
    let mut own = ListBuilder::new(Float32Builder::new());
    let mut shapes = ListBuilder::new(Float32Builder::new());
    for (c, ..) in rows {
        if alike {
            fixed.values().append_slice(&c.pixels);
            fixed.append(true);
        } else {
            own.values().append_slice(&c.pixels);
            own.append(true);
        }
        shapes
            .values()
            .append_slice(&[c.bands.len() as f32, c.height as f32, c.width as f32]);
        shapes.append(true);
    }
    let images: ArrayRef = if alike {
        Arc::new(fixed.finish())
    } else {
        Arc::new(own.finish())
    };
    let bands = rows.iter().map(|r| r.0.bands.join(","));
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        (
            "object_id",
            Arc::new(StringArray::from_iter_values(
                rows.iter().map(|r| &r.0.object_id),
            )),
        ),
        (
            "label",
            Arc::new(StringArray::from_iter(
                rows.iter().map(|r| r.0.label.as_deref()),
            )),
        ),
        (
            depth,
            Arc::new(Float32Array::from_iter_values(rows.iter().map(|r| r.2))),
        ),
        (
            "pixel_scale",
            Arc::new(Float64Array::from_iter_values(
                rows.iter().map(|r| r.0.pixel_scale),
            )),
        ),
        ("bands", Arc::new(StringArray::from_iter_values(bands))),
        ("shape", Arc::new(shapes.finish())),
        ("image", images),
    ];
    let lists = |of: &dyn Fn(&Cutout) -> Vec<f32>| -> Option<ArrayRef> {
        let all: Vec<Vec<f32>> = rows.iter().map(|r| of(&r.0)).collect();
        let mut b = ListBuilder::new(Float32Builder::new());
        for v in &all {
            b.values().append_slice(v);
            b.append(!v.is_empty());
        }
        all.iter()
            .any(|v| !v.is_empty())
            .then(|| Arc::new(b.finish()) as ArrayRef)
    };
    let square = |c: &Cutout| {
        if c.psf.0 == c.psf.1 {
            c.psf.2.clone()
        } else {
            vec![]
        }
    };
    let mask = |c: &Cutout| c.mask.iter().map(|m| f32::from(*m)).collect();
    let beside = [
        ("psf", lists(&square)),
        ("variance", lists(&|c| c.variance.clone())),
        ("mask", lists(&mask)),
    ];
    columns.extend(beside.into_iter().filter_map(|(name, a)| Some((name, a?))));
    // A truth that is an image is a list of its own: its outputs have the names of images.
    let single = rows.iter().all(|r| r.1.len() == outputs.len());
    if !single {
        let mut truths = ListBuilder::new(Float32Builder::new());
        for (_, truth, _) in rows {
            truths.values().append_slice(truth);
            truths.append(true);
        }
        columns.push(("truth", Arc::new(truths.finish())));
    }
    for (k, name) in outputs.iter().enumerate().filter(|_| single) {
        columns.push((
            name,
            Arc::new(Float32Array::from_iter_values(rows.iter().map(|r| r.1[k]))),
        ));
    }
    let batch = RecordBatch::try_from_iter(columns).map_err(|e| e.to_string())?;
    let pending = PendingFile::create(path).map_err(|e| e.to_string())?;
    let file = pending.handle().map_err(|e| e.to_string())?;
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).map_err(|e| e.to_string())?;
    writer.write(&batch).map_err(|e| e.to_string())?;
    writer.close().map_err(|e| e.to_string())?;
    pending.finish().map_err(|e| e.to_string())
}
