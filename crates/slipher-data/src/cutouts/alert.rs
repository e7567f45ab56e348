//! Alerts of ZTF, LSST, DECam and WINTER in Avro: a candidate with stamps of the new image, the
//! template and their difference.

use apache_avro::types::Value;
use serde_json::Value as Json;

use super::{Row, inflate};
use crate::budget;
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

/// Most bytes of a block, and most elements of an array, that the decoder is let allocate: it takes
/// some 100 bytes for an element before it has read one.
const LARGEST: usize = 1 << 23;

pub(super) fn read(
    source: &str,
    bytes: &[u8],
    each: &mut dyn FnMut(Row) -> bool,
) -> Result<bool, String> {
    apache_avro::util::max_allocation_bytes(LARGEST);
    let whole = schema(bytes)?;
    let bytes: &[u8] = whole.as_deref().unwrap_or(bytes);
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

/// Refuses schemas that no survey writes and that make the decoder recurse or allocate without end:
/// deep ones, records that hold themselves, arrays of what takes no bytes. A file whose records have
/// two fields of one name (WINTER's) comes back with other names for the later ones.
fn schema(bytes: &[u8]) -> Result<Option<Vec<u8>>, String> {
    let json = embedded(bytes).ok_or("damaged Avro: its header has no schema")?;
    // serde_json refuses nesting beyond 128.
    let mut schema: Json = serde_json::from_slice(json)
        .map_err(|e| format!("damaged Avro: its schema cannot be read ({e})"))?;
    sound(&schema, &mut vec![]).map_err(|why| format!("damaged Avro: {why}"))?;
    if !rename_repeated(&mut schema) {
        return Ok(None);
    }
    let text = schema.to_string();
    let at = json.as_ptr() as usize - bytes.as_ptr() as usize;
    let before = at - long_bytes(json.len()).len();
    let mut out = bytes[..before].to_vec();
    out.extend(long_bytes(text.len()));
    out.extend(text.as_bytes());
    out.extend(&bytes[at + json.len()..]);
    Ok(Some(out))
}

/// Gives later fields of a record that have the name of an earlier one another; whether there were
/// any.
fn rename_repeated(schema: &mut Json) -> bool {
    let mut any = false;
    match schema {
        Json::Array(of) => of.iter_mut().for_each(|s| any |= rename_repeated(s)),
        Json::Object(o) => {
            if let Some(Json::Array(fields)) = o.get_mut("fields") {
                let mut taken = std::collections::BTreeSet::new();
                for (k, field) in fields.iter_mut().enumerate() {
                    let name = field.get("name").and_then(Json::as_str).map(str::to_owned);
                    if let Some(name) = name.filter(|n| !taken.insert(n.clone())) {
                        field["name"] = Json::String(format!("{name}_repeated_{k}"));
                        any = true;
                    }
                    any |= field.get_mut("type").is_some_and(rename_repeated);
                }
            }
            for key in ["type", "items", "values"] {
                any |= o.get_mut(key).is_some_and(rename_repeated);
            }
        }
        _ => {}
    }
    any
}

/// A length as Avro writes it.
fn long_bytes(n: usize) -> Vec<u8> {
    let (mut v, mut out) = ((n as u64) << 1, vec![]);
    while v >= 0x80 {
        out.push(v as u8 | 0x80);
        v >>= 7;
    }
    out.push(v as u8);
    out
}

/// The schema in the header of an object container file.
fn embedded(bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = bytes.get(4..)?;
    fn long(rest: &mut &[u8]) -> Option<i64> {
        let (mut v, mut shift) = (0u64, 0);
        loop {
            let (b, tail) = rest.split_first()?;
            *rest = tail;
            v |= u64::from(b & 0x7f).checked_shl(shift)?;
            if b & 0x80 == 0 {
                return Some((v >> 1) as i64 ^ -((v & 1) as i64));
            }
            shift += 7;
        }
    }
    let mut schema = None;
    loop {
        let mut n = long(&mut rest)?;
        if n == 0 {
            return schema;
        }
        if n < 0 {
            // A negative count is followed by the size of the block.
            long(&mut rest)?;
            n = n.checked_neg()?;
        }
        // The decoder makes room for all entries before it reads one.
        if n as u64 > rest.len() as u64 / 2 {
            return None;
        }
        for _ in 0..n {
            let size = usize::try_from(long(&mut rest)?).ok()?;
            let (key, tail) = rest.split_at_checked(size)?;
            rest = tail;
            let size = usize::try_from(long(&mut rest)?).ok()?;
            let (value, tail) = rest.split_at_checked(size)?;
            rest = tail;
            if key == b"avro.schema" {
                schema = Some(value);
            }
        }
    }
}

/// Whether values of a schema take at least a byte each, and do not hold themselves; `open` are the
/// records around it.
fn sound(schema: &Json, open: &mut Vec<String>) -> Result<(), String> {
    let name = |o: &serde_json::Map<String, Json>| {
        let name = o.get("name").and_then(Json::as_str).unwrap_or_default();
        name.rsplit('.').next().unwrap_or_default().to_owned()
    };
    match schema {
        Json::String(t)
            if open
                .iter()
                .any(|n| Some(n.as_str()) == t.rsplit('.').next()) =>
        {
            Err(format!("record '{t}' holds itself"))
        }
        Json::Array(of) => of.iter().try_for_each(|s| sound(s, open)),
        Json::Object(o) => {
            if let Some(items) = o.get("items").or_else(|| o.get("values")) {
                if is_empty(items) {
                    return Err("an array of values that take no bytes".into());
                }
                sound(items, open)?;
            }
            if let Some(Json::Array(fields)) = o.get("fields") {
                open.push(name(o));
                fields
                    .iter()
                    .filter_map(|f| f.get("type"))
                    .try_for_each(|t| sound(t, open))?;
                open.pop();
            }
            match o.get("type") {
                Some(t @ (Json::Object(_) | Json::Array(_))) => sound(t, open),
                _ => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

/// Values of this schema take no bytes.
fn is_empty(schema: &Json) -> bool {
    match schema {
        Json::String(t) => t == "null",
        Json::Object(o) => match o.get("type").and_then(Json::as_str) {
            Some("null") => true,
            Some("fixed") => o.get("size").and_then(Json::as_i64) == Some(0),
            Some("record") => o
                .get("fields")
                .and_then(Json::as_array)
                .is_none_or(|f| f.iter().filter_map(|f| f.get("type")).all(is_empty)),
            _ => false,
        },
        _ => false,
    }
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
        .find(|(k, _)| {
            k.eq_ignore_ascii_case(name) || k.replace('_', "").eq_ignore_ascii_case(name)
        })
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
        Value::Array(rows) => return pixels(rows),
        r @ Value::Record(_) => match get(r, "stampData") {
            Some(Value::Bytes(b)) => b.clone(),
            Some(Value::Array(rows)) => return pixels(rows),
            _ => return Err("no stampData".into()),
        },
        _ => return Err("no bytes".into()),
    };
    image(bytes)
}

/// A stamp as rows of numbers.
fn pixels(rows: &[Value]) -> Result<Stamp, String> {
    let mut found: Vec<Vec<f32>> = vec![];
    for v in rows {
        if let Value::Array(all) = plain(v) {
            let pixel = |p| number(p).map_or(f32::NAN, |x| x as f32);
            found.push(all.iter().map(pixel).collect());
        }
    }
    let width = found.first().map_or(0, Vec::len);
    if width == 0 || found.len() != rows.len() || found.iter().any(|r| r.len() != width) {
        return Err("expected rows of pixels, all of one length".into());
    }
    Ok((found.len(), width, found.concat()))
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
    let side = largest(&stamps);
    around(stamps, side, None)
}

fn largest(stamps: &[(&str, Stamp)]) -> usize {
    stamps.iter().map(|(_, s)| s.0.max(s.1)).max().unwrap_or(0)
}

/// Where the candidate is in a stamp of so many rows and columns.
type Place<'a> = dyn Fn(usize, usize) -> Result<[usize; 2], String> + 'a;

/// Squares of `side` pixels around a place (row and column, from 0) of a stamp of so many rows and
/// columns.
fn around(
    stamps: Vec<(&str, Stamp)>,
    side: usize,
    place: Option<&Place>,
) -> Result<Cutout, String> {
    let bytes = (side as u64).saturating_pow(2).saturating_mul(12);
    let what = format!("a square of {side} pixels around a stamp");
    budget::check(bytes, budget::unpacked(0), &what)?;
    let mut pixels = Vec::new();
    let names: Vec<&str> = stamps.iter().map(|s| s.0).collect();
    for (name, (h, w, data)) in stamps {
        let stamp = Cutout::new(&[name], h, w, data)?;
        let square = match place {
            Some(place) if (h, w) != (side, side) => stamp.square_at(side, place(h, w)?),
            _ => stamp.square(side),
        };
        pixels.extend(square.pixels);
    }
    Cutout::new(&names, side, side, pixels)
}

/// Pixels of a readout channel of ZTF in x and y (Dekany et al. 2020).
const ZTF: [f64; 2] = [3072.0, 3080.0];

/// Where the candidate lies in a stamp that the edge of the detector cuts: `at` is its place on the
/// detector (from 1), `full` the side of a whole stamp.
fn cut_by_edge(length: usize, full: usize, at: f64, detector: f64) -> Option<usize> {
    let half = (full / 2) as f64;
    if length >= full {
        return Some(length / 2);
    }
    // From 0: the first pixel of the detector is the first of a stamp that its left edge cuts.
    let index = (at - 1.0).round();
    if index < half && index >= 0.0 {
        Some(index as usize)
    } else if index > detector - 1.0 - half && index < detector {
        // What is missing is on the far side.
        Some(full / 2)
    } else {
        None
    }
    .filter(|i| *i < length)
}

pub(super) fn alert(v: &Value) -> Result<Cutout, String> {
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
    let candidate = get(v, "candidate")
        .or_else(|| get(v, "diaSource"))
        .unwrap_or(v);
    let at = ["xpos", "ypos"].map(|k| get(candidate, k).and_then(number));
    // ZTF's stamps have 63 pixels; a corner of the detector cuts both sides.
    let ztf = at[0].is_some() && get(candidate, "rb").is_some();
    let full = largest(&stamps).max(if ztf { 63 } else { 0 });
    let place = |h: usize, w: usize| -> Result<[usize; 2], String> {
        let lost = || {
            format!(
                "a stamp of {w} × {h} pixels beside ones of {full}, and nothing says where in it \
                 the candidate is: expected candidate.xpos and ypos at the edge of ZTF's detector"
            )
        };
        let [Some(x), Some(y)] = at else {
            return Err(lost());
        };
        let column = cut_by_edge(w, full, x, ZTF[0]).ok_or_else(lost)?;
        Ok([cut_by_edge(h, full, y, ZTF[1]).ok_or_else(lost)?, column])
    };
    let mut c = around(stamps, full, Some(&place))?;
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
        // Alerts older than a score carry it as 0, which no classifier gives.
        let unset = |x: &f64| *x == 0.0 && ["drb", "braai", "rb", "reliability"].contains(&k);
        if let Some(x) = value(k).filter(|x| x.is_finite() && !unset(x)) {
            c.survey.push((k.to_owned(), x));
        }
    }
    Ok(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two fields of one name in a record: the first is read, nothing is lost after it.
    #[test]
    fn repeated_fields() {
        let fields = r#"[{"name": "candid", "type": "long"}, {"name": "mag", "type": "long"},
            {"name": "mag", "type": "long"},
            {"name": "cutoutScience", "type": {"type": "array", "items":
                {"type": "array", "items": "double"}}}]"#;
        let schema = format!(r#"{{"type": "record", "name": "a", "fields": {fields}}}"#);
        let text = |s: &str| [long_bytes(s.len()), s.into()].concat();
        let mut bytes = b"Obj\x01\x02".to_vec();
        bytes.extend(text("avro.schema"));
        bytes.extend(text(&schema));
        bytes.push(0);
        let sync = [7u8; 16];
        bytes.extend(sync);
        // candid 5, mag 1 and 2, two rows of two pixels.
        let mut record = vec![10u8, 2, 4, 4];
        for row in [[1.0f64, 2.0], [3.0, 4.0]] {
            record.push(4);
            row.iter().for_each(|v| record.extend(v.to_le_bytes()));
            record.push(0);
        }
        record.push(0);
        bytes.push(2);
        bytes.extend(long_bytes(record.len()));
        bytes.extend(record);
        bytes.extend(sync);
        let mut found = vec![];
        read("x", &bytes, &mut |r| {
            found.push(r.cutout);
            true
        })
        .unwrap();
        let c = found.remove(0).unwrap();
        assert_eq!(
            (c.object_id.as_str(), c.pixels),
            ("5", vec![1.0, 2.0, 3.0, 4.0])
        );
    }

    /// The candidate of a stamp that an edge cuts is where the detector says.
    #[test]
    fn candidates_at_the_edge() {
        let [nx, _] = ZTF;
        assert_eq!(cut_by_edge(63, 63, 1500.0, nx), Some(31));
        // 12 pixels from the left edge: the stamp begins at the edge.
        assert_eq!(cut_by_edge(43, 63, 12.0, nx), Some(11));
        // 12 from the right: the stamp begins 31 pixels before the candidate.
        assert_eq!(cut_by_edge(43, 63, nx - 11.0, nx), Some(31));
        // A short stamp in the middle of the detector: nobody knows.
        assert_eq!(cut_by_edge(43, 63, 1500.0, nx), None);
        assert_eq!(cut_by_edge(43, 63, f64::NAN, nx), None);
        // The place of the candidate comes to the middle of the square.
        let mut pixels = vec![0.0f32; 43 * 63];
        pixels[20 * 43 + 11] = 1.0;
        let place = |h: usize, w: usize| {
            assert_eq!((h, w), (63, 43));
            Ok([20, 11])
        };
        let c = around(vec![("science", (63, 43, pixels))], 63, Some(&place)).unwrap();
        assert_eq!(c.pixels[31 * 63 + 31], 1.0);
    }
}
