//! Text: columns separated by blanks, tabs, commas or semicolons; names in a header line or,
//! without one, wavelength, flux, error in this order. VANDELS ASCII (`wl flam flam_err`, air) is
//! one of them.

use super::names::{Role, best, role, unit_in};
use super::pixels::{Medium, Noise, Pixels, medium_by_name};
use super::{Content, Context, Format, Row, masks};
use crate::units::WaveUnit;

pub(super) const FORMAT: Format = Format {
    name: "text",
    about: "ASCII and CSV columns with or without a header (VANDELS and others)",
    recognise,
    read,
};

struct Parsed {
    names: Vec<String>,
    /// Of each column, as a header states it; may be empty.
    units: Vec<String>,
    columns: Vec<Vec<f64>>,
}

/// A number; the words for none are NaN.
fn number(word: &str) -> Option<f64> {
    word.parse()
        .ok()
        .or_else(|| super::fortran(word))
        .or_else(|| {
            matches!(
                word.to_lowercase().as_str(),
                "nan" | "inf" | "-inf" | "" | "--" | "null" | "none" | "n/a" | "masked"
            )
            .then_some(f64::NAN)
        })
}

/// A number with a decimal comma.
fn comma(word: &str) -> Option<f64> {
    (word.matches(',').count() == 1 && !word.contains('.'))
        .then(|| number(&word.replace(',', ".")))?
}

/// Fields of a line: between semicolons, commas, bars, or blanks.
fn fields(line: &str) -> Vec<&str> {
    let between = |c: char| line.split(c).map(str::trim).collect::<Vec<_>>();
    if line.contains(';') {
        return between(';');
    }
    let blanks = || line.split_whitespace().collect::<Vec<_>>();
    if line.contains(',') {
        // `3800,5  1,02`: commas of decimals, blanks between.
        let words = blanks();
        let decimal = words.len() > 1
            && words
                .iter()
                .all(|w| number(w).or_else(|| comma(w)).is_some());
        return if decimal { words } else { between(',') };
    }
    if line.contains('|') {
        return between('|').into_iter().filter(|w| !w.is_empty()).collect();
    }
    blanks()
}

/// Units of ECSV (`- {name: wavelength, unit: nm, …}`), by name.
fn ecsv(text: &str) -> Vec<(String, String)> {
    let head: String = text
        .lines()
        .take_while(|l| l.starts_with('#') || l.trim().is_empty())
        .map(|l| l.trim_start_matches('#').to_owned() + "\n")
        .collect();
    let value = |s: &str| -> String {
        let s = s.trim_start();
        match s.chars().next() {
            Some(q @ ('\'' | '"')) => s[1..].split(q).next().unwrap_or_default().to_owned(),
            _ => s
                .split([',', '}', '\n'])
                .next()
                .unwrap_or_default()
                .trim()
                .to_owned(),
        }
    };
    if !text.starts_with("# %ECSV") {
        return vec![];
    }
    head.split("name:")
        .skip(1)
        .map(|column| {
            let unit = column
                .split_once("unit:")
                .map_or(String::new(), |(_, u)| value(u));
            (value(column), unit)
        })
        .collect()
}

/// Column names; a unit in brackets belongs to the word before it.
fn names_of(fields: &[&str]) -> Vec<String> {
    let mut out: Vec<String> = vec![];
    for w in fields {
        let w = w.trim_matches('"');
        match out.last_mut() {
            Some(last) if w.starts_with(['(', '[']) => {
                last.push(' ');
                last.push_str(w);
            }
            _ => out.push(w.to_owned()),
        }
    }
    out
}

