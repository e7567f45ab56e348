//! What was assumed of a spectrum, or is wrong with its file, by name.

/// A warning; the column `warnings` of catalogues holds the names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Warning {
    /// The file states no unit of wavelength, and sizes allow more than one.
    WaveUnitAssumed,
    /// The numbers do not suit the stated unit; they were taken for logarithms of it.
    WaveUnitContradicts,
    /// The file does not say whether wavelengths are in air or in vacuum.
    MediumAssumed,
    /// The file does not say whether the flux is per wavelength or per frequency.
    FluxUnitAssumed,
    /// The mask rejects more than 95 % of the pixels that have a flux and an error.
    MaskRejectsMost,
    /// Of the cameras of its survey the file has some only.
    CameraMissing,
    /// The file is cut or damaged; this row was read from what is left.
    FileDamaged,
}

use Warning::{
    CameraMissing, FileDamaged, FluxUnitAssumed, MaskRejectsMost, MediumAssumed, WaveUnitAssumed,
    WaveUnitContradicts,
};

impl Warning {
    /// All, in the order in which they are listed.
    pub const ALL: [Warning; 7] = [
        WaveUnitAssumed,
        WaveUnitContradicts,
        MediumAssumed,
        FluxUnitAssumed,
        MaskRejectsMost,
        CameraMissing,
        FileDamaged,
    ];

    /// As catalogues write it.
    pub fn name(self) -> &'static str {
        match self {
            WaveUnitAssumed => "wave-unit-assumed",
            WaveUnitContradicts => "wave-unit-contradicts",
            MediumAssumed => "medium-assumed",
            FluxUnitAssumed => "flux-unit-assumed",
            MaskRejectsMost => "mask-rejects-most",
            CameraMissing => "camera-missing",
            FileDamaged => "file-damaged",
        }
    }

    /// What it means, and what to do.
    pub fn about(self) -> &'static str {
        match self {
            WaveUnitAssumed => {
                "no unit of wavelength is stated and more than one is possible: give --wave-unit"
            }
            WaveUnitContradicts => {
                "the numbers do not suit the stated unit of wavelength and were taken for logarithms"
            }
            MediumAssumed => "air or vacuum is not stated: vacuum taken; --air or --vacuum says it",
            FluxUnitAssumed => "per frequency or per wavelength is not stated: give --flux-unit",
            MaskRejectsMost => "the mask rejects more than 95 % of the pixels with flux and error",
            CameraMissing => "the file has some of its survey's cameras only: is it complete?",
            FileDamaged => "the file is cut or damaged; the row was read from what is left",
        }
    }

    /// With it no redshift is accepted.
    pub fn blocks(self) -> bool {
        matches!(
            self,
            WaveUnitAssumed | WaveUnitContradicts | CameraMissing | FileDamaged
        )
    }

    /// By its name.
    pub fn parse(name: &str) -> Option<Warning> {
        Warning::ALL.into_iter().find(|w| w.name() == name.trim())
    }

    /// Names joined by commas, as a cell of a catalogue.
    pub fn join(all: &[Warning]) -> String {
        let names: Vec<&str> = all.iter().map(|w| w.name()).collect();
        names.join(",")
    }

    /// Of such a cell; words that are no warning are left out.
    pub fn split(cell: &str) -> Vec<Warning> {
        cell.split(',').filter_map(Warning::parse).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        assert_eq!(Warning::split(&Warning::join(&Warning::ALL)), Warning::ALL);
        assert_eq!(Warning::split("else, medium-assumed"), [MediumAssumed]);
    }
}
