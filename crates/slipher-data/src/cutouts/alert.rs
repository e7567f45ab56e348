//! Alerts of ZTF, LSST, DECam and WINTER in Avro: a candidate with stamps of the new image, the
//! template and their difference.

use apache_avro::types::Value;

use super::{Row, inflate};
use crate::cutout::Cutout;
use crate::fits::Fits;

/// Stamps in the order of the bands of the cutout.
pub const BANDS: [&str; 3] = ["template", "science", "difference"];
/// Numbers of the candidate that are kept.
const NUMBERS: [&str; 13] = [
    "rb",
    "drb",
    "braai",
    "reliability",
    "magpsf",
    "sigmapsf",
    "fwhm",
    "classtar",
    "isdiffpos",
    "nneg",
    "nbad",
    "snr",
    "ssdistnr",
];

pub(super) fn read(
    source: &str,
    bytes: &[u8],
    each: &mut dyn FnMut(Row) -> bool,
) -> Result<bool, String> {
    apache_avro::util::max_allocation_bytes(1 << 28);
    let reader = apache_avro::Reader::new(bytes).map_err(|e| format!("damaged Avro: {e}"))?;
    for (row, value) in reader.enumerate() {
        let damaged = value.is_err();
        let cutout = value
            .map_err(|e| format!("damaged Avro: {e}; what follows in the file cannot be read"))
            .and_then(|v| alert(&v));
        if !each(Row {
            source: source.to_owned(),
            row,
            cutout,
        }) {
            return Ok(false);
        }
        // After a damaged record the reader does not find the next.
        if damaged {
            break;
        }
    }
    Ok(true)
}

/// The value under unions.
fn plain(v: &Value) -> &Value {
    if let Value::Union(_, inner) = v {
        plain(inner)
    } else {
        v
    }
}

fn get<'a>(v: &'a Value, name: &str) -> Option<&'a Value> {
    let Value::Record(fields) = plain(v) else {
        return None;
    };
    fields
        .iter()
        .find(|(k, _)| k.eq_ignore_ascii_case(name))
        .map(|(_, v)| plain(v))
}

fn number(v: &Value) -> Option<f64> {
    match plain(v) {
        Value::Float(x) => Some(f64::from(*x)),
        Value::Double(x) => Some(*x),
        Value::Int(x) => Some(f64::from(*x)),
        Value::Long(x) => Some(*x as f64),
        Value::Boolean(x) => Some(f64::from(u8::from(*x))),
        Value::String(s) => match s.as_str() {
            "t" | "1" | "true" => Some(1.0),
            "f" | "0" | "false" => Some(0.0),
            _ => s.parse().ok(),
        },
        _ => None,
    }
}

fn text(v: &Value) -> Option<String> {
    match plain(v) {
        Value::String(s) => Some(s.clone()),
        Value::Long(x) => Some(x.to_string()),
        Value::Int(x) => Some(x.to_string()),
        _ => None,
    }
}

/// A stamp: bytes of a FITS file, plain or gzip, in a field or in a record's `stampData`.
fn stamp(v: &Value) -> Result<(usize, usize, Vec<f32>), String> {
    let bytes = match plain(v) {
        Value::Bytes(b) => b.clone(),
        r @ Value::Record(_) => match get(r, "stampData") {
            Some(Value::Bytes(b)) => b.clone(),
            _ => return Err("no stampData".into()),
        },
        _ => return Err("no bytes".into()),
    };
    image(bytes)
}

/// First image of a FITS file in memory, plain or gzip.
pub(super) fn image(bytes: Vec<u8>) -> Result<(usize, usize, Vec<f32>), String> {
    let f = Fits::parse(inflate(bytes)?).map_err(|e| e.to_string())?;
    let hdu = (0..f.hdus.len())
        .find(|i| f.image(*i).is_ok_and(|im| im.axes.len() >= 2))
        .ok_or("no image in the stamp")?;
    let im = f.image(hdu).map_err(|e| e.to_string())?;
    let (w, h) = (im.axes[0], im.axes[1]);
    Ok((
        h,
        w,
        (0..h).flat_map(|r| im.row(r)).map(|v| v as f32).collect(),
    ))
}

/// Rows, columns and pixels.
type Stamp = (usize, usize, Vec<f32>);

/// Stamps that are there, on squares of one size around their middles.
pub(super) fn together(stamps: Vec<(&str, Stamp)>) -> Result<Cutout, String> {
    let side = stamps.iter().map(|(_, s)| s.0.max(s.1)).max().unwrap_or(0);
    let mut pixels = Vec::new();
    let names: Vec<&str> = stamps.iter().map(|s| s.0).collect();
    for (name, (h, w, data)) in stamps {
        pixels.extend(Cutout::new(&[name], h, w, data)?.square(side).pixels);
    }
    Cutout::new(&names, side, side, pixels)
}

fn alert(v: &Value) -> Result<Cutout, String> {
    let fields = ["cutoutTemplate", "cutoutScience", "cutoutDifference"];
    let mut stamps = Vec::new();
    for (band, field) in BANDS.into_iter().zip(fields) {
        if let Some(s) = get(v, field).filter(|s| !matches!(s, Value::Null)) {
            stamps.push((band, stamp(s).map_err(|e| format!("{field}: {e}"))?));
        }
    }
    if stamps.is_empty() {
        return Err(format!(
            "the record has none of {}: is it an alert?",
            fields.join(", ")
        ));
    }
    let mut c = together(stamps)?;
    let candidate = get(v, "candidate")
        .or_else(|| get(v, "diaSource"))
        .unwrap_or(v);
    let name = |keys: &[&str]| {
        keys.iter()
            .find_map(|k| get(v, k).or_else(|| get(candidate, k)).and_then(text))
    };
    c.object_id = name(&["candid", "alertId", "diaSourceId", "objectId"]).unwrap_or_default();
    if let Some(o) = name(&["objectId", "diaObjectId"]).filter(|o| *o != c.object_id) {
        c.notes.push(format!("object {o}"));
    }
    let value = |k: &str| get(candidate, k).and_then(number);
    (c.ra, c.dec) = (
        value("ra").unwrap_or(f64::NAN),
        value("dec").or(value("decl")).unwrap_or(f64::NAN),
    );
    for k in NUMBERS {
        if let Some(x) = value(k).filter(|x| x.is_finite()) {
            c.survey.push((k.to_owned(), x));
        }
    }
    Ok(c)
}
