//! Any binary table with a wavelength and a flux column: a pixel per row, or a spectrum per row in
//! vector cells (ESO phase 3, Euclid, PFS, JWST x1d, many others).

use super::masks::Sense;
use super::names::{Role, best, unit_in};
use super::pixels::{Noise, Pixels, medium_by_name};
use super::{Content, Context, Format, Row, arms, degrees, medium_of};
use crate::fits::{Column, Fits, Header, Table};

pub(super) const FORMAT: Format = Format {
    name: "table",
    about: "any binary table with wavelength and flux columns, a pixel or a spectrum per row",
    recognise,
    read,
};

struct Columns<'a> {
    wave: &'a Column,
    flux: &'a Column,
    noise: Option<(Role, &'a Column)>,
    mask: Option<(Role, &'a Column)>,
}

/// The columns of a spectrum, if the table has them.
fn columns<'a>(t: &'a Table) -> Option<Columns<'a>> {
    let names: Vec<&str> = t.columns().iter().map(|c| c.name.as_str()).collect();
    let find = |wanted: Role| best(&names, wanted).map(|i| &t.columns()[i]);
    let (wave, flux) = (find(Role::Wave)?, find(Role::Flux)?);
    let noise = [Role::Ivar, Role::Sigma, Role::Variance]
        .into_iter()
        .find_map(|r| Some((r, find(r)?)));
    Some(Columns {
        wave,
        flux,
        noise,
        mask: [Role::Mask, Role::Good]
            .into_iter()
            .find_map(|r| Some((r, find(r)?))),
    })
}

fn tables(f: &Fits) -> Vec<usize> {
    (0..f.hdus.len())
        .filter(|i| {
            f.table(*i)
                .is_ok_and(|t| t.rows() > 0 && columns(&t).is_some())
        })
        .collect()
}

fn recognise(content: &Content) -> Option<String> {
    let Content::Fits(f) = content else {
        return None;
    };
    let first = *tables(f).first()?;
    let t = f.table(first).ok()?;
    let c = columns(&t)?;
    Some(format!(
        "HDU {first} has columns {} and {}",
        c.wave.name, c.flux.name
    ))
}

fn read(content: &Content, context: &Context) -> Result<Vec<Row>, String> {
    let Content::Fits(f) = content else {
        return Err("it is no FITS file".into());
    };
    let mut out = Vec::new();
    // Files of many objects repeat one layout; files of one object add other tables (sky, single
    // exposures) with another.
    let all = tables(f);
    let layout = |i: usize| {
        f.table(i).ok().map(|t| {
            t.columns()
                .iter()
                .map(|c| c.name.clone())
                .collect::<Vec<_>>()
        })
    };
    let same: Vec<usize> = all
        .iter()
        .copied()
        .filter(|i| layout(*i) == layout(all[0]))
        .collect();
    if let Some((blue, red)) = halves(f, &same) {
        return Ok(vec![both(f, blue, red, context)]);
    }
    for hdu in same {
        let t = f.table(hdu).map_err(|e| e.to_string())?;
        let Some(c) = columns(&t) else { continue };
        let h = &f.hdus[hdu].header;
        let rows = if c.flux.is_vector() { t.rows() } else { 1 };
        for row in 0..rows {
            let spectrum = pixels(f, h, &t, &c, row)
                .and_then(|p| p.into_spectrum(&context.options).map_err(|e| e.to_string()))
                .map(|mut s| {
                    identify(&f.hdus[0].header, h, &t, row, &mut s);
                    if t.rows() > 1 && c.flux.is_vector() && s.object_id.is_empty() {
                        s.object_id = format!("{}#{row}", super::stem(context.path));
                    }
                    s
                });
            out.push(Row { hdu, row, spectrum });
        }
    }
    Ok(out)
}

/// HDUs of the blue and the red half of one spectrum, `Horne-B` and `Horne-R` of DEEP2: of several
/// extractions the optimal one.
fn halves(f: &Fits, hdus: &[usize]) -> Option<(usize, usize)> {
    let name = |i: usize| f.hdus[i].header.str("EXTNAME").unwrap_or_default().trim();
    let pair = |blue: &usize| {
        let red = name(*blue).strip_suffix("-B")?.to_owned() + "-R";
        Some((*blue, *hdus.iter().find(|i| name(**i) == red)?))
    };
    let pairs: Vec<(usize, usize)> = hdus.iter().filter_map(pair).collect();
    let optimal = pairs.iter().find(|p| name(p.0).starts_with("Horne"));
    optimal.or(pairs.first()).copied()
}

