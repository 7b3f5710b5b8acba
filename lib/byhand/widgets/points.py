"""Figures of points: texts in a plane and their clusters, measured losses and the law through them.

The page hands over what its own code found: vectors, clusters, a fit. These functions order, round and say it.
Belongs to no chapter.
"""

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float, Int

from byhand.widgets.widget import Widget, table

LETTERS = 160
"""Of a text that a page carries; what is longer ends with an ellipsis."""


def cluster_map(
    texts: Sequence[str],
    vectors: Float[np.ndarray, "texts d"],
    plane: Float[np.ndarray, "texts 2"],
    assign: Int[np.ndarray, " texts"],
    chosen: Sequence[int],
    kinds: Sequence[str] | None = None,
) -> Widget:
    """Texts as points, each drawn as the number of its cluster; a cluster is read from its centre outwards.

    Args:
        texts: what can be read at the points.
        vectors: that were clustered; a cluster's centre is their mean.
        plane: where the points are drawn, for instance the first two principal components.
        assign: the cluster of each text, counted from 0; shown counted from 1.
        chosen: places of the texts that were chosen to represent the clusters.
        kinds: what each text is known to be, to compare with the clusters.

    Raises:
        ValueError: when there is no text, the lengths differ, or `chosen` names no text.

    >>> plane = np.array([[0.0, 0.0], [0.0, 1.0], [5.0, 5.0]])
    >>> cluster_map(["a bus", "a tram", "a cake"], plane, plane, np.array([0, 0, 1]), [1, 2])
    3 texts in 2 clusters. Cluster 1: 2 texts, chosen: “a tram”. Cluster 2: 1 text, chosen: “a cake”.
    """
    lengths = {"texts": len(texts), "vectors": len(vectors), "plane": len(plane), "assign": len(assign)}
    lengths |= {} if kinds is None else {"kinds": len(kinds)}
    if len(set(lengths.values())) > 1 or not len(texts):
        raise ValueError(f"one of each for every text, and one text at least; got {lengths}")
    if not all(0 <= place < len(texts) for place in chosen):
        raise ValueError(f"chosen names texts by their places 0 to {len(texts) - 1}, got {list(chosen)}")
    shown = [text if len(text) <= LETTERS else f"{text[: LETTERS - 1]}…" for text in texts]
    low, high = plane.min(0), plane.max(0)
    size = max(high - low) or 1.0
    points = np.rint(1000 * (plane - low) / size).astype(int)
    clusters, rows, spoken = [], [], []
    for number in np.unique(assign).tolist():
        members = np.flatnonzero(assign == number)
        away = np.linalg.norm(vectors[members] - vectors[members].mean(0), axis=1)
        members = members[np.argsort(away, kind="stable")]
        clusters.append({"number": number + 1, "members": members.tolist()})
        mine = [shown[place] for place in sorted(set(chosen)) if assign[place] == number]
        count = f"{len(members)} text{'s' * (len(members) > 1)}"
        named = ", ".join(f"“{text}”" for text in mine) or "none"
        rows.append([number + 1, len(members), named])
        spoken.append(f"Cluster {number + 1}: {count}, chosen: {named}.")
        if kinds is not None:
            kind, most = Counter(kinds[place] for place in members.tolist()).most_common(1)[0]
            rows[-1].insert(2, f"{most} {kind}")
    head = ["Cluster", "Texts", *(["Most are"] if kinds is not None else []), "Chosen"]
    return Widget(
        "cluster-map",
        {
            "texts": shown,
            "points": points.tolist(),
            "clusters": clusters,
            "chosen": sorted(set(chosen)),
            "kinds": None if kinds is None else list(kinds),
        },
        table(f"{len(texts)} texts in {len(clusters)} clusters", head, rows),
        f"{len(texts)} texts in {len(clusters)} clusters. {' '.join(spoken)}",
    )


def scaling_fit(
    sizes: Float[np.ndarray, " runs"],
    losses: Float[np.ndarray, " as_many"],
    fit: Callable[[np.ndarray, np.ndarray], tuple[float, float, float]],
    fewest: int = 4,
) -> Widget:
    """Measured losses and the law E + A / N^alpha, fitted to the smallest sizes only and held against the largest.

    Args:
        sizes: N of each run, in parameters.
        losses: of the same runs.
        fit: gives E, A and alpha of some of the runs; called for the `fewest` smallest sizes, then for one more, up
            to all.
        fewest: sizes that a fit needs.

    Raises:
        ValueError: when the lengths differ, a value is not positive, there are too few sizes, or a fit fails.

    >>> sizes = np.array([1.0, 4.0, 16.0])
    >>> scaling_fit(sizes, 1 + 2 / sizes**0.5, lambda n, loss: (1.0, 2.0, 0.5), fewest=2)
    3 sizes from 1 to 16. Fitted to the 2 smallest, the law says 1.5 of the largest; to all 3, 1.5. Measured: 1.5.
    """
    sizes, losses = np.asarray(sizes, float), np.asarray(losses, float)
    if sizes.shape != losses.shape or not (np.isfinite(sizes) & np.isfinite(losses) & (sizes > 0) & (losses > 0)).all():
        raise ValueError(f"one size and one loss of each run, all above 0; got shapes {sizes.shape} and {losses.shape}")
    order = np.argsort(sizes, kind="stable")
    sizes, losses = sizes[order], losses[order]
    different = np.unique(sizes)
    if not 1 <= fewest <= len(different) or len(different) < 2:
        raise ValueError(f"a fit needs {fewest} sizes and a forecast one more, but the runs have {len(different)}")
    measured = float(losses[sizes == different[-1]].mean())
    fits: list[dict[str, float]] = []
    rows: list[list[str]] = []
    spoken: list[str] = []
    for count in range(fewest, len(different) + 1):
        used = sizes <= different[count - 1]
        law = [float(part) for part in fit(sizes[used].copy(), losses[used].copy())]
        if len(law) != 3 or not np.isfinite(law).all() or law[1] <= 0:
            raise ValueError(f"the fit of {count} sizes gave {law}: it should be E, A and alpha, finite and A above 0")
        floor, factor, exponent = round(law[0], 4), float(f"{law[1]:.6g}"), float(f"{law[2]:.6g}")
        fits.append({"used": count, "E": floor, "A": factor, "alpha": exponent})
        said = floor + factor / different[-1] ** exponent
        numbers = [f"{floor:.3g}", f"{factor:.3g}", f"{exponent:.3g}", f"{said:.3g}", f"{measured:.3g}"]
        rows.append([f"{count} of {len(different)}", *numbers])
        which = f"all {count}" if count == len(different) else f"the {count} smallest"
        spoken.append(
            f"to {which}, {said:.3g}" if spoken else f"Fitted to {which}, the law says {said:.3g} of the largest"
        )
    return Widget(
        "scaling-fit",
        {
            "runs": [[float(size), round(float(loss), 4)] for size, loss in zip(sizes, losses, strict=True)],
            "sizes": different.tolist(),
            "fits": fits,
        },
        table(
            f"The law E + A / N^alpha, fitted to the smallest of {len(different)} sizes",
            ["Sizes in the fit", "E", "A", "alpha", "Says of the largest", "Measured"],
            rows,
        ),
        f"{len(different)} sizes from {different[0]:,.0f} to {different[-1]:,.0f}. {'; '.join(spoken)}. "
        f"Measured: {measured:.3g}.",
    )
