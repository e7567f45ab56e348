//! Ground-based surveys in g, r and i that lenses are looked for in.

/// One band of a survey.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Band {
    /// AB magnitude of one electron a second.
    pub zero: f64,
    /// Exposure, all together.
    pub seconds: f64,
    /// AB magnitude of 5 σ in an aperture of 2″ across.
    pub depth: f64,
    /// Median full width of a star at half maximum, arcseconds.
    pub seeing: f64,
}

/// A survey: g, r, i.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Survey {
    /// As people call it.
    pub name: &'static str,
    /// Arcseconds a pixel.
    pub scale: f64,
    /// g, r and i.
    pub bands: [Band; 3],
    /// Scatter of the depth from field to field, magnitudes.
    pub uneven: f64,
}

const fn band(zero: f64, seconds: f64, depth: f64, seeing: f64) -> Band {
    Band {
        zero,
        seconds,
        depth,
        seeing,
    }
}

/// The survey of Jacobs et al. 2017; depths and seeing by Erben et al. (2013).
pub const CFHTLS: Survey = Survey {
    name: "CFHTLS",
    scale: 0.187,
    bands: [
        band(26.96, 3500.0, 25.6, 0.84),
        band(26.47, 5500.0, 24.9, 0.77),
        band(26.24, 5500.0, 24.6, 0.72),
    ],
    uneven: 0.15,
};

/// The survey of Petrillo et al. 2017 (de Jong et al. 2017).
pub const KIDS: Survey = Survey {
    name: "KiDS",
    scale: 0.2,
    bands: [
        band(25.6, 900.0, 25.1, 0.88),
        band(25.5, 1800.0, 24.9, 0.70),
        band(25.1, 1200.0, 23.6, 0.79),
    ],
    uneven: 0.15,
};

/// Ten exposures of 90 s (Abbott et al. 2021).
pub const DES: Survey = Survey {
    name: "DES",
    scale: 0.263,
    bands: [
        band(26.5, 900.0, 25.4, 1.11),
        band(26.6, 900.0, 25.1, 0.95),
        band(26.4, 900.0, 24.5, 0.88),
    ],
    uneven: 0.15,
};

/// The wide layer (Aihara et al. 2022).
pub const HSC: Survey = Survey {
    name: "HSC",
    scale: 0.168,
    bands: [
        band(29.0, 600.0, 26.3, 0.79),
        band(29.0, 600.0, 25.9, 0.75),
        band(28.7, 1200.0, 25.7, 0.61),
    ],
    uneven: 0.15,
};

/// Between the first year and the tenth of the main survey (Ivezić et al. 2019).
pub const LSST: Survey = Survey {
    name: "LSST",
    scale: 0.2,
    bands: [
        band(28.3, 1500.0, 26.4, 0.87),
        band(28.1, 3000.0, 26.3, 0.83),
        band(27.8, 3000.0, 25.8, 0.80),
    ],
    uneven: 0.4,
};

/// All of them.
pub const SURVEYS: [Survey; 5] = [CFHTLS, KIDS, DES, HSC, LSST];

impl Band {
    /// Electrons of a magnitude.
    pub fn electrons(&self, magnitude: f64) -> f64 {
        10f64.powf(-0.4 * (magnitude - self.zero)) * self.seconds
    }

    /// Standard deviation of a pixel of the sky, electrons: the aperture of 2″ holds π/scale²
    /// pixels.
    pub fn noise(&self, scale: f64) -> f64 {
        self.electrons(self.depth) / 5.0 / (std::f64::consts::PI / (scale * scale)).sqrt()
    }
}
