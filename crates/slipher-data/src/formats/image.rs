//! Images of spectra: flux in the primary HDU or in one named FLUX, SCI or DATA, a row a spectrum;
//! wavelengths in an HDU, in the header (linear, logarithmic) or in IRAF's multispec attributes;
//! errors in an HDU, in a band of an IRAF cube, or in a companion file (`*F.fits` and `*E.fits`).

use super::masks::Sense;
use super::names::{Role, role};
use super::pixels::{Medium, Noise, Pixels, unstated_medium};
use super::{Content, Context, Format, Row, degrees, iraf, medium_of};
use crate::fits::{Fits, Header, Image};
use crate::units::settle;

pub(super) const FORMAT: Format = Format {
    name: "image",
    about: "FITS images, a row a spectrum: CRVAL1/CDELT1/CD1_1 (linear, log, ln), IRAF multispec, WAVELENGTH, ERROR, VARIANCE, IVAR and MASK extensions, DESI cframe",
    recognise,
    read,
};

/// HDUs by number that play a part.
struct Layout {
    flux: usize,
    /// Spectra in the image of the flux.
    rows: usize,
    wave: Option<usize>,
    noise: Option<(usize, Role)>,
    mask: Option<usize>,
}

/// Most rows of an image that are taken for spectra: more is a cube.
const ROWS: usize = 1_000_000;

fn extname(f: &Fits, i: usize) -> String {
    let name = f.hdus[i].header.str("EXTNAME").unwrap_or_default();
    name.trim().to_uppercase()
}

fn layout(f: &Fits) -> Option<Layout> {
    let image = |i: usize| f.image(i).ok().filter(|im| im.width() >= 10);
    let named = (0..f.hdus.len()).find(|i| {
        ["FLUX", "SCI", "DATA", "SPECTRUM"].contains(&extname(f, *i).as_str())
            && image(*i).is_some()
    });
    let flux = (0..f.hdus.len().min(2))
        .find(|i| image(*i).is_some())
        .or(named)?;
    let im = image(flux)?;
    let n = im.width();
    let rows = spectra(&f.hdus[flux].header, &im)?;
    // One row for all spectra, or a row each.
    let fits_in = |i: usize| {
        f.image(i)
            .is_ok_and(|other| other.width() == n && (other.rows() == 1 || other.rows() == rows))
    };
    let mut out = Layout {
        flux,
        rows,
        wave: None,
        noise: None,
        mask: None,
    };
    for i in (0..f.hdus.len()).filter(|i| *i != flux && fits_in(*i)) {
        match extname(f, i).as_str() {
            "STAT" => out.noise = Some((i, Role::Variance)),
            "UNCERTAINTY" => out.noise = Some((i, uncertainty(&f.hdus[i].header))),
            name => match role(name) {
                Some(Role::Wave) => out.wave = Some(i),
                Some(r @ (Role::Ivar | Role::Sigma | Role::Variance)) => out.noise = Some((i, r)),
                Some(Role::Mask | Role::Good) => out.mask = Some(i),
                _ => {}
            },
        }
    }
    unnamed(f, &mut out, n);
    let h = &f.hdus[flux].header;
    let header = axis(h, n).is_ok_and(|a| rows == 1 || a.is_spectral()) || iraf::is_multispec(h);
    (out.wave.is_some() || header).then_some(out)
}

/// Number of spectra in an image; none for cubes and images of the sky.
fn spectra(h: &Header, im: &Image) -> Option<usize> {
    // IRAF's third axis holds bands: spectrum, raw, sky, sigma.
    if iraf::is_multispec(h) || h.str("BANDID1").is_some() {
        return Some(im.axes.get(1).copied().unwrap_or(1));
    }
    let sky = h.str("CTYPE2").map(str::to_uppercase).is_some_and(|c| {
        [
            "RA-", "DEC-", "GLON", "GLAT", "ARCSEC", "ANGLE", "XOFF", "YOFF",
        ]
        .iter()
        .any(|k| c.starts_with(k))
    });
    let rows = im.rows();
    let plane = im.axes.iter().skip(2).all(|a| *a == 1) || rows == 1;
    let bands = !plane && im.axes[1] == 1 && rows <= 5;
    if bands {
        return Some(1);
    }
    (plane && rows <= ROWS && (rows == 1 || !sky)).then_some(rows)
}

