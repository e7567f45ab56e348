//! One spectrum of a galaxy in every container, unit, order and mask, for the tests of this crate and
//! of those above it.

#![allow(dead_code, reason = "each test takes a part of it")]

use std::path::{Path, PathBuf};

use slipher_data::catalogue::{Column, Values, record};
use slipher_data::fits::write::{Cells, TableWriter, file};
use slipher_data::formats::{ReadOptions, read};
use slipher_data::hats::PartWriter;
use slipher_data::spectrum::Spectrum;

/// Pixels.
pub const N: usize = 600;
/// Redshift of the galaxy that the spectrum is of.
pub const Z: f64 = 0.1;

/// A galaxy: Å, flux, error, and the pixels that a mask rejects.
pub fn truth() -> (Vec<f64>, Vec<f64>, Vec<f64>, Vec<bool>) {
    let wave: Vec<f64> = (0..N).map(|i| 3800.0 * 1.0012f64.powi(i as i32)).collect();
    let line = |w: f64, at: f64, height: f64| {
        let x = (w / (at * (1.0 + Z)) - 1.0) * 299_792.458 / 250.0;
        height * (-0.5 * x * x).exp()
    };
    let flux = wave
        .iter()
        .map(|w| {
            let lines = [
                (3728.5, 1.5),
                (4862.7, 0.8),
                (4960.3, 0.7),
                (5008.2, 2.1),
                (6564.6, 2.4),
                (6585.3, 0.8),
            ];
            let rise = 1.0 / (1.0 + (-(w / (1.0 + Z) - 4000.0) / 30.0).exp());
            1.5 + 0.5 * rise + lines.iter().map(|l| line(*w, l.0, l.1)).sum::<f64>()
        })
        .collect();
    let sigma = (0..N).map(|i| 0.1 + 1e-4 * i as f64).collect();
    let bad = (0..N).map(|i| i % 97 == 5).collect();
    (wave, flux, sigma, bad)
}