/// Header names (the last line of words before the numbers), units, and the numeric columns.
fn parse(text: &str) -> Option<Parsed> {
    let mut names: Vec<String> = vec![];
    let mut units: Vec<String> = vec![];
    let mut columns: Vec<Vec<f64>> = vec![];
    let (mut bad, mut good, mut listed) = (0, 0, false);
    for line in text.lines() {
        let trimmed = line.trim().trim_start_matches('\u{feff}');
        if trimmed.is_empty() {
            continue;
        }
        let comment = trimmed.starts_with(['#', '%', '!', '\\', '|', '"']);
        let body = trimmed.trim_start_matches(['#', '%', '!', '\\', ' ']);
        let f = fields(body);
        let numbers: Option<Vec<f64>> = f.iter().map(|w| number(w).or_else(|| comma(w))).collect();
        match numbers {
            Some(v) if !comment && v.len() >= 2 => {
                if columns.is_empty() {
                    columns = vec![vec![]; v.len()];
                }
                if v.len() < columns.len() {
                    bad += 1;
                    continue;
                }
                good += 1;
                columns.iter_mut().zip(v).for_each(|(c, x)| c.push(x));
            }
            _ if columns.is_empty() => {
                let words = names_of(&f);
                if words.iter().any(|w| role(w) == Some(Role::Wave)) {
                    names = words;
                } else if words.len() == names.len() && states_units(&names, &words) {
                    units = words;
                } else if !comment && names.is_empty() {
                    listed = body.contains([',', ';']);
                    names = words;
                }
            }
            _ if comment => {}
            _ => bad += 1,
        }
    }
    // Words that are no names of these columns (a title, a remark) are not used.
    let known = names.iter().filter(|n| role(n).is_some()).count();
    if names.len() != columns.len() || known == 0 && names.len() <= 3 && !listed {
        names.clear();
    }
    let stated = ecsv(text);
    if !stated.is_empty() {
        let of = |n: &String| stated.iter().find(|s| s.0 == *n).map(|s| s.1.clone());
        units = names.iter().map(|n| of(n).unwrap_or_default()).collect();
    }
    (good >= 10 && bad * 20 <= good).then_some(Parsed {
        names,
        units,
        columns,
    })
}

/// A line below the names that holds units: that of the wavelength is one.
fn states_units(names: &[String], words: &[String]) -> bool {
    let wave = names.iter().position(|n| role(n) == Some(Role::Wave));
    wave.and_then(|i| words.get(i))
        .is_some_and(|u| matches!(WaveUnit::parse(u), Ok(Some(_))))
}

/// Column numbers by role.
fn find(p: &Parsed, wanted: Role) -> Option<usize> {
    let names: Vec<&str> = p.names.iter().map(String::as_str).collect();
    best(&names, wanted).filter(|i| *i < p.columns.len())
}

/// Columns of wavelength, flux and noise.
type Layout = (usize, usize, Option<(Role, usize)>);

fn layout(p: &Parsed) -> Option<Layout> {
    if !p.names.is_empty() {
        let (w, f) = (find(p, Role::Wave)?, find(p, Role::Flux)?);
        let noise = [Role::Ivar, Role::Sigma, Role::Variance]
            .into_iter()
            .find_map(|r| Some((r, find(p, r)?)));
        return Some((w, f, noise));
    }
    // No names: wavelength must rise (or fall) through plausible values.
    let w = &p.columns[0];
    let monotonic = w.windows(2).all(|x| x[1] > x[0]) || w.windows(2).all(|x| x[1] < x[0]);
    let plausible = w.iter().all(|x| *x > 0.05 && *x < 1e7);
    let noise = (p.columns.len() >= 3
        && p.columns[2].iter().filter(|e| **e >= 0.0).count() * 10 >= 9 * w.len())
    .then_some((Role::Sigma, 2));
    (monotonic && plausible).then_some((0, 1, noise))
}