/// What an `UNCERTAINTY` of astropy's CCDData or of Euclid holds.
fn uncertainty(h: &Header) -> Role {
    match h.str("UTYPE").unwrap_or_default().to_uppercase().trim() {
        "VARIANCE" => Role::Variance,
        "INVERSEVARIANCE" | "IVAR" => Role::Ivar,
        _ => Role::Sigma,
    }
}

/// Unnamed extensions, as linetools and XIDL write them: noise first, wavelength second.
fn unnamed(f: &Fits, out: &mut Layout, n: usize) {
    let flux = out.flux;
    let plain = |i: usize| {
        i < f.hdus.len()
            && extname(f, i).is_empty()
            && f.image(i).is_ok_and(|im| im.width() == n && im.rows() == 1)
    };
    let rises = |i: usize| f.image(i).is_ok_and(|im| ascending(&im.row(0)));
    if out.wave.is_none() && plain(flux + 2) && rises(flux + 2) {
        out.wave = Some(flux + 2);
    }
    if out.noise.is_none() && out.wave == Some(flux + 2) && plain(flux + 1) {
        let sdss = f.hdus[flux]
            .header
            .str("TELESCOP")
            .is_some_and(|t| t.starts_with("SDSS"));
        out.noise = Some((flux + 1, if sdss { Role::Ivar } else { Role::Sigma }));
    }
}

fn ascending(v: &[f64]) -> bool {
    v.windows(2).filter(|w| w[1] > w[0]).count() + 2 >= v.len()
        && v.iter().all(|x| x.is_finite() && *x > 0.0)
}

fn recognise(content: &Content) -> Option<String> {
    let Content::Fits(f) = content else {
        return None;
    };
    let l = layout(f)?;
    let wave = l
        .wave
        .map_or("header keywords".to_owned(), |i| format!("HDU {i}"));
    let rows = if l.rows == 1 {
        "1-D image".to_owned()
    } else {
        format!("image of {} spectra", l.rows)
    };
    Some(format!(
        "{rows} in HDU {} with wavelengths from {wave}",
        l.flux
    ))
}

