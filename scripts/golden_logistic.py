"""Golden values of crates/slipher-stats/src/logistic.rs: scikit-learn's logistic regression.

pip install scikit-learn numpy
"""

import numpy as np
from sklearn.linear_model import LogisticRegression

rows = np.arange(30)
labels = rows % 3
x = np.sin(1.7 * (3 * rows[:, None] + np.arange(3)[None, :]))
x[rows, labels] += 0.8
x = x.astype(np.float32).astype(float)
fitted = LogisticRegression(C=1 / 0.5, tol=1e-12, max_iter=10_000).fit(x, labels)
print("WEIGHTS", [round(float(v), 7) for v in fitted.coef_.ravel()])
print("BIASES", [round(float(v), 7) for v in fitted.intercept_ - fitted.intercept_.mean()])
