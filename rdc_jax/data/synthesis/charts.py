"""Charts in many Matplotlib styles: lines, bars, points, heat maps, pies, surfaces."""

import warnings
from collections.abc import Callable, Sequence

import numpy as np

from rdc_jax.data.synthesis import colours, words
from rdc_jax.data.synthesis.draws import between, chance, pick
from rdc_jax.data.synthesis.fonts import Font

STYLES = (
    *("default", "default", "classic", "ggplot", "bmh", "fivethirtyeight", "dark_background"),
    *("grayscale", "seaborn-v0_8-whitegrid", "seaborn-v0_8-darkgrid", "seaborn-v0_8-ticks"),
    *("Solarize_Light2", "tableau-colorblind10", "seaborn-v0_8-pastel", "petroff10"),
)
FAMILIES = ("DejaVu Sans", "DejaVu Sans", "DejaVu Serif", "STIXGeneral", "DejaVu Sans Mono")
MAPS = (
    *("viridis", "magma", "inferno", "coolwarm", "Blues", "RdYlGn", "gray", "terrain", "turbo"),
    *("hot", "Spectral", "YlOrRd", "twilight", "cividis", "PuOr"),
)
FORMULAS = (
    r"$\alpha_{i} = \frac{\partial L}{\partial \theta_{i}}$",
    r"$\sum_{k=0}^{\infty} \frac{x^{k}}{k!}$",
    r"$\hat{y} = \sigma(W x + b)$",
    r"$\mathcal{L}(\theta) = \lambda R + D$",
    r"$\int_0^1 f(x)\,dx$",
    r"$10^{-3}$",
)


def draw(rng: np.random.Generator, size: tuple[int, int], fonts: Sequence[Font]) -> np.ndarray:
    """Draws a chart, uint8 [h, w, 3] with `size` = (w, h). It only uses Matplotlib's own fonts."""
    from matplotlib import style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    dpi = between(rng, 70, 150)
    rows, columns = pick(rng, ((1, 1), (1, 1), (1, 1), (1, 2), (2, 1), (2, 2), (3, 2)))
    settings = {
        "font.family": pick(rng, FAMILIES),
        "font.size": rng.uniform(7, 12),
        "lines.linewidth": rng.uniform(0.6, 3),
        "axes.grid": chance(rng, 0.5),
        "mathtext.fontset": pick(rng, ("dejavusans", "stix", "cm", "dejavuserif")),
        "axes.unicode_minus": False,
    }
    look = pick(rng, STYLES)
    with warnings.catch_warnings(), style.context([look if look in style.library else "default"]):
        warnings.simplefilter("ignore")  # Matplotlib warns of axes too small for their labels
        with style.context(settings):
            if chance(rng, 0.3):
                _own_colours(rng, look)
            figure = Figure(figsize=(size[0] / dpi, size[1] / dpi), dpi=dpi, layout="constrained")
            canvas = FigureCanvasAgg(figure)
            for place in range(rows * columns):
                kind = pick(rng, _KINDS)
                projection = {_polar: "polar", _surface: "3d"}.get(kind)
                axes = figure.add_subplot(rows, columns, place + 1, projection=projection)
                kind(rng, figure, axes)
                _label(rng, axes)
            if chance(rng, 0.3):
                figure.suptitle(words.title(rng, "English", 2, 6))
            canvas.draw()
            drawn = np.asarray(canvas.buffer_rgba())[..., :3]
    whole = np.full((size[1], size[0], 3), drawn[0, 0], np.uint8)  # Agg may round a side down
    height, width = (min(a, b) for a, b in zip(drawn.shape, whole.shape[:2], strict=False))
    whole[:height, :width] = drawn[:height, :width]
    return whole


def _own_colours(rng, look: str) -> None:
    """Replaces the line colours and the background of the style, inside its context."""
    import matplotlib

    shades = ["#{:02x}{:02x}{:02x}".format(*c) for c in colours.palette(rng, 6)]
    matplotlib.rcParams["axes.prop_cycle"] = matplotlib.cycler(color=shades)
    if look != "dark_background":
        ground = "#{:02x}{:02x}{:02x}".format(*colours.pale(rng))
        matplotlib.rcParams["figure.facecolor"] = ground