/// Name of a unit, and what it does to Å.
pub type Unit = (&'static str, fn(f64) -> f64);

pub const UNITS: [Unit; 9] = [
    ("Angstrom", |w| w),
    ("nm", |w| w / 10.0),
    ("um", |w| w * 1e-4),
    ("m", |w| w * 1e-10),
    ("log(Angstrom)", f64::log10),
    ("ln(Angstrom)", f64::ln),
    ("log10(nm)", |w| (w / 10.0).log10()),
    ("THz", |w| 2_997_924.58 / w),
    ("eV", |w| 12_398.419_843 / w),
];

/// Name of a mask column, its value for (bad, good) pixels.
pub const MASKS: [Option<(&str, i32, i32)>; 4] = [
    None,
    Some(("mask", 1, 0)),
    Some(("QUAL", 8, 0)),
    Some(("good", 0, 1)),
];

/// The columns of a file: wavelength in a unit, flux, error, mask.
pub struct Columns {
    pub wave: Vec<f64>,
    pub flux: Vec<f64>,
    pub sigma: Vec<f64>,
    pub mask: Option<(&'static str, Vec<i32>)>,
    pub flux_unit: &'static str,
}

impl Columns {
    pub fn new(unit: fn(f64) -> f64, mask: Option<(&'static str, i32, i32)>, turned: bool) -> Self {
        let (wave, mut flux, mut sigma, mut bad) = truth();
        let mut wave: Vec<f64> = wave.into_iter().map(unit).collect();
        if turned {
            wave.reverse();
            flux.reverse();
            sigma.reverse();
            bad.reverse();
        }
        let mask = mask.map(|(name, yes, no)| {
            let all = bad.iter().map(|b| if *b { yes } else { no }).collect();
            (name, all)
        });
        Columns {
            wave,
            flux,
            sigma,
            mask,
            flux_unit: "erg/s/cm2/Angstrom",
        }
    }

    /// Lines of numbers, with all digits.
    pub fn lines(&self, between: &str) -> String {
        (0..N)
            .map(|i| {
                let mut line = format!(
                    "{:.17e}{between}{:.17e}{between}{:.17e}",
                    self.wave[i], self.flux[i], self.sigma[i]
                );
                if let Some((_, m)) = &self.mask {
                    line += &format!("{between}{}", m[i]);
                }
                line + "\n"
            })
            .collect()
    }

    pub fn mask_name(&self) -> &'static str {
        self.mask.as_ref().map_or("", |m| m.0)
    }
}

pub type Write = fn(&Columns, &str, &Path) -> PathBuf;

pub fn fits_pixels(c: &Columns, unit: &str, folder: &Path) -> PathBuf {
    let mut t = TableWriter::new("SPECTRUM");
    t.column("wavelength", unit, Cells::F64(c.wave.clone()));
    t.column("flux", c.flux_unit, Cells::F64(c.flux.clone()));
    t.column("error", "", Cells::F64(c.sigma.clone()));
    if let Some((name, m)) = &c.mask {
        t.column(name, "", Cells::I32(m.clone()));
    }
    put(folder, "a.fits", &file(&[], &[t]))
}

pub fn csv_unit_in_name(c: &Columns, unit: &str, folder: &Path) -> PathBuf {
    let mask = if c.mask.is_some() { "," } else { "" };
    let (flux, name) = (c.flux_unit, c.mask_name());
    let head = format!("wave ({unit}),flux ({flux}),err{mask}{name}\n");
    put(folder, "a.csv", (head + &c.lines(",")).as_bytes())
}

pub fn ecsv(c: &Columns, unit: &str, folder: &Path) -> PathBuf {
    let mask = c.mask_name();
    let more = if mask.is_empty() {
        String::new()
    } else {
        format!("# - {{name: {mask}, datatype: int32}}\n")
    };
    let head = format!(
        "# %ECSV 1.0\n# ---\n# datatype:\n# - {{name: wavelength, unit: '{unit}', datatype: float64}}\n# - {{name: flux, unit: erg / (Angstrom s cm2), datatype: float64}}\n# - {{name: error, datatype: float64}}\n{more}# schema: astropy-2.0\nwavelength flux error {mask}\n"
    );
    put(folder, "a.ecsv", (head + &c.lines(" ")).as_bytes())
}

pub fn votable(c: &Columns, unit: &str, folder: &Path) -> PathBuf {
    let field = |name: &str, unit: &str, kind: &str| {
        format!("<FIELD name=\"{name}\" unit=\"{unit}\" datatype=\"{kind}\"/>")
    };
    let mut head = field("wavelength", unit, "double") + &field("flux", c.flux_unit, "double");
    head += &field("error", "", "double");
    if c.mask.is_some() {
        head += &field(c.mask_name(), "", "int");
    }
    let rows: String = c
        .lines(" ")
        .lines()
        .map(|l| {
            let cells: String = l.split(' ').map(|v| format!("<TD>{v}</TD>")).collect();
            format!("<TR>{cells}</TR>")
        })
        .collect();
    let all = format!(
        "<?xml version=\"1.0\"?><!DOCTYPE VOTABLE><VOTABLE><RESOURCE><TABLE>{head}<DATA><TABLEDATA>{rows}</TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>"
    );
    put(folder, "a.vot", all.as_bytes())
}

pub fn votable_cells(c: &Columns, unit: &str, folder: &Path) -> PathBuf {
    let list = |v: &[f64]| v.iter().map(|v| format!("{v:.17e} ")).collect::<String>();
    let cell = |name: &str, unit: &str, v: &str| {
        (
            format!("<FIELD name=\"{name}\" unit=\"{unit}\" datatype=\"double\" arraysize=\"*\"/>"),
            format!("<TD>{v}</TD>"),
        )
    };
    let mut all = vec![
        cell("wavelength", unit, &list(&c.wave)),
        cell("flux", c.flux_unit, &list(&c.flux)),
        cell("error", "", &list(&c.sigma)),
    ];
    if let Some((name, m)) = &c.mask {
        let m: Vec<f64> = m.iter().map(|v| f64::from(*v)).collect();
        all.push(cell(name, "", &list(&m)));
    }
    let (fields, cells): (String, String) = all.into_iter().unzip();
    let all = format!(
        "<VOTABLE><RESOURCE><TABLE>{fields}<DATA><TABLEDATA><TR>{cells}</TR></TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>"
    );
    put(folder, "b.vot", all.as_bytes())
}

pub fn parquet(c: &Columns, unit: &str, folder: &Path) -> PathBuf {
    // Names of units live as long as the program.
    let unit: &'static str = unit.to_owned().leak();
    let list = |name, unit, v: &[f64]| Column {
        unit,
        ..Column::bare(name, Values::F64Lists(vec![v.to_vec()]))
    };
    let mut all = vec![
        list("wave", unit, &c.wave),
        list("flux", c.flux_unit, &c.flux),
        list("err", "", &c.sigma),
    ];
    if let Some((name, m)) = &c.mask {
        let m: Vec<f64> = m.iter().map(|v| f64::from(*v)).collect();
        all.push(list(name, "", &m));
    }
    let path = folder.join("a.parquet");
    let batch = record(&all).unwrap();
    let mut w = PartWriter::create(&path, batch.schema_ref(), &[]).unwrap();
    w.write(&batch).unwrap();
    w.finish().unwrap();
    path
}

pub fn put(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

/// All that write a spectrum whose statements are whole.
pub const WRITERS: [(&str, Write); 6] = [
    ("FITS", fits_pixels),
    ("CSV", csv_unit_in_name),
    ("ECSV", ecsv),
    ("VOTable", votable),
    ("VOTable cells", votable_cells),
    ("Parquet", parquet),
];

/// The only spectrum of a file.
pub fn one(path: &Path, options: &ReadOptions) -> Spectrum {
    let f = read(path, options).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(f.rows.len(), 1, "{}", f.because);
    let row = f.rows.into_iter().next().unwrap();
    row.spectrum.unwrap_or_else(|e| panic!("{e}"))
}