fn read(content: &Content, context: &Context) -> Result<Vec<Row>, String> {
    let Content::Fits(f) = content else {
        return Err("it is no FITS file".into());
    };
    let l = layout(f).ok_or("its layout changed while reading")?;
    let h = &f.hdus[l.flux].header;
    let image = f.image(l.flux).map_err(|e| e.to_string())?;
    let name = super::stem(context.path);
    if l.noise.is_none() && name.ends_with('E') && companion(context, 'F').is_some() {
        return Err(format!(
            "it is the error array of {}; give that file",
            companion(context, 'F')
                .map(|p| p.display().to_string())
                .unwrap_or_default()
        ));
    }
    let apertures = if l.wave.is_none() && iraf::is_multispec(h) {
        Some(iraf::apertures(h, l.rows)?)
    } else {
        None
    };
    let fibres = f.named("FIBERMAP").and_then(|i| f.table(i).ok());
    let headers = [h, &f.hdus[0].header];
    let one = |row: usize| -> Result<_, String> {
        // A row each, or one for all.
        let of = |hdu: usize| {
            let im = f.image(hdu).map_err(|e| e.to_string())?;
            Ok::<_, String>(im.row(if im.rows() == 1 { 0 } else { row }))
        };
        let flux = image.row(row);
        let noise = match l.noise {
            Some((i, Role::Ivar)) => Noise::Ivar(of(i)?),
            Some((i, Role::Variance)) => Noise::Variance(of(i)?),
            Some((i, _)) => Noise::Sigma(of(i)?),
            None => band_sigma(h, &image, row, l.rows)
                .or_else(|| companion_sigma(context, flux.len()))
                .unwrap_or(Noise::Missing),
        };
        let axis = match (l.wave, &apertures) {
            (Some(i), _) => Axis {
                values: of(i)?,
                unit: f.hdus[i].header.str("BUNIT").unwrap_or_default().to_owned(),
                name: extname(f, i),
            },
            (_, Some(all)) => multispec(h, &all[row], flux.len()),
            _ => axis(h, flux.len())?,
        };
        let bad = match l.mask {
            Some(i) => Sense::of(&extname(f, i), Role::Mask, &headers).bad(&of(i)?),
            None => vec![],
        };
        let pixels = Pixels {
            wave: axis.values,
            wave_unit: axis.unit,
            wave_name: axis.name,
            flux,
            flux_unit: h.str("BUNIT").unwrap_or_default().to_owned(),
            noise,
            bad,
            medium: medium(h),
        };
        let mut s = pixels
            .into_spectrum(&context.options)
            .map_err(|e| e.to_string())?;
        s.object_id = match (&apertures, l.rows) {
            (_, 1) => h.str("OBJECT").unwrap_or_default().to_owned(),
            (Some(all), _) => format!("{name}#{}", all[row].number),
            _ => format!("{name}#{row}"),
        };
        s.ra = degrees(h, "RA-D", true)
            .or_else(|| degrees(h, "RA", true))
            .unwrap_or(f64::NAN);
        s.dec = degrees(h, "DEC-D", false)
            .or_else(|| degrees(h, "DEC", false))
            .unwrap_or(f64::NAN);
        if let Some(t) = fibres.as_ref().filter(|t| t.rows() == l.rows) {
            s.object_id = t.identifier("TARGETID", row).unwrap_or(s.object_id);
            s.ra = t.scalar("TARGET_RA", row).unwrap_or(s.ra);
            s.dec = t.scalar("TARGET_DEC", row).unwrap_or(s.dec);
        }
        Ok(s)
    };
    Ok((0..l.rows)
        .map(|row| Row {
            hdu: l.flux,
            row,
            spectrum: one(row),
        })
        .collect())
}

fn medium(h: &Header) -> (Medium, String) {
    medium_of(h).unwrap_or_else(|| {
        if h.str("WAT0_001").is_some() {
            let evidence = "assumed: IRAF's convention; --vacuum changes it";
            (Medium::Air, evidence.into())
        } else {
            unstated_medium()
        }
    })
}

/// Numbers of a wavelength axis with their unit and name, as the file has them.
pub(super) struct Axis {
    pub values: Vec<f64>,
    pub unit: String,
    pub name: String,
}

impl Axis {
    /// Numbers that are wavelengths of a spectrum: images of the sky have an axis, too.
    fn is_spectral(&self) -> bool {
        let mut w = self.values.clone();
        let settled = settle(&self.unit, &self.name, &w, None);
        settled.is_ok_and(|s| {
            s.unit.to_angstrom(&mut w);
            let (a, b) = (w[0], w[w.len() - 1]);
            a.max(b) > 1.01 * a.min(b) && a.min(b) > 100.0
        })
    }
}

/// Of an aperture of IRAF: a logarithm is undone already.
fn multispec(h: &Header, a: &iraf::Aperture, n: usize) -> Axis {
    let step = h.float("LTM1_1").filter(|s| *s != 0.0).unwrap_or(1.0);
    let first = (1.0 - h.float("LTV1").unwrap_or(0.0)) / step;
    let mut values = a.wavelengths(n, first, 1.0 / step);
    // What lies behind the data of a short aperture is padding.
    values
        .iter_mut()
        .skip(a.pixels.max(1))
        .for_each(|w| *w = f64::NAN);
    Axis {
        values,
        unit: iraf::unit(h),
        name: "wavelength".into(),
    }
}