def _label(rng, axes) -> None:
    name = f"{words.identifier(rng)} [{pick(rng, ('m', 's', 'dB', '%', 'bpp', 'K', 'kg'))}]"
    if chance(rng, 0.7):
        axes.set_xlabel(name)
    if chance(rng, 0.7):
        axes.set_ylabel(words.title(rng, "English", 1, 3))
    if chance(rng, 0.6):
        axes.set_title(pick(rng, FORMULAS) if chance(rng, 0.25) else words.title(rng, "English"))
    if chance(rng, 0.6) and axes.get_legend_handles_labels()[0]:
        axes.legend(loc=pick(rng, ("best", "upper right", "lower left")), frameon=chance(rng, 0.7))
    if chance(rng, 0.2):
        axes.annotate(
            words.title(rng, "English", 1, 2), rng.uniform(0.2, 0.5, 2), rng.uniform(0.5, 0.8, 2),
            "axes fraction", "axes fraction", arrowprops={"arrowstyle": "->"},
        )  # fmt: skip


def _series(rng, count: int) -> np.ndarray:
    kind, t = between(rng, 0, 3), np.linspace(0, 1, count)
    if kind == 0:
        return np.cumsum(rng.normal(0, 1, count))
    if kind == 1:
        return np.sin(t * rng.uniform(4, 40)) * np.exp(-t * rng.uniform(0, 4))
    if kind == 2:
        return 1 - np.exp(-t * rng.uniform(1, 9)) + rng.normal(0, 0.02, count)
    return rng.uniform(0.5, 9) * t ** rng.uniform(0.3, 3)


def _lines(rng, figure, axes) -> None:
    count = pick(rng, (8, 20, 200, 1000))
    for _ in range(between(rng, 1, 7)):
        axes.plot(
            np.arange(count), _series(rng, count), pick(rng, ("-", "-", "--", ":", "-.")),
            marker=pick(rng, ("o", "s", "^", "x")) if count <= 20 and chance(rng, 0.6) else None,
            label=words.identifier(rng),
        )  # fmt: skip
    if chance(rng, 0.15):
        axes.set_yscale("symlog")


def _area(rng, figure, axes) -> None:
    layers = np.abs([_series(rng, 60) for _ in range(between(rng, 2, 6))])
    names = [words.identifier(rng) for _ in layers]
    axes.stackplot(np.arange(60), layers, labels=names, alpha=rng.uniform(0.5, 1))


def _bars(rng, figure, axes) -> None:
    count, groups = between(rng, 3, 12), between(rng, 1, 4)
    names = [words.title(rng, "English", 1, 1) for _ in range(count)]
    upright, stacked, base = chance(rng, 0.7), chance(rng, 0.4), np.zeros(count)
    for group in range(groups):
        heights, width = np.abs(rng.normal(5, 3, count)), 0.8 / (1 if stacked else groups)
        places = np.arange(count) + (0 if stacked else width * (group - groups / 2 + 0.5))
        how = {"label": words.identifier(rng), "edgecolor": pick(rng, ("none", "black"))}
        if chance(rng, 0.2):
            how["hatch"] = pick(rng, ("//", "xx", "..", "\\\\"))
        if upright:
            bars = axes.bar(places, heights, width, bottom=base, **how)
        else:
            bars = axes.barh(places, heights, width, left=base, **how)
        if groups == 1 and chance(rng, 0.5):
            axes.bar_label(bars, fmt="%.1f")
        base = base + heights if stacked else base
    if upright:
        axes.set_xticks(np.arange(count), names, rotation=pick(rng, (0, 45, 90)))
    else:
        axes.set_yticks(np.arange(count), names)


def _points(rng, figure, axes) -> None:
    for _ in range(between(rng, 1, 4)):
        count = pick(rng, (20, 100, 600))
        x, y = rng.multivariate_normal(rng.normal(0, 3, 2), [[1, rng.uniform(-0.9, 0.9)], [0, 1]],
                                       count, check_valid="ignore").T  # fmt: skip
        axes.scatter(
            x, y, s=rng.uniform(3, 120, count if chance(rng, 0.4) else 1),
            c=rng.random(count) if chance(rng, 0.2) else None,
            marker=pick(rng, "oooxs^+"), alpha=rng.uniform(0.4, 1), label=words.identifier(rng),
        )  # fmt: skip


