//! Catalogues of sources to cut out of images: an identifier, and a position on the sky or in pixels.
//! CSV (or text with columns apart by blanks), FITS and Parquet tables.

use std::path::Path;

use crate::fits::Fits;
use crate::formats::batch;

/// A source.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Source {
    /// As the catalogue names it; its row where it does not.
    pub id: String,
    /// Right ascension and declination in degrees.
    pub sky: Option<[f64; 2]>,
    /// Pixels from 1, as FITS and SExtractor count them.
    pub pixel: Option<[f64; 2]>,
}

const IDS: [&str; 9] = [
    "object_id",
    "id",
    "source_id",
    "number",
    "name",
    "objid",
    "targetid",
    "seqnr",
    "objectid",
];
const RA: [&str; 7] = [
    "ra",
    "ra_deg",
    "raj2000",
    "alpha_j2000",
    "alphawin_j2000",
    "ra_icrs",
    "_raj2000",
];
const DEC: [&str; 7] = [
    "dec",
    "dec_deg",
    "dej2000",
    "delta_j2000",
    "deltawin_j2000",
    "de_icrs",
    "_dej2000",
];
const X: [&str; 4] = ["x", "x_image", "xwin_image", "xpos"];
const Y: [&str; 4] = ["y", "y_image", "ywin_image", "ypos"];

/// Places of the columns that matter.
struct Places {
    id: Option<usize>,
    sky: Option<[usize; 2]>,
    pixel: Option<[usize; 2]>,
}

impl Places {
    fn of(names: &[String]) -> Result<Places, String> {
        let find = |known: &[&str]| {
            known.iter().find_map(|k| {
                let same = |n: &String| n.trim().to_lowercase() == *k;
                names.iter().position(same)
            })
        };
        let pair = |a: &[&str], b: &[&str]| Some([find(a)?, find(b)?]);
        let (sky, pixel) = (pair(&RA, &DEC), pair(&X, &Y));
        if sky.is_none() && pixel.is_none() {
            return Err(format!(
                "no position among the columns {}: expected ra and dec in degrees, or x and y in \
                 pixels from 1",
                names.join(", ")
            ));
        }
        let id = find(&IDS);
        Ok(Places { id, sky, pixel })
    }

    /// A source from the number and the text of a column.
    fn source(
        &self,
        row: usize,
        number: &dyn Fn(usize) -> f64,
        text: &dyn Fn(usize) -> String,
    ) -> Source {
        let pair = |p: Option<[usize; 2]>| {
            p.map(|[a, b]| [number(a), number(b)])
                .filter(|v| v.iter().all(|v| v.is_finite()))
        };
        let sky = pair(self.sky).filter(|[_, dec]| dec.abs() <= 90.0);
        let named = self.id.map(text).filter(|t| !t.is_empty());
        Source {
            id: named.unwrap_or_else(|| (row + 1).to_string()),
            sky,
            pixel: pair(self.pixel),
        }
    }
}

/// Reads a catalogue of sources, in its order.
///
/// # Errors
/// A file that cannot be read, or has no positions: what it has.
pub fn read(path: &Path) -> Result<Vec<Source>, String> {
    let bytes = crate::fits::read_bytes(path).map_err(|e| e.to_string())?;
    if bytes.starts_with(b"SIMPLE") {
        of_fits(bytes)
    } else if bytes.starts_with(b"PAR1") {
        of_parquet(bytes)
    } else {
        let text = String::from_utf8(bytes).map_err(|_| "neither text, FITS nor Parquet")?;
        of_text(&text)
    }
}

fn of_text(text: &str) -> Result<Vec<Source>, String> {
    let mut lines = text
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .peekable();
    let first = lines
        .next()
        .ok_or("is empty")?
        .trim_start_matches('#')
        .trim();
    let commas = first.contains(',');
    let split = |l: &str| -> Vec<String> {
        let clean = |p: &str| p.trim().trim_matches('"').to_owned();
        if commas {
            l.split(',').map(clean).collect()
        } else {
            l.split_whitespace().map(clean).collect()
        }
    };
    let names = split(first);
    let places = Places::of(&names)?;
    let rows = lines.filter(|l| !l.starts_with('#')).enumerate();
    rows.map(|(row, line)| {
        let parts = split(line);
        if parts.len() != names.len() {
            return Err(format!(
                "row {row}: {} values under {} columns: '{line}'",
                parts.len(),
                names.len()
            ));
        }
        let number = |i: usize| parts[i].parse().unwrap_or(f64::NAN);
        Ok(places.source(row, &number, &|i| parts[i].clone()))
    })
    .collect()
}

fn of_fits(bytes: Vec<u8>) -> Result<Vec<Source>, String> {
    let f = Fits::parse(bytes).map_err(|e| e.to_string())?;
    let (hdu, t) = (0..f.hdus.len())
        .find_map(|h| Some((h, f.table(h).ok().filter(|t| t.rows() > 0)?)))
        .ok_or("no HDU holds a table with rows")?;
    let names: Vec<String> = t.columns().iter().map(|c| c.name.clone()).collect();
    let places = Places::of(&names).map_err(|e| format!("HDU {hdu}: {e}"))?;
    let row = |r: usize| {
        let number = |i: usize| t.scalar(&names[i], r).unwrap_or(f64::NAN);
        let text = |i: usize| t.identifier(&names[i], r).unwrap_or_default();
        places.source(r, &number, &text)
    };
    Ok((0..t.rows()).map(row).collect())
}

fn of_parquet(bytes: Vec<u8>) -> Result<Vec<Source>, String> {
    crate::thrift::check_parquet(&mut std::io::Cursor::new(&bytes))?;
    let damaged = |e: parquet::errors::ParquetError| format!("damaged Parquet: {e}");
    let builder = crate::thrift::open_parquet(bytes::Bytes::from(bytes))?;
    let reader = builder.build().map_err(damaged)?;
    let mut all: Vec<Source> = vec![];
    for batch in reader {
        let rows = batch.map_err(|e| format!("damaged Parquet: {e}"))?;
        let names: Vec<String> = rows
            .schema()
            .fields()
            .iter()
            .map(|f| f.name().clone())
            .collect();
        let places = Places::of(&names)?;
        for r in 0..rows.num_rows() {
            let number = |i: usize| batch::number(rows.column(i), r);
            let text = |i: usize| batch::text(rows.column(i), r).unwrap_or_default();
            all.push(places.source(all.len(), &number, &text));
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_its_faults() {
        let found = of_text("# ID, RA, Dec, mag\n7, 10.5, -3, 20\na b, nan, 2, 21\n").unwrap();
        assert_eq!(
            (found[0].id.as_str(), found[0].sky),
            ("7", Some([10.5, -3.0]))
        );
        assert_eq!((found[1].id.as_str(), found[1].sky), ("a b", None));
        let found = of_text("X_IMAGE Y_IMAGE\n100.5 200\n").unwrap();
        assert_eq!(
            (found[0].id.as_str(), found[0].pixel),
            ("1", Some([100.5, 200.0]))
        );
        assert!(of_text("a,b\n1,2\n").unwrap_err().contains("expected ra"));
        assert!(of_text("ra,dec\n1\n").unwrap_err().contains("row 0"));
    }
}
