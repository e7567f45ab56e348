//! 1-D images: flux in the primary HDU, wavelength in an HDU or in the header (linear or log),
//! errors in an HDU, in a band of an IRAF cube, or in a companion file (`*F.fits` and `*E.fits`).

use super::pixels::{Medium, Noise, Pixels};
use super::{Content, Context, Format, Row, degrees, medium_of};
use crate::fits::{Fits, Header};

pub(super) const FORMAT: Format = Format {
    name: "1-D image",
    about: "1-D FITS images: CRVAL1/CDELT1/CD1_1 (linear, log), WAVELENGTH, ERROR, VARIANCE or IVAR extensions, IRAF multispec",
    recognise,
    read,
};

/// HDUs by number that play a part.
struct Layout {
    flux: usize,
    wave: Option<usize>,
    noise: Option<(usize, &'static str)>,
}

fn layout(f: &Fits) -> Option<Layout> {
    let flux = (0..f.hdus.len().min(2)).find(|i| f.image(*i).is_ok())?;
    let image = f.image(flux).ok()?;
    let n = image.width();
    if n < 10 || image.axes.iter().skip(1).product::<usize>() > 5 {
        return None;
    }
    let fits_in = |i: usize| {
        f.image(i)
            .is_ok_and(|im| im.width() == n && im.axes.iter().skip(1).all(|a| *a == 1))
    };
    let mut out = Layout {
        flux,
        wave: None,
        noise: None,
    };
    for i in (0..f.hdus.len()).filter(|i| *i != flux && fits_in(*i)) {
        let name = f.hdus[i]
            .header
            .str("EXTNAME")
            .unwrap_or_default()
            .to_uppercase();
        match name.trim() {
            "WAVELENGTH" | "WAVE" | "LAMBDA" | "LOGLAM" => out.wave = Some(i),
            "IVAR" | "INVVAR" => out.noise = Some((i, "ivar")),
            "VARIANCE" | "VAR" | "STAT" => out.noise = Some((i, "variance")),
            "ERROR" | "ERR" | "SIGMA" | "SIG" | "STDDEV" | "UNCERT" | "NOISE" => {
                out.noise = Some((i, "sigma"))
            }
            _ => {}
        }
    }
    // Unnamed extensions, as linetools and XIDL write them: noise first, wavelength second.
    let unnamed = |i: usize| {
        i < f.hdus.len()
            && fits_in(i)
            && f.hdus[i]
                .header
                .str("EXTNAME")
                .is_none_or(|n| n.trim().is_empty())
    };
    if out.wave.is_none() && unnamed(flux + 2) && ascending(&f.image(flux + 2).ok()?.row(0)) {
        out.wave = Some(flux + 2);
    }
    if out.noise.is_none() && out.wave == Some(flux + 2) && unnamed(flux + 1) {
        let sdss = f.hdus[flux]
            .header
            .str("TELESCOP")
            .is_some_and(|t| t.starts_with("SDSS"));
        out.noise = Some((flux + 1, if sdss { "ivar" } else { "sigma" }));
    }
    let header = header_wavelengths(&f.hdus[flux].header, n).is_ok();
    (out.wave.is_some() || header).then_some(out)
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
    Some(format!(
        "1-D image in HDU {} with wavelengths from {wave}",
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
    let row = |hdu: usize| f.image(hdu).map(|i| i.row(0)).map_err(|e| e.to_string());
    let flux = image.row(0);
    let name = super::stem(context.path);
    if l.noise.is_none() && name.ends_with('E') && companion(context, 'F').is_some() {
        return Err(format!(
            "it is the error array of {}; give that file",
            companion(context, 'F')
                .map(|p| p.display().to_string())
                .unwrap_or_default()
        ));
    }
    let noise = match l.noise {
        Some((i, "ivar")) => Noise::Ivar(row(i)?),
        Some((i, "variance")) => Noise::Variance(row(i)?),
        Some((i, _)) => Noise::Sigma(row(i)?),
        None => band_sigma(h, &image)
            .or_else(|| companion_sigma(context, flux.len()))
            .unwrap_or(Noise::Missing),
    };
    let (wave, unit) = match l.wave {
        Some(i) => (
            row(i)?,
            f.hdus[i].header.str("BUNIT").unwrap_or_default().to_owned(),
        ),
        None => header_wavelengths(h, flux.len())?,
    };
    let iraf = h.str("WAT0_001").is_some();
    let medium = medium_of(h).unwrap_or_else(|| {
        if iraf {
            (
                Medium::Air,
                "assumed: IRAF's convention; --vacuum changes it".into(),
            )
        } else {
            (
                Medium::Vacuum,
                "assumed: the file does not say; --air changes it".into(),
            )
        }
    });
    let pixels = Pixels {
        wave,
        wave_unit: unit,
        wave_name: "wavelength".into(),
        flux,
        flux_unit: h.str("BUNIT").unwrap_or_default().to_owned(),
        noise,
        bad: vec![],
        medium,
    };
    let spectrum = pixels
        .into_spectrum(&context.options)
        .map_err(|e| e.to_string())
        .map(|mut s| {
            s.object_id = h
                .str("OBJECT")
                .filter(|o| !o.is_empty())
                .unwrap_or_default()
                .to_owned();
            s.ra = degrees(h, "RA-D", true)
                .or_else(|| degrees(h, "RA", true))
                .unwrap_or(f64::NAN);
            s.dec = degrees(h, "DEC-D", false)
                .or_else(|| degrees(h, "DEC", false))
                .unwrap_or(f64::NAN);
            s
        });
    Ok(vec![Row {
        hdu: l.flux,
        row: 0,
        spectrum,
    }])
}

/// Wavelengths and their unit by CRVAL1, CDELT1 or CD1_1, CRPIX1; log₁₀ if DC-FLAG = 1, the unit
/// says so, or CRVAL1 is between 2 and 10 without another unit (CTYPE1 = LINEAR is often wrong).
pub(super) fn header_wavelengths(h: &Header, n: usize) -> Result<(Vec<f64>, String), String> {
    let value = h.float("CRVAL1").ok_or("the header has no CRVAL1")?;
    let step = [h.float("CDELT1"), h.float("CD1_1")]
        .into_iter()
        .flatten()
        .find(|s| *s != 0.0);
    let step = step.ok_or("the header has no CDELT1 or CD1_1")?;
    let kind = h.str("CTYPE1").unwrap_or_default().to_uppercase();
    if ["RA--", "DEC-", "GLON", "PIXEL", "XOFF", "FREQ", "ANGLE"]
        .iter()
        .any(|k| kind.starts_with(k))
    {
        return Err(format!("CTYPE1 = {kind} is no wavelength"));
    }
    let pixel = h.float("CRPIX1").unwrap_or(1.0);
    let unit = h.str("CUNIT1").unwrap_or_default().to_lowercase();
    let plain = unit.is_empty() || unit.starts_with("ang") || unit.contains("log");
    let logarithmic = h.int("DC-FLAG") == Some(1)
        || unit.contains("log")
        || (plain && value > 2.0 && value < 10.0 && step.abs() < 0.01);
    let last = value + step * (n as f64 - pixel);
    if step == 1.0 && value <= 1.0 || last <= 0.0 {
        return Err("CRVAL1 and CDELT1 count pixels, not wavelengths".into());
    }
    let offset = (0..n).map(|i| step * (i as f64 + 1.0 - pixel));
    let wave: Vec<f64> = if kind.ends_with("-LOG") && !logarithmic {
        // WAVE-LOG, FITS standard 4.0 section 8.4: λ = λ_r exp(Δ/λ_r).
        offset.map(|d| value * (d / value).exp()).collect()
    } else if logarithmic {
        offset.map(|d| 10f64.powf(value + d)).collect()
    } else {
        offset.map(|d| value + d).collect()
    };
    // What was logarithmic is in Angstrom now.
    let unit = if logarithmic {
        "Angstrom".to_owned()
    } else {
        h.str("CUNIT1").unwrap_or_default().to_owned()
    };
    Ok((wave, unit))
}

/// The σ band of an IRAF multispec cube, named by BANDIDn.
fn band_sigma(h: &Header, image: &crate::fits::Image) -> Option<Noise> {
    let band = (1..=image.rows()).find(|i| {
        h.str(&format!("BANDID{i}"))
            .is_some_and(|b| b.to_lowercase().contains("sigma"))
    })?;
    Some(Noise::Sigma(image.row(band - 1)))
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
