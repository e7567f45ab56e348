//! VOTable 1.x with a pixel, or a spectrum in cells, in each row: TABLEDATA, BINARY and BINARY2.
//! Source: IVOA VOTable 1.5, sections 5.1, 5.3 and 5.4.

use base64::Engine;
use roxmltree::{Document, Node, ParsingOptions};

use super::names::{Role, role};
use super::pixels::{Noise, Pixels, medium_by_name};
use super::{Content, Context, Format, Row, masks};

pub(super) const FORMAT: Format = Format {
    name: "VOTable",
    about: "VOTable with a pixel or a spectrum in each row (TABLEDATA, BINARY, BINARY2)",
    recognise,
    read,
};

fn recognise(content: &Content) -> Option<String> {
    let Content::Text(t) = content else {
        return None;
    };
    let head: String = t.chars().take(2000).collect();
    head.contains("<VOTABLE")
        .then(|| "has an element VOTABLE".into())
}

/// A field: its name, unit, UCD and datatype.
struct Field<'a> {
    name: &'a str,
    unit: &'a str,
    ucd: &'a str,
    kind: &'a str,
    /// Elements of a cell: a number, none where cells differ, 1 without an arraysize.
    size: Option<usize>,
}

fn child<'a>(n: Node<'a, 'a>, name: &str) -> Option<Node<'a, 'a>> {
    n.children()
        .find(|c| c.has_tag_name(name) || c.tag_name().name() == name)
}

/// Role of a column by its name, or by its UCD.
fn role_of(f: &Field) -> Option<Role> {
    role(f.name).or_else(|| match f.ucd.to_lowercase() {
        u if u.starts_with("stat.error;phot.flux") => Some(Role::Sigma),
        u if ["em.wl", "em.freq", "em.energy", "em.wavenumber"]
            .iter()
            .any(|k| u.starts_with(k)) =>
        {
            Some(Role::Wave)
        }
        u if u.starts_with("phot.flux") => Some(Role::Flux),
        _ => None,
    })
}

fn read(content: &Content, context: &Context) -> Result<Vec<Row>, String> {
    let Content::Text(text) = content else {
        return Err("it is no text".into());
    };
    // A DOCTYPE is harmless as long as nothing is expanded.
    if text.contains("<!ENTITY") {
        return Err("it defines entities, which are not expanded; remove its DOCTYPE".into());
    }
    let options = ParsingOptions {
        allow_dtd: true,
        ..ParsingOptions::default()
    };
    let document = Document::parse_with_options(text, options).map_err(|e| e.to_string())?;
    let tables = document
        .descendants()
        .filter(|n| n.tag_name().name() == "TABLE");
    let mut out = Vec::new();
    let mut seen = Vec::new();
    for (i, t) in tables.enumerate() {
        let fields: Vec<Field> = t
            .children()
            .filter(|c| c.tag_name().name() == "FIELD")
            .map(|f| {
                let get = |key: &str| f.attribute(key).unwrap_or_default();
                Field {
                    name: get("name"),
                    unit: get("unit"),
                    ucd: get("ucd"),
                    kind: get("datatype"),
                    size: match get("arraysize") {
                        "" => Some(1),
                        n => n
                            .split('x')
                            .map(|n| n.trim().parse::<usize>().ok())
                            .try_fold(1usize, |p, n| p.checked_mul(n?)),
                    },
                }
            })
            .collect();
        let find = |wanted: Role| fields.iter().position(|f| role_of(f) == Some(wanted));
        seen.extend(fields.iter().map(|f| f.name.to_owned()));
        let (Some(wave), Some(flux)) = (find(Role::Wave), find(Role::Flux)) else {
            continue;
        };
        let cells = cells(t, &fields)?;
        let noise = [Role::Ivar, Role::Sigma, Role::Variance]
            .into_iter()
            .find_map(|r| Some((r, find(r)?)));
        // A pixel a row: one spectrum; or a spectrum a row.
        let vectors = fields[flux].size != Some(1);
        let rows = if vectors { cells.len() } else { 1 };
        for row in 0..rows {
            let get = |column: usize| -> Vec<f64> {
                if vectors {
                    cells[row][column].clone()
                } else {
                    let one = |r: &Vec<Vec<f64>>| r[column].first().copied().unwrap_or(f64::NAN);
                    cells.iter().map(one).collect()
                }
            };
            let pixels = Pixels {
                wave: get(wave),
                wave_unit: fields[wave].unit.to_owned(),
                wave_name: fields[wave].name.to_owned(),
                flux: get(flux),
                flux_unit: fields[flux].unit.to_owned(),
                noise: match noise {
                    Some((Role::Ivar, c)) => Noise::Ivar(get(c)),
                    Some((Role::Variance, c)) => Noise::Variance(get(c)),
                    Some((_, c)) => Noise::Sigma(get(c)),
                    None => Noise::Missing,
                },
                bad: masks::bad(|r| Some(get(find(r)?))),
                medium: medium_by_name(fields[wave].name, fields[wave].ucd),
            };
            let spectrum = pixels
                .into_spectrum(&context.options)
                .map_err(|e| e.to_string());
            out.push(Row {
                hdu: i,
                row,
                spectrum,
            });
        }
    }
    if out.is_empty() {
        return Err(format!(
            "no table with a wavelength and a flux; fields are {}",
            seen.join(", ")
        ));
    }
    Ok(out)
}