fn both(f: &Fits, blue: usize, red: usize, context: &Context) -> Row {
    let half = |hdu: usize| {
        let t = f.table(hdu).map_err(|e| e.to_string())?;
        let c = columns(&t).ok_or("its columns changed while reading")?;
        pixels(f, &f.hdus[hdu].header, &t, &c, 0)
    };
    let joined = || {
        let mut s = arms::joined(vec![half(blue)?, half(red)?], &context.options)?;
        let t = f.table(blue).map_err(|e| e.to_string())?;
        identify(&f.hdus[0].header, &f.hdus[blue].header, &t, 0, &mut s);
        Ok(s)
    };
    Row {
        hdu: blue,
        row: 0,
        spectrum: joined(),
    }
}

fn pixels(f: &Fits, h: &Header, t: &Table, c: &Columns, row: usize) -> Result<Pixels, String> {
    let get = |col: &Column| -> Result<Vec<f64>, String> {
        let v = if c.flux.is_vector() {
            t.f64(&col.name, row)
        } else {
            t.whole(&col.name)
        };
        v.ok_or_else(|| {
            format!(
                "column {} is not numeric, or not one value per row as {} is",
                col.name, c.flux.name
            )
        })
    };
    let mut flux = get(c.flux)?;
    let mut noise = match &c.noise {
        None => Noise::Missing,
        Some((Role::Ivar, col)) => Noise::Ivar(get(col)?),
        Some((Role::Variance, col)) => Noise::Variance(get(col)?),
        Some((_, col)) => Noise::Sigma(get(col)?),
    };
    let headers = [h, &f.hdus[0].header];
    let bad = match c.mask {
        None => vec![],
        Some((r, m)) => Sense::of(&m.name, r, &headers).bad(&get(m)?),
    };
    // A column of zero errors means that there are none; zero inverse variance means a dead
    // spectrum.
    let empty = |v: &[f64]| v.iter().all(|x| !x.is_finite() || *x == 0.0);
    if matches!(&noise, Noise::Sigma(v) | Noise::Variance(v) if empty(v)) {
        noise = Noise::Missing;
    }
    flux.iter_mut()
        .filter(|f| f.abs() > 1e30)
        .for_each(|f| *f = f64::NAN);
    let by_name = medium_by_name(&c.wave.name, &c.wave.ucd);
    let medium = if by_name.1.starts_with("column") {
        by_name
    } else {
        medium_of(h)
            .or_else(|| medium_of(&f.hdus[0].header))
            .unwrap_or(by_name)
    };
    // PFS says its units (nm, nJy) in its datamodel only.
    let pfs = h.str("EXTNAME").is_some_and(|n| n.trim() == "FLUX_TABLE");
    let named_unit = unit_in(&c.flux.name);
    let or = |unit: &str, else_: &str| {
        if unit.is_empty() {
            else_.to_owned()
        } else {
            unit.to_owned()
        }
    };
    Ok(Pixels {
        wave: get(c.wave)?,
        wave_unit: or(&c.wave.unit, if pfs { "nm" } else { "" }),
        wave_name: c.wave.name.clone(),
        flux,
        flux_unit: or(
            &c.flux.unit,
            if pfs {
                "nJy"
            } else if !named_unit.is_empty() {
                &named_unit
            } else {
                h.str("BUNIT").unwrap_or_default()
            },
        ),
        noise,
        bad,
        medium,
    })
}

/// Identifier and position from the table's row or the headers.
fn identify(
    primary: &Header,
    h: &Header,
    t: &Table,
    row: usize,
    s: &mut crate::spectrum::Spectrum,
) {
    let vector = t.rows() > 1;
    for key in [
        "OBJECT_ID",
        "TARGETID",
        "OBJID",
        "SOURCE_ID",
        "SPECID",
        "NAME",
        "ID",
    ] {
        if let Some(id) = t.identifier(key, if vector { row } else { 0 }).filter(|_| {
            t.column(key)
                .is_some_and(|c| c.repeat == 1 || t.text(key, 0).is_some())
        }) {
            s.object_id = id;
            break;
        }
    }
    if s.object_id.is_empty() {
        let key = ["OBJECT_ID", "OBJID", "OBJECT", "TARGNAME", "TARGID"]
            .iter()
            .find_map(|k| h.str(k).or(primary.str(k)));
        s.object_id = key.unwrap_or_default().to_owned();
    }
    let place = |names: [&str; 4], hours: bool| {
        names
            .iter()
            .find_map(|k| {
                t.scalar(k, row)
                    .filter(|_| vector)
                    .or_else(|| degrees(h, k, hours))
                    .or_else(|| degrees(primary, k, hours))
            })
            .unwrap_or(f64::NAN)
    };
    s.ra = place(["RAOBJ", "TARG_RA", "RA_TARG", "RA"], true);
    s.dec = place(["DECOBJ", "TARG_DEC", "DEC_TARG", "DEC"], false);
    for key in ["INSTRUME", "TELESCOP", "DATE-OBS", "EXPTIME"] {
        if let Some(v) = h.str(key).or(primary.str(key)) {
            s.meta.push((key.to_lowercase(), v.to_owned()));
        }
    }
}
