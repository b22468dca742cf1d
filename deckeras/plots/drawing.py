"""Colors, figures and axes that all plots use."""

import io

import matplotlib.figure
import numpy as np

# These ten colors can be told apart with any kind of color vision (Petroff, "Accessible Color Sequences for Data
# Visualization", 2021).
COLORS = (
    "#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd",
)  # fmt: skip


class Figure(matplotlib.figure.Figure):
    """A figure that a notebook shows without pyplot."""

    def _repr_png_(self):
        file = io.BytesIO()
        self.savefig(file, format="png")
        return file.getvalue()


def pictures(x, image_shape):
    """Return rows as pictures that Matplotlib draws: colors in floats from 0 to 1, or unchanged.

    Matplotlib draws floats above 1, such as pixels from 0 to 255, in white.

    Args:
        x: (n, ...) array of images or of flat rows.
        image_shape: (height, width) or (height, width, channels).
    """
    x = np.asarray(x).reshape(-1, *image_shape)
    if x.ndim < 4 or x.shape[3] == 1 or x.dtype.kind != "f" or not x.size:
        return x
    low, high = min(0.0, float(x.min())), max(1.0, float(x.max()))
    return x if (low, high) == (0, 1) else (x - low) / (high - low)


def bare(axes):
    """Draw a light grid, and only the left and bottom axes."""
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
