//! VOTable 1.x with a pixel in each row: TABLEDATA, BINARY and BINARY2 of scalar columns.
//! Source: IVOA VOTable 1.5, sections 5.1, 5.3 and 5.4.

use base64::Engine;
use roxmltree::{Document, Node};

use super::pixels::{Medium, Noise, Pixels, Role, role};
use super::{Content, Context, Format, Row};

pub(super) const FORMAT: Format = Format {
    name: "VOTable",
    about: "VOTable with a pixel in each row (TABLEDATA, BINARY, BINARY2)",
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
}

fn child<'a>(n: Node<'a, 'a>, name: &str) -> Option<Node<'a, 'a>> {
    n.children()
        .find(|c| c.has_tag_name(name) || c.tag_name().name() == name)
}

/// Role of a column by its name, or by its UCD.
fn role_of(f: &Field) -> Option<Role> {
    role(f.name).or_else(|| match f.ucd.to_lowercase() {
        u if u.starts_with("stat.error;phot.flux") => Some(Role::Sigma),
        u if u.starts_with("em.wl") => Some(Role::Wave),
        u if u.starts_with("phot.flux") => Some(Role::Flux),
        _ => None,
    })
}

fn read(content: &Content, context: &Context) -> Result<Vec<Row>, String> {
    let Content::Text(text) = content else {
        return Err("it is no text".into());
    };
    let document = Document::parse(text).map_err(|e| e.to_string())?;
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
                }
            })
            .collect();
        let find = |wanted: Role| fields.iter().position(|f| role_of(f) == Some(wanted));
        seen.extend(fields.iter().map(|f| f.name.to_owned()));
        let (Some(wave), Some(flux)) = (find(Role::Wave), find(Role::Flux)) else {
            continue;
        };
        let columns = columns(t, &fields)?;
        let noise = [Role::Ivar, Role::Sigma, Role::Variance]
            .into_iter()
            .find_map(|r| Some((r, columns[find(r)?].clone())));
        let pixels = Pixels {
            wave: columns[wave].clone(),
            wave_unit: fields[wave].unit.to_owned(),
            wave_name: fields[wave].name.to_owned(),
            flux: columns[flux].clone(),
            flux_unit: fields[flux].unit.to_owned(),
            noise: match noise {
                Some((Role::Ivar, v)) => Noise::Ivar(v),
                Some((Role::Variance, v)) => Noise::Variance(v),
                Some((_, v)) => Noise::Sigma(v),
                None => Noise::Missing,
            },
            bad: find(Role::Mask)
                .map(|m| columns[m].iter().map(|v| *v != 0.0).collect())
                .unwrap_or_default(),
            medium: if fields[wave].ucd.contains("obs.atmos") {
                (Medium::Air, format!("UCD {}", fields[wave].ucd))
            } else {
                (
                    Medium::Vacuum,
                    "assumed: the file does not say; --air changes it".into(),
                )
            },
        };
        let spectrum = pixels
            .into_spectrum(&context.options)
            .map_err(|e| e.to_string());
        out.push(Row {
            hdu: 0,
            row: i,
            spectrum,
        });
    }
    if out.is_empty() {
        return Err(format!(
            "no table with a wavelength and a flux; fields are {}",
            seen.join(", ")
        ));
    }
    Ok(out)
}

/// Numbers of all columns; NaN where a cell is no number.
fn columns(table: Node, fields: &[Field]) -> Result<Vec<Vec<f64>>, String> {
    let data = child(table, "DATA").ok_or("TABLE has no DATA")?;
    let mut out = vec![vec![]; fields.len()];
    if let Some(rows) = child(data, "TABLEDATA") {
        for tr in rows.children().filter(|n| n.tag_name().name() == "TR") {
            let mut cells = tr.children().filter(|n| n.tag_name().name() == "TD");
            for column in &mut out {
                let text = cells
                    .next()
                    .and_then(|c| c.text())
                    .unwrap_or_default()
                    .trim();
                column.push(match text {
                    "T" | "true" => 1.0,
                    "F" | "false" => 0.0,
                    t => t.parse().unwrap_or(f64::NAN),
                });
            }
        }
        return Ok(out);
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
    let width = |f: &Field| match f.kind {
        "boolean" | "bit" | "unsignedByte" => Some(1),
        "short" => Some(2),
        "int" | "float" => Some(4),
        "long" | "double" => Some(8),
        _ => None,
    };
    let widths: Vec<usize> = fields
        .iter()
        .map(width)
        .collect::<Option<_>>()
        .ok_or("a binary column is text or complex; convert the file to TABLEDATA")?;
    for row in bytes.chunks_exact(nulls + widths.iter().sum::<usize>()) {
        let mut at = nulls;
        for (i, ((f, w), column)) in fields.iter().zip(&widths).zip(&mut out).enumerate() {
            let null = nulls > 0 && row[i / 8] & (0x80 >> (i % 8)) != 0;
            column.push(if null {
                f64::NAN
            } else {
                number(f.kind, &row[at..at + w])
            });
            at += w;
        }
    }
    Ok(out)
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