/// By CRVAL1, CDELT1 or CD1_1, and CRPIX1. Logarithms (DC-FLAG = 1, a unit or CTYPE1 that says so)
/// stay logarithms, with a unit that says so.
pub(super) fn axis(h: &Header, n: usize) -> Result<Axis, String> {
    let value = h.float("CRVAL1").ok_or("the header has no CRVAL1")?;
    let step = [h.float("CDELT1"), h.float("CD1_1")]
        .into_iter()
        .flatten()
        .find(|s| *s != 0.0);
    let step = step.ok_or("the header has no CDELT1 or CD1_1")?;
    let name = h.str("CTYPE1").unwrap_or_default().trim().to_owned();
    let kind = name.to_uppercase();
    if [
        "RA--", "DEC-", "GLON", "PIXEL", "XOFF", "ANGLE", "VELO", "VOPT", "VRAD",
    ]
    .iter()
    .any(|k| kind.starts_with(k))
    {
        return Err(format!("CTYPE1 = {kind} is no wavelength"));
    }
    let pixel = h.float("CRPIX1").unwrap_or(1.0);
    let last = value + step * (n as f64 - pixel);
    if step == 1.0 && value <= 1.0 || last <= 0.0 {
        return Err("CRVAL1 and CDELT1 count pixels, not wavelengths".into());
    }
    let mut unit = h.str("CUNIT1").unwrap_or_default().trim().to_owned();
    if unit.is_empty() {
        unit = iraf::unit(h);
    }
    let small = value.abs() < 100.0;
    if h.int("DC-FLAG") == Some(1) && !unit.to_lowercase().contains("log") {
        unit = format!(
            "log10({})",
            if unit.is_empty() { "Angstrom" } else { &unit }
        );
    } else if unit.is_empty() && kind.starts_with("FREQ") {
        unit = "Hz".into();
    } else if unit.is_empty() && small {
        // `ln(wave)` as a type, without a unit.
        unit = match crate::units::WaveUnit::parse(&name) {
            Ok(Some(_)) => name.clone(),
            _ => unit,
        };
    }
    let offset = (0..n).map(|i| step * (i as f64 + 1.0 - pixel));
    let values = if kind.ends_with("-LOG") && !small {
        // WAVE-LOG, FITS standard 4.0 section 8.4: λ = λ_r exp(Δ/λ_r).
        offset.map(|d| value * (d / value).exp()).collect()
    } else {
        offset.map(|d| value + d).collect()
    };
    // What WAVE-LOG spaces out are wavelengths.
    let name = if name.is_empty() || kind.ends_with("-LOG") && !small {
        "wavelength".into()
    } else {
        name
    };
    Ok(Axis { values, unit, name })
}

/// The σ band of an IRAF cube, named by BANDIDn: `row` of it.
fn band_sigma(h: &Header, image: &Image, row: usize, rows: usize) -> Option<Noise> {
    let bands = image.rows() / rows.max(1);
    let band = (1..=bands).find(|i| {
        h.str(&format!("BANDID{i}"))
            .is_some_and(|b| b.to_lowercase().contains("sigma"))
    })?;
    Some(Noise::Sigma(image.row((band - 1) * rows + row)))
}

/// The file beside this one whose stem ends in `last` instead of F or E.
fn companion(context: &Context, last: char) -> Option<std::path::PathBuf> {
    let file = context.path.file_name()?.to_string_lossy().into_owned();
    let at = file.find(".fits")?;
    let (stem, ending) = file.split_at(at);
    let short = stem.strip_suffix(['F', 'E'])?;
    let path = context
        .path
        .with_file_name(format!("{short}{last}{ending}"));
    (path.as_path() != context.path && path.is_file()).then_some(path)
}

fn companion_sigma(context: &Context, n: usize) -> Option<Noise> {
    let path = companion(context, 'E')?;
    let f = Fits::open(&path).ok()?;
    let row = f.image(0).ok()?.row(0);
    (row.len() == n).then_some(Noise::Sigma(row))
}
