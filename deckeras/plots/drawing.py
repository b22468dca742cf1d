"""Colors, figures and axes that all plots use."""

import io

import matplotlib.figure

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


def bare(axes):
    """Draw a light grid, and only the left and bottom axes."""
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
