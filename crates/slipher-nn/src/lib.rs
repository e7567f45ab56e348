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
//!
//! Training a small network, whose answer is a mean with its error:
//!
//! ```
//! use std::sync::Arc;
//!
//! use slipher_nn::heads::Head;
//! use slipher_nn::heads::posterior::{Mixture, Posterior};
//! use slipher_nn::maps::Shape;
//! use slipher_nn::network::{Layer, Network};
//! use slipher_nn::optimiser::Rule;
//! use slipher_nn::train::single::{Single, Supervised};
//! use slipher_nn::train::{Examples, Run, Schedule, fit};
//!
//! /// y = 2 x, on 32 values of x a step.
//! struct Line;
//! impl Examples<Supervised> for Line {
//!     fn batch(&self, step: u64) -> Supervised {
//!         let x: Vec<f32> = (0..32).map(|i| ((step * 32 + i) as f32 * 0.618).fract()).collect();
//!         let targets = x.iter().map(|x| 2.0 * x).collect();
//!         Supervised { x, targets }
//!     }
//! }
//!
//! let dense = |units, slope| Layer::Dense { units, slope };
//! let net = Network::new(Shape::line(1, 1), &[dense(16, 0.1), dense(2, 1.0)], 1)?;
//! let head = Mixture::gaussian(vec![(1.0, 0.6)]);
//! let mut learner = Single::new(net, Arc::new(head.clone()), Rule::adam(), 0.0, 1);
//! let schedule = Schedule {
//!     steps: 1500,
//!     learning_rate: 5e-3,
//!     warmup: 20,
//!     constant: false,
//!     every: 1500,
//!     patience: 0,
//!     keep_best: false,
//! };
//! fit(&mut learner, &Line, &schedule, &mut Run::in_memory())?;
//! let mut answer = vec![0.0; head.width(1)];
//! head.decode(&learner.outputs(&[0.5]), &mut answer);
//! let posterior = Posterior::of(&answer, 1);
//! println!("{:.2} ± {:.2}", posterior.mean(0), posterior.sigma(0));
//! assert!((posterior.mean(0) - 1.0).abs() < 0.2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

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