/// Numbers of a cell of TABLEDATA; NaN where a word is none.
fn words(text: &str) -> Vec<f64> {
    let one = |t: &str| match t {
        "T" | "true" => 1.0,
        "F" | "false" => 0.0,
        t => t.parse().unwrap_or(f64::NAN),
    };
    let all: Vec<f64> = text.split_whitespace().map(one).collect();
    if all.is_empty() { vec![f64::NAN] } else { all }
}

/// Numbers of all cells, `[row][column]`.
fn cells(table: Node, fields: &[Field]) -> Result<Vec<Vec<Vec<f64>>>, String> {
    let data = child(table, "DATA").ok_or("TABLE has no DATA")?;
    if let Some(rows) = child(data, "TABLEDATA") {
        let row = |tr: Node| -> Vec<Vec<f64>> {
            let mut cells = tr.children().filter(|n| n.tag_name().name() == "TD");
            let mut next = || words(cells.next().and_then(|c| c.text()).unwrap_or_default());
            fields.iter().map(|_| next()).collect()
        };
        let rows = rows.children().filter(|n| n.tag_name().name() == "TR");
        return Ok(rows.map(row).collect());
    }
    let (body, nulls) = match (child(data, "BINARY"), child(data, "BINARY2")) {
        (Some(b), _) => (b, 0),
        (_, Some(b)) => (b, fields.len().div_ceil(8)),
        _ => return Err("DATA is neither TABLEDATA, BINARY nor BINARY2".into()),
    };
    let stream = child(body, "STREAM").ok_or("there is no STREAM")?;
    if stream.attribute("href").is_some() {
        return Err("its data lie elsewhere (STREAM href); download them".into());
    }
    let packed: String = stream
        .text()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(packed)
        .map_err(|e| format!("STREAM: {e}"))?;
    let mut rest = bytes.as_slice();
    let mut out = Vec::new();
    while !rest.is_empty() {
        out.push(binary_row(fields, nulls, &mut rest).ok_or("STREAM ends in the middle of a row")?);
    }
    Ok(out)
}

/// The first `n` bytes, which are taken.
fn take<'a>(rest: &mut &'a [u8], n: usize) -> Option<&'a [u8]> {
    let (head, tail) = rest.split_at_checked(n)?;
    *rest = tail;
    Some(head)
}

fn binary_row(fields: &[Field], nulls: usize, rest: &mut &[u8]) -> Option<Vec<Vec<f64>>> {
    let flags = take(rest, nulls)?;
    let mut out = Vec::with_capacity(fields.len());
    for (i, f) in fields.iter().enumerate() {
        let width = match f.kind {
            "boolean" | "bit" | "unsignedByte" | "char" => 1,
            "short" | "unicodeChar" => 2,
            "int" | "float" => 4,
            "floatComplex" => 8,
            "doubleComplex" => 16,
            _ => 8,
        };
        let n = match f.size {
            Some(n) => n,
            None => usize::try_from(u32::from_be_bytes(take(rest, 4)?.try_into().ok()?)).ok()?,
        };
        let n = if f.kind == "bit" { n.div_ceil(8) } else { n };
        let raw = take(rest, n.checked_mul(width)?)?;
        let null = nulls > 0 && flags[i / 8] & (0x80 >> (i % 8)) != 0;
        let numeric = !f.kind.ends_with("har") && !f.kind.ends_with("Complex");
        out.push(if null || !numeric {
            vec![f64::NAN]
        } else {
            raw.chunks_exact(width).map(|b| number(f.kind, b)).collect()
        });
    }
    Some(out)
}

/// A big-endian number.
fn number(kind: &str, b: &[u8]) -> f64 {
    let whole = b.iter().fold(0u64, |v, x| v << 8 | u64::from(*x));
    match kind {
        "boolean" => f64::from(u8::from(matches!(b[0], b'T' | b't' | b'1'))),
        "short" => f64::from(whole as i16),
        "int" => f64::from(whole as i32),
        "long" => whole as i64 as f64,
        "float" => f64::from(f32::from_bits(whole as u32)),
        "double" => f64::from_bits(whole),
        _ => whole as f64,
    }
}
