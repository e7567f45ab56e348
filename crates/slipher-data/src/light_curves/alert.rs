//! Alerts with their history: ZTF's and LSST's packets in Avro, and brokers' JSON.

use apache_avro::types::Value;

use super::{mjd, of_magnitude};
use crate::light_curve::{LightCurve, Point, ZERO_POINT};

/// Whether bytes are an Avro container, or JSON.
pub(super) fn is(bytes: &[u8]) -> bool {
    let first = bytes.iter().find(|b| !b.is_ascii_whitespace());
    bytes.starts_with(b"Obj\x01") || matches!(first, Some(b'{' | b'['))
}

pub(super) fn read(
    bytes: Vec<u8>,
    give: &mut dyn FnMut(Result<LightCurve, String>) -> bool,
) -> Result<(), String> {
    if bytes.starts_with(b"Obj\x01") {
        let reader = apache_avro::Reader::new(&bytes[..]).map_err(|e| format!("Avro: {e}"))?;
        for record in reader {
            let curve = record
                .map_err(|e| format!("Avro: {e}"))
                .and_then(|r| curve(&json(r)));
            if !give(curve) {
                break;
            }
        }
        return Ok(());
    }
    let value: serde_json::Value =
        serde_json::from_slice(&bytes).map_err(|e| format!("JSON: {e}"))?;
    match value {
        // ALeRCE's list of detections of one object, or a list of alerts.
        serde_json::Value::Array(all) => {
            let one = |v: &serde_json::Value| {
                v.get("candidate").is_some() || v.get("diaSource").is_some()
            };
            if all.iter().any(one) {
                for v in &all {
                    if !give(curve(v)) {
                        break;
                    }
                }
            } else {
                give(curve(&serde_json::json!({ "detections": all })));
            }
        }
        v => {
            give(curve(&v));
        }
    }
    Ok(())
}

/// What matters of an Avro value, as JSON: images and other bytes are left out.
fn json(v: Value) -> serde_json::Value {
    use serde_json::Value as J;
    let number = |x: f64| serde_json::Number::from_f64(x).map_or(J::Null, J::Number);
    match v {
        Value::Union(_, v) => json(*v),
        Value::Record(fields) => J::Object(fields.into_iter().map(|(k, v)| (k, json(v))).collect()),
        Value::Map(m) => J::Object(m.into_iter().map(|(k, v)| (k, json(v))).collect()),
        Value::Array(a) => J::Array(a.into_iter().map(json).collect()),
        Value::Boolean(b) => J::Bool(b),
        Value::Int(i) => J::from(i),
        Value::Long(i) => J::from(i),
        Value::Float(x) => number(f64::from(x)),
        Value::Double(x) => number(x),
        Value::String(s) | Value::Enum(_, s) => J::String(s),
        _ => J::Null,
    }
}

type Json = serde_json::Value;

fn number(v: &Json, names: &[&str]) -> f64 {
    let found = names.iter().find_map(|n| v.get(*n).and_then(Json::as_f64));
    found.unwrap_or(f64::NAN)
}

/// Name of an object: text, or a number.
fn name(v: &Json) -> Option<String> {
    let found = ["objectId", "oid", "diaObjectId", "object_id"]
        .iter()
        .find_map(|k| v.get(*k));
    match found? {
        Json::String(s) => Some(s.clone()),
        Json::Number(n) => Some(n.to_string()),
        _ => None,
    }
}

fn band(v: &Json) -> String {
    let fid = v.get("fid").and_then(Json::as_i64);
    match (
        fid,
        v.get("band").or(v.get("filterName")).or(v.get("filter")),
    ) {
        (_, Some(Json::String(s))) => s.clone(),
        (Some(1), _) => "g".into(),
        (Some(2), _) => "r".into(),
        (Some(3), _) => "i".into(),
        _ => String::new(),
    }
}

/// A measurement of a packet: fluxes in nJy (LSST), or magnitudes of a difference with its sign
/// (ZTF); upper limits are fluxes of 0.
fn point(v: &Json) -> Option<Point> {
    let t = number(v, &["midpointMjdTai", "midPointTai", "mjd", "jd"]);
    let flux = number(v, &["psfFlux", "psFlux"]);
    let error = number(v, &["psfFluxErr", "psFluxErr"]);
    let (flux, error) = if flux.is_finite() && error.is_finite() {
        // nJy: AB magnitude 31.4 is flux 1.
        let k = 10f64.powf(-0.4 * (31.4 - ZERO_POINT));
        ((flux * k) as f32, (error * k) as f32)
    } else {
        let m = number(v, &["magpsf", "mag"]);
        let e = number(v, &["sigmapsf", "e_mag"]);
        let limit = number(v, &["diffmaglim"]);
        if m.is_finite() && e.is_finite() {
            let (f, e) = of_magnitude(m, e);
            let negative = match v.get("isdiffpos") {
                Some(Json::String(s)) => matches!(s.as_str(), "f" | "0" | "-1"),
                Some(Json::Number(n)) => n.as_f64().is_some_and(|n| n < 0.0),
                Some(Json::Bool(b)) => !b,
                _ => false,
            };
            (if negative { -f } else { f }, e)
        } else if limit.is_finite() {
            // Five σ.
            (0.0, of_magnitude(limit, 1.0).0 / 5.0)
        } else {
            return None;
        }
    };
    Some(Point {
        mjd: mjd(t),
        band: band(v),
        flux,
        error,
    })
}

fn curve(v: &Json) -> Result<LightCurve, String> {
    let own = ["candidate", "diaSource", "triggeringSource"]
        .iter()
        .find_map(|k| v.get(*k))
        .filter(|c| c.is_object());
    let mut c = LightCurve {
        object_id: name(v).or_else(|| own.and_then(name)).unwrap_or_default(),
        ..LightCurve::default()
    };
    let place = own.unwrap_or(v);
    (c.ra, c.dec) = (
        number(place, &["ra", "meanra"]),
        number(place, &["dec", "decl", "meandec"]),
    );
    c.points.extend(own.and_then(point));
    for key in [
        "prv_candidates",
        "prvDiaSources",
        "prvDiaForcedSources",
        "detections",
        "fp_hists",
    ] {
        let all = v.get(key).and_then(Json::as_array);
        c.points.extend(all.into_iter().flatten().filter_map(point));
    }
    // LSST's packets carry a source and its forced measurement at the same time: once.
    let mut seen = std::collections::HashSet::new();
    c.points
        .retain(|p| seen.insert((p.mjd.to_bits(), p.band.clone())));
    if c.points.is_empty() {
        return Err(
            "no measurements: expected candidate and prv_candidates (ZTF), diaSource and \
             prvDiaSources (LSST), or detections (ALeRCE)"
                .into(),
        );
    }
    Ok(c)
}
