"""Golden values for crates/slipher-systems: images/score.rs (scikit-learn) and radio/encode.rs (astropy)."""
import numpy as np
from astropy.stats import sigma_clipped_stats
from sklearn.metrics import f1_score, log_loss, roc_auc_score

i = np.arange(1000)
print("CLIPPED", sigma_clipped_stats(np.sin(0.7 * i) + np.where(i % 20 == 0, 20, 0), sigma=3, maxiters=10)[::2])
k = np.arange(200, dtype=np.float32)
p = np.float32(np.round(np.sin(k * np.float32(0.37)) * 50) / 100 + 0.5)
j = np.arange(200.0)
y = np.sin(j * 0.37) + 0.8 * np.sin(j * 1.91) > 0.1
print("AUC", roc_auc_score(y, p), "LOG_LOSS", log_loss(y, np.clip(p, 1e-7, 1 - 1e-7).astype(float)), "F1", f1_score(y, p > 0.5, average="macro"))
