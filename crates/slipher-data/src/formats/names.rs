//! What columns, HDUs and data sets are, by their names.

use crate::units::{WaveUnit, split};

/// Names of columns that say what an object is, by row.
pub const ID: &[&str] = &[
    "object_id",
    "targetid",
    "objid",
    "source_id",
    "specid",
    "name",
    "id",
];
/// Columns with a right ascension in degrees, by falling preference.
pub const RA: &[&str] = &["ra", "target_ra", "plug_ra"];
/// With a declination in degrees.
pub const DEC: &[&str] = &["dec", "target_dec", "plug_dec"];
/// With a class.
pub const CLASS: &[&str] = &["spectype", "class"];
/// With a redshift.
pub const REDSHIFT: &[&str] = &["z", "z_true", "redshift"];
/// With redshift warnings.
pub const ZWARN: &[&str] = &["zwarn", "zwarning"];

/// Role of a column by its name; names are compared in lower case without `_`, `-`, blanks or a
/// unit in brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Wavelengths.
    Wave,
    /// Flux.
    Flux,
    /// Inverse variance.
    Ivar,
    /// Standard deviation.
    Sigma,
    /// Variance.
    Variance,
    /// Mask: what is bad in it, [`super::masks`] says.
    Mask,
    /// Mask that is 1 where a pixel is good.
    Good,
}

/// Columns are known by these names, in lower case, without separators.
const NAMES: [(Role, &[&str]); 7] = [
    (
        Role::Wave,
        &[
            "loglam",
            "loglambda",
            "logwave",
            "wave",
            "wavelength",
            "lambda",
            "lam",
            "wl",
            "wlen",
            "wavelengths",
            "waveobs",
            "lambdaobs",
            "wavevac",
            "waveair",
            "wav",
            "spectralaxis",
            "obswave",
            "vacwave",
            "angstrom",
            "wavs",
            "waves",
            "lams",
            "lambdas",
            "lnlam",
            "lnlambda",
            "lnwave",
            "optwave",
            "wavevacuum",
            "wavelengthvac",
            "wavelengthair",
            "wlvac",
            "wlair",
            "lambdavac",
            "lambdaair",
            "frequency",
            "freq",
            "energy",
            "wavenumber",
        ],
    ),
    (
        Role::Flux,
        &[
            "flux",
            "fluxes",
            "flam",
            "flambda",
            "fnu",
            "fluxdensity",
            "fluxlambda",
            "signal",
            "spec",
            "spectrum",
            "fluxtotal",
            "fobs",
            "intensity",
            "counts",
            "fluxobs",
            "f",
            "optflam",
            "fluxreduced",
            "fluxtellcorr",
            "fluxcal",
            "fluxcalibrated",
            "sci",
            "science",
        ],
    ),
    (
        Role::Ivar,
        &[
            "ivar",
            "inversevariance",
            "invvar",
            "fluxivar",
            "inversevar",
            "invvariance",
            "optflamivar",
        ],
    ),
    (
        Role::Sigma,
        &[
            "err",
            "error",
            "sigma",
            "fluxerr",
            "fluxerror",
            "errflux",
            "std",
            "stddev",
            "noise",
            "flamerr",
            "uncertainty",
            "uncert",
            "fluxuncertainty",
            "sig",
            "dflux",
            "eflux",
            "fluxerrors",
            "errorflux",
            "fluxsigma",
            "fluxstd",
            "unc",
            "ferr",
            "fluxunc",
            "efluxlambda",
            "errs",
            "optflamsig",
            "errreduced",
            "fluxreducederr",
            "fluxtellcorrerr",
            "errtellcorr",
            "rms",
        ],
    ),
    (
        Role::Variance,
        &["var", "variance", "fluxvar", "fluxvariance"],
    ),
    (
        Role::Mask,
        &[
            "mask",
            "bad",
            "badpix",
            "badpixels",
            "dq",
            "badpixel",
            "qual",
            "quality",
            "flag",
            "flags",
            "andmask",
            "optmask",
            "pixelmask",
            "dataquality",
        ],
    ),
    (
        Role::Good,
        &[
            "good",
            "goodpix",
            "goodpixel",
            "goodpixels",
            "goodmask",
            "valid",
            "optgood",
        ],
    ),
];

/// Role of a column name, if it has one.
pub fn role(name: &str) -> Option<Role> {
    role_of_plain(name.split(['(', '[']).next().unwrap_or_default()).or_else(|| {
        // `wave_nm`, `flux_mJy`: a name and a unit.
        let (head, unit) = split(name)?;
        let of_wave = WaveUnit::parse(&unit).is_ok_and(|u| u.is_some());
        role_of_plain(&head).filter(|r| (*r == Role::Wave) == of_wave)
    })
}

/// The unit in a name that has a role; empty if there is none.
pub fn unit_in(name: &str) -> String {
    role(name)
        .and_then(|_| split(name))
        .map_or(String::new(), |(_, unit)| unit)
}

/// Of several names with a role, the one that is meant: that which [`NAMES`] lists first.
pub fn best(names: &[&str], wanted: Role) -> Option<usize> {
    let rank = |name: &str| {
        let list = NAMES.iter().find(|(r, _)| *r == wanted)?.1;
        let key = key(name);
        Some(list.iter().position(|n| *n == key).unwrap_or(list.len()))
    };
    let all = (0..names.len()).filter(|i| role(names[*i]) == Some(wanted));
    all.min_by_key(|i| rank(names[*i]))
}

/// A name as [`NAMES`] lists it.
fn key(name: &str) -> String {
    let plain = name.split(['(', '[']).next().unwrap_or_default();
    let lower = plain.to_lowercase();
    lower.chars().filter(|c| !"_- .".contains(*c)).collect()
}

fn role_of_plain(plain: &str) -> Option<Role> {
    let key = key(plain);
    NAMES
        .iter()
        .find(|(_, names)| names.contains(&key.as_str()))
        .map(|(r, _)| *r)
}

/// Names that [`role`] knows for wavelength, for messages.
pub fn wave_names() -> String {
    NAMES[0].1[..8].join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_roles() {
        assert_eq!(role("Wavelength (A)"), Some(Role::Wave));
        assert_eq!(role("ERR_FLUX"), Some(Role::Sigma));
        assert_eq!(role("inverse_variance"), Some(Role::Ivar));
        assert_eq!(role("z"), None);
    }
}
