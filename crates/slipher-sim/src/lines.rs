//! Spectral lines that reports mark and models draw: vacuum wavelengths in Å
//! (NIST; SDSS line tables), name, and whether galaxies or quasars usually show them in
//! emission or absorption.

/// How a line usually shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Seen in emission.
    Emission,
    /// Seen in absorption.
    Absorption,
    /// Either.
    Both,
}

/// One line of the list.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// Ion and wavelength.
    pub name: &'static str,
    /// Vacuum Å.
    pub wave: f64,
    /// Whether it emits or absorbs.
    pub look: Look,
}

const fn line(name: &'static str, wave: f64, look: Look) -> Line {
    Line { name, wave, look }
}

use Look::{Absorption, Both, Emission};

/// Lines by increasing wavelength.
pub const LINES: [Line; 47] = [
    line("Lyβ", 1025.72, Both),
    line("O VI", 1033.83, Emission),
    line("Lyα", 1215.67, Both),
    line("N V", 1240.14, Both),
    line("Si II", 1260.42, Absorption),
    line("O I", 1303.3, Absorption),
    line("C II", 1334.53, Absorption),
    line("Si IV", 1396.76, Both),
    line("Si II", 1526.71, Absorption),
    line("C IV", 1549.06, Both),
    line("Fe II", 1608.45, Absorption),
    line("He II", 1640.42, Emission),
    line("O III]", 1663.48, Emission),
    line("Al II", 1670.79, Absorption),
    line("Al III", 1857.40, Absorption),
    line("C III]", 1908.73, Emission),
    line("Fe II", 2344.21, Absorption),
    line("Fe II", 2382.76, Absorption),
    line("Fe II", 2600.17, Absorption),
    line("Mg II", 2799.12, Both),
    line("[Ne V]", 3426.84, Emission),
    line("[O II]", 3728.48, Emission),
    line("[Ne III]", 3869.86, Emission),
    line("Ca K", 3934.78, Absorption),
    line("Ca H", 3969.59, Absorption),
    line("Hδ", 4102.89, Both),
    line("G band", 4305.61, Absorption),
    line("Hγ", 4341.68, Both),
    line("[O III]", 4364.44, Emission),
    line("He II", 4687.02, Emission),
    line("Hβ", 4862.68, Both),
    line("[O III]", 4960.30, Emission),
    line("[O III]", 5008.24, Emission),
    line("Mg b", 5176.63, Absorption),
    line("Fe", 5270.8, Absorption),
    line("He I", 5877.25, Emission),
    line("Na D", 5895.6, Absorption),
    line("[O I]", 6302.05, Emission),
    line("[N II]", 6549.85, Emission),
    line("Hα", 6564.61, Both),
    line("[N II]", 6585.28, Emission),
    line("[S II]", 6718.29, Emission),
    line("[S II]", 6732.67, Emission),
    line("Ca II", 8544.44, Absorption),
    line("[S III]", 9071.1, Emission),
    line("[S III]", 9533.2, Emission),
    line("He I", 10833.3, Emission),
];

#[cfg(test)]
mod tests {
    #[test]
    fn lines_ascend() {
        assert!(super::LINES.windows(2).all(|w| w[0].wave < w[1].wave));
    }
}
