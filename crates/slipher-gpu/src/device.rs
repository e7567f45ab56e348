//! Choice of the device that predicts.

use std::sync::Arc;

use slipher_nn::shiftnet::{Backend, ShiftNet};

/// Where to compute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// A graphics processor if this build knows one and the machine has one, else the processor.
    #[default]
    Auto,
    /// The processor, with the kernels of this project.
    Cpu,
    /// A graphics processor by wgpu (Vulkan, Metal, DirectX 12).
    Wgpu,
    /// A graphics processor by CUDA.
    Cuda,
    /// The framework's own path on the processor.
    Flex,
}

/// A device that was asked for by name and is not to be had.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum NoDevice {
    #[error(
        "this slipher was built without {name}; build it with: cargo build --release --features {name}"
    )]
    NotBuilt { name: &'static str },
    #[error("{name}: no device found ({why}); use --device cpu")]
    NotFound { name: &'static str, why: String },
}

/// The engine of a choice with its name, or none for our own kernels on the processor.
///
/// # Errors
/// A device named (not `Auto`) that this build or machine does not have.
#[expect(clippy::type_complexity, reason = "used once, where it is clear")]
pub fn open(
    choice: Choice,
    net: &ShiftNet,
) -> Result<Option<(String, Arc<dyn Backend>)>, NoDevice> {
    match choice {
        Choice::Cpu => Ok(None),
        Choice::Wgpu => wgpu(net, true),
        Choice::Cuda => cuda(net),
        Choice::Flex => flex(net),
        // A software renderer is slower than our own kernels.
        Choice::Auto => Ok(cuda(net).or_else(|_| wgpu(net, false)).unwrap_or(None)),
    }
}

type Opened = Result<Option<(String, Arc<dyn Backend>)>, NoDevice>;

#[cfg(feature = "wgpu")]
fn wgpu(net: &ShiftNet, software: bool) -> Opened {
    use burn::tensor::{Device, DeviceKind, DeviceType};
    let not_found = |why: String| NoDevice::NotFound { name: "wgpu", why };
    let cpu = Device::wgpu(DeviceKind::Cpu);
    let found = Device::enumerate(DeviceType::Wgpu);
    let real = found.iter().any(|d| *d != cpu);
    if !real && !(software && found.iter().any(|d| *d == cpu)) {
        return Err(not_found("no Vulkan, Metal or DirectX adapter".into()));
    }
    let kind = if real {
        DeviceKind::DefaultDevice
    } else {
        DeviceKind::Cpu
    };
    let device = Device::wgpu_options()
        .device_kind(kind)
        .init()
        .map_err(|e| not_found(e.to_string()))?;
    Ok(Some((
        if real {
            "wgpu"
        } else {
            "wgpu (software renderer)"
        }
        .into(),
        Arc::new(crate::shiftnet::OnDevice::new(net, device)),
    )))
}

#[cfg(not(feature = "wgpu"))]
fn wgpu(_: &ShiftNet, _: bool) -> Opened {
    Err(NoDevice::NotBuilt { name: "wgpu" })
}

#[cfg(feature = "cuda")]
fn cuda(net: &ShiftNet) -> Opened {
    use burn::tensor::{Device, DeviceType};
    let found = Device::enumerate(DeviceType::Cuda);
    let device = found.iter().next().cloned().ok_or(NoDevice::NotFound {
        name: "cuda",
        why: "no NVIDIA driver or device".into(),
    })?;
    Ok(Some((
        "cuda".into(),
        Arc::new(crate::shiftnet::OnDevice::new(net, device)),
    )))
}

#[cfg(not(feature = "cuda"))]
fn cuda(_: &ShiftNet) -> Opened {
    Err(NoDevice::NotBuilt { name: "cuda" })
}

#[cfg(feature = "flex")]
fn flex(net: &ShiftNet) -> Opened {
    Ok(Some((
        "flex".into(),
        Arc::new(crate::shiftnet::OnDevice::new(
            net,
            burn::tensor::Device::flex(),
        )),
    )))
}

#[cfg(not(feature = "flex"))]
fn flex(_: &ShiftNet) -> Opened {
    Err(NoDevice::NotBuilt { name: "flex" })
}
