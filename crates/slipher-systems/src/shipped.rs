//! The models that come with Slipher (folder `models/`, a card each).

use sha2::{Digest, Sha256};

use crate::redshift::model::{Model, ModelError};

const REDSHIFT: &[u8] = include_bytes!("../../../models/redshift.safetensors");

const IMAGES: [(&str, &[u8]); 4] = [
    (
        "star-galaxy",
        include_bytes!("../../../models/star-galaxy.safetensors"),
    ),
    (
        "morphology",
        include_bytes!("../../../models/morphology.safetensors"),
    ),
    ("radio", include_bytes!("../../../models/radio.safetensors")),
    (
        "transients",
        include_bytes!("../../../models/transients.safetensors"),
    ),
];

/// The redshift model.
///
/// # Errors
/// None, as long as the file in the repository is whole.
pub fn redshift() -> Result<Model, ModelError> {
    Model::from_bytes("the shipped model", REDSHIFT)
}

/// The bytes of an image system's model, if it comes with one.
pub fn image(system: &str) -> Option<&'static [u8]> {
    IMAGES.iter().find(|m| m.0 == system).map(|m| m.1)
}

/// SHA-256 of a model file, in hexadecimal: what catalogues carry.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect()
}
