//! What all systems of Slipher share of learning: kernels, the shift-equivariant
//! network, optimisers and checkpoints. Knows arrays and no astronomy.
//!
//! * [`lanes`]: 16 channels in one vector register, chosen at run time.
//! * [`conv1d`]: dilated convolution along positions, forward and both gradients.
//! * [`correlation`]: correlation with learned patterns at every lag, by FFT.
//! * [`shiftnet`]: the network built of the two.
//! * [`adam`]: the optimiser and the learning-rate schedule.
//! * [`checkpoint`]: weights on disk (safetensors), written atomically.

pub mod checkpoint;
pub mod conv;
pub mod correlation;
pub mod dense;
pub mod elementary;
pub mod fft;
pub mod lanes;
pub mod loss;
pub mod maps;
pub mod network;
pub mod optimiser;
pub mod pool;
pub mod predictor;
pub mod shiftnet;
pub mod spare;
pub mod tile;
