//! Alerts as brokers give them in JSON: one packet, a list, or one in each line. Stamps are FITS in
//! base64 (plain, or as MongoDB's extended JSON), or rows of pixels (Fink).

use apache_avro::types::Value;
use base64::Engine;
use serde_json::Value as Json;

use super::{Row, alert};

/// Whether a file begins as JSON does.
pub(super) fn is(bytes: &[u8]) -> bool {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let first = text.iter().find(|b| !b.is_ascii_whitespace());
    matches!(first, Some(b'{' | b'['))
}

pub(super) fn read(
    source: &str,
    bytes: &[u8],
    each: &mut dyn FnMut(Row) -> bool,
) -> Result<bool, String> {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut row = 0;
    for packet in serde_json::Deserializer::from_slice(text).into_iter::<Json>() {
        let packets = match packet {
            Ok(Json::Array(all)) => all.into_iter().map(Ok).collect(),
            Ok(one) => vec![Ok(one)],
            Err(e) => vec![Err(format!("damaged JSON: {e}"))],
        };
        for packet in packets {
            let damaged = packet.is_err();
            let cutout = packet.and_then(|p| alert::alert(&value(p)?));
            let given = Row {
                source: source.to_owned(),
                row,
                cutout,
            };
            if !each(given) {
                return Ok(false);
            }
            // After what is no JSON nothing can be found.
            if damaged {
                return Ok(true);
            }
            row += 1;
        }
    }
    Ok(true)
}

/// As Avro would have it, so that both go the same way. Fink's names lose their prefix (`i:ra`),
/// and `cutoutScience_stampData` is `cutoutScience`.
fn value(packet: Json) -> Result<Value, String> {
    Ok(match packet {
        Json::Object(fields) => {
            let field = |(name, v): (String, Json)| -> Result<(String, Value), String> {
                let short = match name.split_once(':') {
                    Some(("i" | "b" | "d" | "v", rest)) => rest,
                    _ => &name,
                };
                let short = short.strip_suffix("_stampData").unwrap_or(short);
                let v = if name == "stampData" || short.starts_with("cutout") {
                    stamp(v).map_err(|e| format!("{name}: {e}"))?
                } else {
                    value(v)?
                };
                Ok((short.to_owned(), v))
            };
            let all = fields.into_iter().map(field);
            Value::Record(all.collect::<Result<_, String>>()?)
        }
        Json::String(s) => Value::String(s),
        Json::Bool(b) => Value::Boolean(b),
        Json::Number(n) => n
            .as_i64()
            .map(Value::Long)
            .or_else(|| n.as_f64().map(Value::Double))
            .unwrap_or(Value::Null),
        // History is not looked at here.
        Json::Array(_) | Json::Null => Value::Null,
    })
}

fn stamp(v: Json) -> Result<Value, String> {
    match v {
        Json::Object(fields) if fields.contains_key("$binary") => {
            let inner = fields.into_iter().find(|f| f.0 == "$binary");
            stamp(inner.map_or(Json::Null, |f| f.1))
        }
        // {"base64": …, "subType": …} of newer extended JSON.
        Json::Object(fields) if fields.contains_key("base64") => {
            let inner = fields.into_iter().find(|f| f.0 == "base64");
            stamp(inner.map_or(Json::Null, |f| f.1))
        }
        Json::Object(fields) => value(Json::Object(fields)),
        Json::String(text) => {
            let whole: String = text.split_ascii_whitespace().collect();
            let decoded = base64::engine::general_purpose::STANDARD.decode(whole);
            decoded
                .map(Value::Bytes)
                .map_err(|e| format!("expected a FITS file in base64 ({e})"))
        }
        Json::Array(rows) => {
            let line = |row: Json| match row {
                Json::Array(pixels) => {
                    let pixel = |p: Json| Value::Double(p.as_f64().unwrap_or(f64::NAN));
                    Ok(Value::Array(pixels.into_iter().map(pixel).collect()))
                }
                _ => Err("expected rows of pixels".to_owned()),
            };
            let all = rows.into_iter().map(line);
            Ok(Value::Array(all.collect::<Result<_, String>>()?))
        }
        _ => Ok(Value::Null),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<Result<crate::cutout::Cutout, String>> {
        let mut found = vec![];
        let all = read("x.json", text.as_bytes(), &mut |r| {
            found.push(r.cutout);
            true
        });
        all.unwrap();
        found
    }

    const FINK: &str = r#"{"i:candid": 42, "i:objectId": "ZTF1", "i:ra": 10.5, "i:dec": -3.0,
        "i:rb": 0.8, "b:cutoutScience_stampData": [[1, 2, 3], [4, 5.5, null], [7, 8, 9]]}"#;

    #[test]
    fn packets_of_brokers() {
        let c = rows(FINK).remove(0).unwrap();
        assert_eq!((c.object_id.as_str(), c.ra, c.dec), ("42", 10.5, -3.0));
        assert_eq!((c.height, c.width, c.bands.len()), (3, 3, 1));
        assert!(c.pixels[4] == 5.5 && c.pixels[5].is_nan());
        assert!(c.survey.contains(&("rb".to_owned(), 0.8)));
        // A list, and one in each line.
        assert_eq!(rows(&format!("[{FINK}, {FINK}]")).len(), 2);
        let two = rows(&format!("{FINK}\n{FINK}\n{{\"broken\": "));
        assert!(two.len() == 3 && two[1].is_ok() && two[2].is_err());
    }

    #[test]
    fn what_is_no_alert_is_said() {
        let why = |text: &str| rows(text).remove(0).unwrap_err();
        assert!(
            why("{\"a\": 1}").contains("is it an alert"),
            "{}",
            why("{\"a\": 1}")
        );
        let stamp = r#"{"cutoutScience": {"stampData": "not base64 !"}}"#;
        assert!(why(stamp).contains("base64"));
        let ragged = r#"{"cutoutScience": [[1, 2], [3]]}"#;
        assert!(why(ragged).contains("rows"), "{}", why(ragged));
    }
}
