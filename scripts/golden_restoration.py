"""Golden values of crates/slipher-systems/src/restoration: scikit-image on small pictures.

    pip install scikit-image numpy; python scripts/golden_restoration.py
"""
import numpy as np
from skimage import restoration
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

side = 64
i = np.arange(side * side)
a = np.sin(0.37 * i).astype(np.float32).astype(float).reshape(side, side)
b = (np.sin(0.37 * i) + 0.3 * np.cos(1.91 * i)).astype(np.float32).astype(float).reshape(side, side)
print("SSIM", structural_similarity(a, b, data_range=2.0))
print("PSNR", peak_signal_noise_ratio(a, b, data_range=a.max()))

side = 32
i = np.arange(side * side)
dy, dx = i // side - 14.0, i % side - 17.0
f = 0.1 + np.exp(-(dx * dx + 2.0 * dy * dy) / 18.0) + 0.02 * np.sin(7.3 * i)
f = f.astype(np.float32).astype(float).reshape(side, side)
u = restoration.denoise_tv_chambolle(f, weight=0.1, eps=1e-12, max_num_iter=4000).ravel()
print("TV", [(k, round(float(u[k]), 6)) for k in (0, 465, 500, 1023)])
psf = np.array([[0.05, 0.1, 0.05], [0.1, 0.4, 0.1], [0.05, 0.1, 0.05]])
u = restoration.richardson_lucy(f, psf, num_iter=12, clip=False).ravel()
print("RL", [(k, round(float(u[k]), 7)) for k in (465, 500, 400)])
