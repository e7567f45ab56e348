//! The shift-equivariant network on graphics processors.
//!
//! Built with the feature `wgpu` (Vulkan, Metal, DirectX 12) or `cuda`; `flex` is the framework's
//! path on the processor, for tests. Without any, [`open`] knows only the processor itself.

mod device;
#[cfg(any(feature = "flex", feature = "wgpu", feature = "cuda"))]
mod shiftnet;

pub use device::{Choice, NoDevice, open};
