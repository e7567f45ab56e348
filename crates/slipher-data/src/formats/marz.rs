//! Marz input (OzDES, 2dF/AAOmega, GAMA): flux in the primary HDU, one row a fibre, `VARIANCE`,
//! optionally `WAVELENGTH`, `SKY`, `FIBRES`. Without `VACUUM` wavelengths are in air. FIBRES holds
//! RA and DEC in radians. Source: Hinton et al. 2016, Astronomy and Computing 15, 61; Marz README.

use super::image::{Axis, axis};
use super::pixels::{Medium, Noise, Pixels};
use super::{Content, Context, Format, Row, medium_of};

pub(super) const FORMAT: Format = Format {
    name: "Marz",
    about: "AAOmega/2dF/OzDES/Marz: primary flux, VARIANCE, WAVELENGTH, FIBRES",
    recognise,
    read,
};

fn recognise(content: &Content) -> Option<String> {
    let Content::Fits(f) = content else {
        return None;
    };
    let flux = f.image(0).ok()?;
    let variance = f.image(f.named("VARIANCE")?).ok()?;
    let many = f.named("FIBRES").is_some() || flux.rows() > 1;
    (many && flux.axes == variance.axes && flux.axes.len() <= 2)
        .then(|| "primary image with a VARIANCE HDU of the same shape, fibres in rows".into())
}

fn read(content: &Content, context: &Context) -> Result<Vec<Row>, String> {
    let Content::Fits(f) = content else {
        return Err("it is no FITS file".into());
    };
    let image = |hdu: usize| f.image(hdu).map_err(|e| e.to_string());
    let h = &f.hdus[0].header;
    let flux = image(0)?;
    let variance = image(f.named("VARIANCE").ok_or("HDU VARIANCE is missing")?)?;
    let wavelength = f.named("WAVELENGTH").map(image).transpose()?;
    let wave_unit = f
        .named("WAVELENGTH")
        .and_then(|i| f.hdus[i].header.str("BUNIT"))
        .unwrap_or_default()
        .to_owned();
    let fibres = f.named("FIBRES").and_then(|i| f.table(i).ok());
    let medium = medium_of(h).unwrap_or((
        Medium::Air,
        "no VACUUM keyword: air, as Marz takes it".to_owned(),
    ));
    let mut out = Vec::new();
    for row in 0..flux.rows() {
        let axis = match &wavelength {
            Some(w) => Axis {
                values: w.row(row.min(w.rows().saturating_sub(1))),
                unit: wave_unit.clone(),
                name: "wavelength".into(),
            },
            None => axis(h, flux.width())?,
        };
        let pixels = Pixels {
            wave: axis.values,
            wave_unit: axis.unit,
            wave_name: axis.name,
            flux: flux.row(row),
            flux_unit: h.str("BUNIT").unwrap_or_default().to_owned(),
            noise: Noise::Variance(variance.row(row)),
            bad: vec![],
            medium: medium.clone(),
        };
        let spectrum = pixels
            .into_spectrum(&context.options)
            .map_err(|e| e.to_string())
            .map(|mut s| {
                if let Some(t) = &fibres {
                    s.object_id = t.text("NAME", row).unwrap_or_default();
                    s.ra = t.scalar("RA", row).map_or(f64::NAN, f64::to_degrees);
                    s.dec = t.scalar("DEC", row).map_or(f64::NAN, f64::to_degrees);
                    if let Some(kind) = t.text("TYPE", row) {
                        s.meta.push(("type".into(), kind));
                    }
                }
                if s.object_id.is_empty() && flux.rows() > 1 {
                    s.object_id = format!("{}#{row}", super::stem(context.path));
                }
                s
            });
        out.push(Row {
            hdu: 0,
            row,
            spectrum,
        });
    }
    Ok(out)
}
