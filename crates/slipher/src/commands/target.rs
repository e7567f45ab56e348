//! Names of systems on the command line, from the registry, and the options that they do not have.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use miette::Result;
use slipher_systems::offered::DynSystem;
use slipher_systems::registry::{self, SYSTEMS};
use slipher_systems::system::System;

/// What a verb works on.
#[derive(Clone, Copy)]
pub enum Target {
    System(&'static dyn DynSystem),
    /// The networks of the talk's study.
    Study,
}

/// Name of the study's networks.
pub const STUDY: &str = "redshift-classes";

impl Target {
    /// As on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Target::System(s) => s.name(),
            Target::Study => STUDY,
        }
    }

    /// The system, if it answers through the shared engine.
    pub fn shared(self) -> Option<&'static dyn System> {
        match self {
            Target::System(s) => s.shared(),
            Target::Study => None,
        }
    }

    /// Refuses options that were given and have no effect here.
    pub fn refuse(self, options: &[(&str, bool)]) -> Result<()> {
        match options.iter().find(|o| o.1) {
            Some((option, _)) => Err(miette::miette!(
                "{} has no option {option}: it would have no effect; leave it out",
                self.name()
            )),
            None => Ok(()),
        }
    }
}

fn values() -> Vec<PossibleValue> {
    let offered = SYSTEMS.iter().filter(|s| !s.is_part());
    offered
        .map(|s| PossibleValue::new(s.name()).help(s.title()))
        .collect()
}

fn target(name: String) -> Result<Target, String> {
    if name == STUDY {
        Ok(Target::Study)
    } else {
        registry::by_name(&name).map(Target::System)
    }
}

/// Parses the name of a system.
pub fn systems() -> impl TypedValueParser<Value = Target> {
    PossibleValuesParser::new(values()).try_map(target)
}

/// Parses the name of a system, or of the study's networks.
pub fn systems_and_study() -> impl TypedValueParser<Value = Target> {
    let help = "Redshift as one of 800 classes: the networks of the talk's study";
    let mut all = values();
    all.push(PossibleValue::new(STUDY).help(help));
    PossibleValuesParser::new(all).try_map(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_without_effect_are_refused() {
        let t = target("redshift".into()).unwrap();
        assert!(t.refuse(&[("--labelled", false)]).is_ok());
        let e = t
            .refuse(&[("--a", false), ("--labelled", true)])
            .unwrap_err()
            .to_string();
        assert!(e.contains("redshift") && e.contains("--labelled"), "{e}");
        assert!(
            target("meteors".into()).is_err() && matches!(target(STUDY.into()), Ok(Target::Study))
        );
    }
}
