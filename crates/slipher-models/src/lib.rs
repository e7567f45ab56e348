//! Trained weights, as safetensors, with their cards: nothing else, so that a program which brings
//! its own carries none.
//!
//! ```
//! let weights = slipher_models::weights("redshift").expect("a default feature");
//! assert!(weights.len() > 1_000_000);
//! ```

/// A model that comes with Slipher.
#[derive(Clone, Copy, Debug)]
pub struct Shipped {
    /// The system that it answers for.
    pub system: &'static str,
    /// A safetensors file.
    pub weights: &'static [u8],
    /// What it was trained on, what it is valid for and what not, as Markdown.
    pub card: &'static str,
}

macro_rules! shipped {
    ($($feature:literal, $card:literal;)*) => {
        /// The models of the features that are on.
        pub const ALL: &[Shipped] = &[$(
            #[cfg(feature = $feature)]
            Shipped {
                system: $feature,
                weights: include_bytes!(concat!("../weights/", $feature, ".safetensors")),
                card: include_str!(concat!("../cards/", $card, ".md")),
            },
        )*];
    };
}

shipped! {
    "redshift", "redshift";
    "star-galaxy", "images";
    "morphology", "images";
    "radio", "images";
    "transients", "images";
    "lens-finding", "images";
    "structure", "structure";
    "lens-model", "lens-model";
    "light-curves", "light-curves";
    "restoration", "restoration";
}

/// Weights of a system, if they are here.
pub fn weights(system: &str) -> Option<&'static [u8]> {
    ALL.iter().find(|m| m.system == system).map(|m| m.weights)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A wheel with everything stays below 60 MB: more models than these come.
    #[test]
    fn all_weights_fit_their_budget() {
        assert!(ALL.iter().map(|m| m.weights.len()).sum::<usize>() < 40 << 20);
        assert!(ALL.iter().all(|m| m.card.contains(".safetensors")));
        assert!(weights("nothing").is_none());
    }
}
