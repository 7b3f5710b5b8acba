"""Figures of points: texts in a plane and their clusters, measured losses and the law through them.

The page hands over what its own code found: vectors, clusters, a fit. These functions order, round and say it.
Belongs to no chapter.
"""

from collections import Counter
from collections.abc import Sequence

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
