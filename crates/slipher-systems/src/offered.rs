//! What the command line, Python, SQL and engines see of any system, whichever engine answers.

use std::sync::Arc;

use crate::answers::Answerer;
use crate::example::Input;
use crate::predict::{Options, Predict, PredictError};
use crate::system::System;

/// What the command line, Python, SQL and engines see of a system.
pub trait DynSystem: Sync {
    /// As on the command line.
    fn name(&self) -> &'static str;
    /// For people, with its source.
    fn title(&self) -> &'static str;
    /// What it is asked about.
    fn input(&self) -> Input;
    /// The system, if it answers through the shared engine.
    fn shared(&'static self) -> Option<&'static dyn System>;
    /// A part of another system's study, not offered by itself.
    fn is_part(&self) -> bool {
        false
    }
    /// Opens a model; `name` is for messages.
    ///
    /// # Errors
    /// A file that is damaged or of another system; options that the system does not have.
    fn open(
        &'static self,
        name: &str,
        bytes: &[u8],
        o: Options,
    ) -> Result<Arc<dyn Predict>, PredictError>;
}

impl<S: System> DynSystem for S {
    fn name(&self) -> &'static str {
        System::name(self)
    }
    fn title(&self) -> &'static str {
        System::title(self)
    }
    fn input(&self) -> Input {
        System::input(self)
    }
    fn shared(&'static self) -> Option<&'static dyn System> {
        Some(self)
    }
    fn is_part(&self) -> bool {
        System::is_part(self)
    }
    fn open(
        &'static self,
        name: &str,
        bytes: &[u8],
        o: Options,
    ) -> Result<Arc<dyn Predict>, PredictError> {
        Ok(Arc::new(Answerer::open(self, name, bytes, o)?))
    }
}