def _heat(rng, figure, axes) -> None:
    rows, columns = between(rng, 4, 24), between(rng, 4, 24)
    values = rng.normal(0, 1, (rows, columns))
    if chance(rng, 0.5):
        values = values.cumsum(0).cumsum(1)
    shown = axes.imshow(values, pick(rng, MAPS), aspect="auto",
                        interpolation=pick(rng, ("nearest", "nearest", "bicubic")))  # fmt: skip
    figure.colorbar(shown, ax=axes)
    if rows * columns < 120:
        for row, column in np.ndindex(rows, columns):
            axes.text(column, row, f"{values[row, column]:.1f}", ha="center", va="center", size=6)


def _pie(rng, figure, axes) -> None:
    shares = rng.dirichlet(np.full(between(rng, 3, 8), 2.0))
    axes.pie(
        shares, labels=[words.title(rng, "English", 1, 1) for _ in shares],
        autopct="%1.1f%%" if chance(rng, 0.7) else None, shadow=chance(rng, 0.2),
        wedgeprops={"width": rng.uniform(0.3, 0.6)} if chance(rng, 0.4) else None,
        explode=rng.uniform(0, 0.1, len(shares)) if chance(rng, 0.3) else None,
    )  # fmt: skip


def _histogram(rng, figure, axes) -> None:
    for _ in range(between(rng, 1, 3)):
        axes.hist(
            rng.normal(rng.uniform(-3, 3), rng.uniform(0.5, 2), 1000), between(rng, 10, 60),
            alpha=rng.uniform(0.4, 1), label=words.identifier(rng),
            histtype=pick(rng, ("bar", "step", "stepfilled")),
        )  # fmt: skip


def _contours(rng, figure, axes) -> None:
    x, y = np.meshgrid(np.linspace(-3, 3, 80), np.linspace(-3, 3, 80))
    a, b = rng.uniform(0.5, 2.5, 2)
    z = np.sin(a * x + y) * np.cos(b * y) + x * rng.uniform(-0.5, 0.5)
    levels, colour_map = between(rng, 6, 25), pick(rng, MAPS)
    if chance(rng, 0.6):
        figure.colorbar(axes.contourf(x, y, z, levels, cmap=colour_map), ax=axes)
    else:
        axes.clabel(axes.contour(x, y, z, levels, cmap=colour_map), fontsize=7)


def _boxes(rng, figure, axes) -> None:
    samples = [rng.normal(rng.normal(), rng.uniform(0.3, 2), 80) for _ in range(between(rng, 3, 9))]
    if chance(rng, 0.5):
        axes.boxplot(samples, notch=chance(rng, 0.3), patch_artist=chance(rng, 0.5))
    else:
        axes.violinplot(samples, showmedians=True)


def _errors(rng, figure, axes) -> None:
    count = between(rng, 6, 20)
    for _ in range(between(rng, 1, 4)):
        values, spread = _series(rng, count), np.abs(rng.normal(0, 0.3, count))
        if chance(rng, 0.5):
            axes.errorbar(np.arange(count), values, spread, fmt="o-", capsize=3,
                          label=words.identifier(rng))  # fmt: skip
        else:
            axes.plot(np.arange(count), values, label=words.identifier(rng))
            axes.fill_between(np.arange(count), values - spread, values + spread, alpha=0.3)


def _polar(rng, figure, axes) -> None:
    angles = np.linspace(0, 2 * np.pi, 9)
    for _ in range(between(rng, 1, 3)):
        lengths = np.append(rng.uniform(1, 5, 8), 0)
        lengths[-1] = lengths[0]
        axes.plot(angles, lengths, label=words.identifier(rng))
        axes.fill(angles, lengths, alpha=0.25)


def _surface(rng, figure, axes) -> None:
    x, y = np.meshgrid(np.linspace(-3, 3, 40), np.linspace(-3, 3, 40))
    z = np.sin(np.hypot(x * rng.uniform(0.5, 2), y * rng.uniform(0.5, 2)))
    if chance(rng, 0.7):
        axes.plot_surface(x, y, z, cmap=pick(rng, MAPS), linewidth=0.2)
    else:
        axes.plot_wireframe(x, y, z, rstride=2, cstride=2, linewidth=0.6)


_KINDS: tuple[Callable, ...] = (
    *(_lines, _lines, _lines, _area, _bars, _bars, _points, _heat, _pie, _histogram),
    *(_contours, _boxes, _errors, _polar, _surface),
)