fn recognise(content: &Content) -> Option<String> {
    let Content::Text(t) = content else {
        return None;
    };
    let p = parse(t)?;
    let (w, f, noise) = layout(&p)?;
    let name = |i: usize| p.names.get(i).cloned().unwrap_or(format!("#{}", i + 1));
    let noise = noise.map_or("no errors".into(), |(r, i)| format!("{} as {r:?}", name(i)));
    Some(format!(
        "{} lines: {} as wavelength, {} as flux, {noise}",
        p.columns[0].len(),
        name(w),
        name(f)
    ))
}

fn read(content: &Content, context: &Context) -> Result<Vec<Row>, String> {
    let Content::Text(t) = content else {
        return Err("it is no text".into());
    };
    let p = parse(t).ok_or("its lines changed while reading")?;
    let (w, f, noise) = layout(&p).ok_or("it has no wavelength column")?;
    let name = p.names.get(w).cloned().unwrap_or_default();
    let stated = |i: usize| -> String {
        let unit = p.units.get(i).cloned().unwrap_or_default();
        let words = p.names.get(i).map_or("", String::as_str);
        if unit.is_empty() {
            unit_in(words)
        } else {
            unit
        }
    };
    let vandels = p
        .names
        .iter()
        .map(String::as_str)
        .eq(["wl", "flam", "flam_err"]);
    let medium = if vandels {
        (Medium::Air, "VANDELS ASCII".to_owned())
    } else {
        medium_by_name(&name, "")
    };
    let column = |i: usize| p.columns[i].clone();
    let bad = masks::bad(|r| Some(column(find(&p, r)?)));
    let pixels = Pixels {
        wave: column(w),
        wave_unit: stated(w),
        wave_name: name,
        flux: column(f),
        flux_unit: if vandels {
            "erg/s/cm2/Angstrom".into()
        } else {
            stated(f)
        },
        noise: match noise {
            None => Noise::Missing,
            Some((Role::Ivar, i)) => Noise::Ivar(column(i)),
            Some((Role::Variance, i)) => Noise::Variance(column(i)),
            Some((_, i)) => Noise::Sigma(column(i)),
        },
        bad,
        medium,
    };
    let spectrum = pixels
        .into_spectrum(&context.options)
        .map_err(|e| e.to_string());
    Ok(vec![Row {
        hdu: 0,
        row: 0,
        spectrum,
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn body(sep: &str) -> String {
        (0..30)
            .map(|i| format!("{}{sep}{}{sep}0.5\n", 4000 + 2 * i, 1 + i % 3))
            .collect()
    }

    #[test]
    fn headers_of_all_kinds() {
        for (head, sep) in [
            ("", " "),
            ("# wave flux err\n", "  "),
            ("wavelength,flux,error\n", ","),
            ("#comment\n# more words here\nlambda;f;sigma\n", ";"),
            ("% 1 two\n", "\t"),
        ] {
            let t = format!("{head}{}", body(sep));
            let p = parse(&t).unwrap();
            assert_eq!(layout(&p), Some((0, 1, Some((Role::Sigma, 2)))), "{head}");
        }
        let p = parse(&format!("flux,ivar,loglam\n{}", body(","))).unwrap();
        assert_eq!(layout(&p), Some((2, 0, Some((Role::Ivar, 1)))));
        assert!(parse("a b c\n1 2 3\n").is_none());
        // Titles are not names; a unit is part of its name.
        let p = parse(&format!("NGC 4151 nucleus\n{}", body(" "))).unwrap();
        assert!(p.names.is_empty() && layout(&p).is_some());
        let p = parse(&format!("# Wavelength (nm) Flux Error\n{}", body(" "))).unwrap();
        assert_eq!(p.names[0], "Wavelength (nm)");
        // A catalogue is not a spectrum.
        let p = parse(&format!("id,ra,z\n{}", body(","))).unwrap();
        assert_eq!(layout(&p), None);
    }

    proptest! {
        #[test]
        fn any_text_is_safe(t in "[ -~\n\t]{0,400}") {
            if let Some(p) = parse(&t) {
                let _ = layout(&p);
            }
        }
    }
}
