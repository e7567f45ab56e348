//! What all systems of Slipher share of learning: kernels, the shift-equivariant
//! network, optimisers and checkpoints. Knows arrays and no astronomy.
//!
//! * [`lanes`], [`tile`]: 16 channels in one vector register, the instruction set chosen at run
//!   time.
//! * [`maps`], [`conv`], [`pool`], [`norm`], [`response`], [`dense`]: feature maps and layers,
//!   forward and backward.
//! * [`network`]: lists of layers; [`predictor`]: the same for prediction only.
//! * [`correlation`], [`fft`], [`shiftnet`]: the shift-equivariant network.
//! * [`heads`]: from outputs to a loss and to an answer; [`loss`]: losses of classifiers.
//! * [`train`]: learners and the one training loop; [`optimiser`].
//! * [`augment`], [`ensemble`]: views of images and the combination of what networks say about
//!   them.
//! * [`checkpoint`]: weights on disk (safetensors), written atomically.

#![allow(
    clippy::needless_range_loop,
    reason = "index loops over several arrays at once read better than zips in numerical code"
)]

pub mod augment;
pub mod checkpoint;
pub mod conv;
pub mod correlation;
pub mod dense;
pub mod elementary;
pub mod ensemble;
pub mod fft;
pub mod heads;
pub mod lanes;
pub mod loss;
pub mod maps;
pub mod network;
pub mod norm;
pub mod object_pool;
pub mod optimiser;
pub mod pool;
pub mod predictor;
pub mod response;
pub mod shiftnet;
pub mod tile;
pub mod train;
