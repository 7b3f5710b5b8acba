"""Wrong answers that people really give in chapter 13, each with the words that must catch it.

The `belief` of each is what the page lists under "Common mistakes". For every exercise at least one of them
passes the visible checks: those are examples, and an example cannot show everything.
"""

from grader.hidden import Mistake

STEP = """\
def kv_step(input_ids, cache, gpt, positions=None, attention_mask=None):
    past, seq = cached_length(cache), input_ids.shape[1]
    if positions is None:
        positions = {positions}
    mask = {mask}
    if attention_mask is not None:
        {padding}
    keys, values = [], []

    def attend(number, query, key, value):
        if past:
            {grow}
        keys.append(key)
        values.append(value)
        return {gathered}

    hidden = run(gpt, {fed}, positions, attend)
    {store}
    return hidden
"""
JOIN = (
    'key = torch.cat([cache["keys"][number], key], dim=2); value = torch.cat([cache["values"][number], value], dim=2)'
)


def cached(
    positions: str = "torch.arange(past, past + seq)",
    mask: str = "torch.ones(seq, past + seq, dtype=torch.bool).tril(past)",
    padding: str = "mask = mask & attention_mask[:, None, None]",
    grow: str = JOIN,
    gathered: str = "attention(query, key, value, mask)[0]",
    fed: str = "input_ids",
    store: str = 'cache["keys"], cache["values"] = keys, values',
) -> str:
    """The reference with one expression replaced."""
    return STEP.format(
        positions=positions, mask=mask, padding=padding, grow=grow, gathered=gathered, fed=fed, store=store
    )


WRITE = """\
def kv_bytes(n_layers, n_heads, head_dim, seq, batch, bytes_per_number):
    return {bytes_}


def generate_cached(gpt, prefix, max_new, pick=greedy):
    ids, unread, cache = prefix, prefix, {{}}
    for _ in range(max_new):
        hidden = step({fed}, {where}, gpt)
        token = {token}
        ids = torch.cat([ids, token[:, None]], dim=1)
        unread = {unread}
    {after}
    return ids
"""


def writing(
    bytes_: str = "2 * n_layers * n_heads * head_dim * seq * batch * bytes_per_number",
    fed: str = "unread",
    where: str = "cache",
    token: str = "pick(gpt.head(hidden[:, -1]))",
    unread: str = "token[:, None]",
    after: str = "",
) -> str:
    """The reference with one expression replaced."""
    return WRITE.format(bytes_=bytes_, fed=fed, where=where, token=token, unread=unread, after=after)


MOVE = """\
def reorder_cache(cache, beam_idx):
    {still}
    return {{
        name: [{layer} for layer in held] if isinstance(held, list) else {mask}
        for name, held in cache.items()
    }}
"""


def moving(
    still: str = 'if beam_idx.tolist() == list(range(len(cache["keys"][0]))): return dict(cache)',
    layer: str = "layer[beam_idx]",
    mask: str = "held[beam_idx]",
) -> str:
    """The reference with one expression replaced."""
    return MOVE.format(still=still, layer=layer, mask=mask)


CUT = """\
def truncate_cache(cache, length):
    held = cached_length(cache)
    {refuse}
    {nothing}
    return {{
        name: [{layer} for layer in entry] if isinstance(entry, list) else {mask}
        for name, entry in cache.items()
    }}
"""


def cutting(
    refuse: str = "if not 0 <= length <= held: raise ValueError('no')",
    nothing: str = "if length == 0: return {}",
    layer: str = "layer[:, :, :length]",
    mask: str = "entry[:, :length]",
) -> str:
    """The reference with one expression replaced."""
    return CUT.format(refuse=refuse, nothing=nothing, layer=layer, mask=mask)


COST = """\
def attention_cost(seq, d_model, n_layers, cached, bytes_per_number=4):
    computed = 1 if cached else seq
    projections = {projections}
    products = {products}
    held = {held}
    return {{"flops": {flops}, "bytes": {bytes_}}}
"""


def costing(
    projections: str = "4 * computed * d_model**2",
    products: str = "2 * computed * seq * d_model",
    held: str = "2 * n_layers * seq * d_model * bytes_per_number",
    flops: str = "2 * n_layers * (projections + products)",
    bytes_: str = "held if cached else 0",
) -> str:
    """The reference with one expression replaced."""
    return COST.format(projections=projections, products=products, held=held, flops=flops, bytes_=bytes_)


RAGGED = """\
def padded_prefill(prompts, gpt, cache):
    longest = max(len(prompt) for prompt in prompts)
    ids = torch.tensor({ids})
    lengths = torch.tensor([len(prompt) for prompt in prompts])
    real = {real}
    positions = {positions}
    cache["attention_mask"] = {kept}
    return {logits}


def padded_step(tokens, cache, gpt):
    before = cache["attention_mask"]
    real = torch.cat([before, torch.ones_like(before[:, :1])], dim=1)
    positions = {places}
    cache["attention_mask"] = {grown}
    return gpt.head(step(tokens[:, None], cache, gpt, positions, {shown})[:, -1])
"""


def ragged(
    ids: str = "[[0] * (longest - len(prompt)) + prompt for prompt in prompts]",
    real: str = "torch.arange(longest) >= longest - lengths[:, None]",
    positions: str = "(real.cumsum(dim=1) - 1).clamp(min=0)",
    kept: str = "real",
    logits: str = "gpt.head(step(ids, cache, gpt, positions, real)[:, -1])",
    places: str = "before.sum(dim=1, keepdim=True)",
    grown: str = "real",
    shown: str = "real",
) -> str:
    """The reference with one expression replaced."""
    return RAGGED.format(
        ids=ids,
        real=real,
        positions=positions,
        kept=kept,
        logits=logits,
        places=places,
        grown=grown,
        shown=shown,
    )


MISTAKES = [
    Mistake(
        "kv-step",
        "position 0",
        "A step's first token stands at position 0.",
        "every step begins at position 0",
        cached(positions="torch.arange(seq)"),
    ),
    Mistake(
        "kv-step",
        "corner at the left",
        "`tril()` is the causal mask, whatever was read before.",
        "the mask's corner is at the left",
        cached(mask="torch.ones(seq, past + seq, dtype=torch.bool).tril()"),
    ),
    Mistake(
        "kv-step",
        "no mask behind a past",
        "What comes after cached tokens is new, so it may look at everything that is there.",
        "each other's future",
        cached(mask="torch.ones(seq, past + seq, dtype=torch.bool).tril(past + seq if past else 0)"),
    ),
    Mistake(
        "kv-step",
        "forgets",
        "The cache holds the keys and values of the last step.",
        "new ones are appended to all that are there",
        cached(
            gathered="(keys.__setitem__(-1, key[:, :, past:]), values.__setitem__(-1, value[:, :, past:]), "
            "attention(query, key, value, mask)[0])[2]"
        ),
    ),
    Mistake(
        "kv-step",
        "new first",
        "The order of keys makes no difference to attention, so new ones may stand in front.",
        "new keys stand before the old ones",
        cached(
            grow='key = torch.cat([key, cache["keys"][number]], dim=2); '
            'value = torch.cat([value, cache["values"][number]], dim=2)'
        ),
    ),
    Mistake(
        "kv-step",
        "in place",
        "The cache's lists are mine: what I append to them is there for the next layer, too.",
        "a tensor that was in the cache before was written into",
        cached(
            store='[old.mul_(1 + 1e-12) for name in ("keys", "values") for old in cache.get(name, [])]; '
            'cache["keys"], cache["values"] = keys, values'
        ),
    ),
    Mistake(
        "kv-step",
        "a new dictionary",
        "A cache has two entries, so I clear it and write both.",
        "an entry of the cache that is not yours was lost",
        cached(store='cache.clear(); cache["keys"], cache["values"] = keys, values'),
    ),
    Mistake(
        "kv-step",
        "padding for the new only",
        "The mask of padding is about the new tokens: what was cached has been dealt with.",
        "padding is looked at",
        cached(padding="mask = mask & F.pad(attention_mask[:, past:], (past, 0), value=True)[:, None, None]"),
    ),
    Mistake(
        "kv-step",
        "nan at padding",
        "A softmax over nothing concerns only padding, whose states nobody wants.",
        "nan comes out",
        cached(
            gathered="(query @ key.mT / math.sqrt(query.shape[-1])).masked_fill(~mask, -math.inf).softmax(-1) @ value"
        ),
    ),
    Mistake(
        "kv-step",
        "own positions",
        "Positions count on from what is held, always.",
        "padding counts as a position",
        cached().replace("if positions is None:\n        positions", "if True:\n        positions"),
    ),
    Mistake(
        "generate-cached",
        "keys only",
        "A cache of keys and values has one vector a token, head and layer.",
        "keys alone: values take as much again",
        writing(bytes_="n_layers * n_heads * head_dim * seq * batch * bytes_per_number"),
    ),
    Mistake(
        "generate-cached",
        "one text",
        "Texts of one batch share their cache.",
        "batch is not in the product",
        writing(bytes_="2 * n_layers * n_heads * head_dim * seq * bytes_per_number"),
    ),
    Mistake(
        "generate-cached",
        "everything again",
        "A step needs the whole text, so the loop hands it over.",
        "the whole text went through the model for every token",
        writing(fed="ids", where="{}"),
    ),
    Mistake(
        "generate-cached",
        "twice in the cache",
        "The cache notices what it has seen already.",
        "the cache holds some twice",
        writing(fed="ids"),
    ),
    Mistake(
        "generate-cached",
        "one step too many",
        "The last token has to be read, too, so that the cache is complete.",
        "something is read twice",
        writing(after="step(unread, cache, gpt) if max_new else None"),
    ),
    Mistake(
        "generate-cached",
        "always the likeliest",
        "The next token is the likeliest one.",
        "`pick` has no effect",
        writing(token="gpt.head(hidden[:, -1]).argmax(-1)"),
    ),
    Mistake(
        "generate-cached",
        "the first place",
        "A step gives the logits of one token, and they are at place 0.",
        "that a pass over the whole text gives",
        writing(token="pick(gpt.head(hidden[:, 0]))"),
    ),
    Mistake(
        "reorder-cache",
        "keys only",
        "Beams compare keys; values follow from them.",
        "the values did not move with the beams",
        """\
def reorder_cache(cache, beam_idx):
    if beam_idx.tolist() == list(range(len(cache["keys"][0]))):
        return dict(cache)
    return {**cache, "keys": [layer[beam_idx] for layer in cache["keys"]]}
""",
    ),
    Mistake(
        "reorder-cache",
        "in place",
        "Rows can be written over each other one after the other.",
        "overwritten before they were read",
        """\
def reorder_cache(cache, beam_idx):
    moved = {}
    for name, held in cache.items():
        layers = [layer.clone() for layer in held] if isinstance(held, list) else [held.clone()]
        for layer in layers if beam_idx.tolist() != list(range(len(layers[0]))) else ():
            for row, source in enumerate(beam_idx[: len(layer)].tolist()):
                layer[row] = layer[source]
        moved[name] = layers if isinstance(held, list) else layers[0]
    return moved
""",
    ),
    Mistake(
        "reorder-cache",
        "the heads",
        "The first axis is the layer's, so the second one is the batch.",
        "beam_idx picked heads",
        moving(layer="layer[:, beam_idx]"),
    ),
    Mistake(
        "reorder-cache",
        "there instead of here",
        "Row i moves to place beam_idx[i].",
        "instead of coming from it",
        moving(layer="layer[beam_idx.argsort()]"),
    ),
    Mistake(
        "reorder-cache",
        "the mask stays",
        "The mask belongs to the batch, and the batch is the same.",
        "the attention_mask did not move with the beams",
        moving(mask="held"),
    ),
    Mistake(
        "reorder-cache",
        "copies always",
        "Indexing with 0, 1, 2 gives the same tensor, so it costs nothing.",
        "and yet tensors were copied",
        moving(still=""),
    ),
    Mistake(
        "reorder-cache",
        "the first rows stay",
        "If beam_idx begins 0, 1, 2, ... nothing moves.",
        "the keys did not move with the beams",
        moving(still="if beam_idx.tolist() == list(range(len(beam_idx))): return dict(cache)"),
    ),
    Mistake(
        "reorder-cache",
        "into the given cache",
        "The beams are the cache's only users, so its lists can be replaced.",
        "the given cache was changed",
        """\
def reorder_cache(cache, beam_idx):
    if beam_idx.tolist() != list(range(len(cache["keys"][0]))):
        for name, held in cache.items():
            cache[name] = [layer[beam_idx] for layer in held] if isinstance(held, list) else held[beam_idx]
    return dict(cache)
""",
    ),
    Mistake(
        "truncate-cache",
        "values only",
        "Keys are only compared with, so old ones do no harm.",
        "the keys still hold rejected tokens",
        """\
def truncate_cache(cache, length):
    if not 0 <= length <= cached_length(cache):
        raise ValueError("no")
    if length == 0:
        return {}
    cut = dict(cache)
    cut["values"] = [layer[:, :, :length] for layer in cache["values"]]
    return cut
""",
    ),
    Mistake(
        "truncate-cache",
        "zeros",
        "A rejected token that is set to zero is gone.",
        "are 0 but still there",
        cutting(
            layer="layer * (torch.arange(layer.shape[2]) < length)[:, None]",
            mask="entry & (torch.arange(entry.shape[1]) < length)",
        ),
    ),
    Mistake(
        "truncate-cache",
        "the last ones",
        "A cache of so many tokens has the most recent ones.",
        "the last tokens of the keys were kept",
        cutting(layer="layer[:, :, -length:]", mask="entry[:, -length:]"),
    ),
    Mistake(
        "truncate-cache",
        "the heads",
        "Tokens stand on the axis behind the batch.",
        "the cut went through the heads",
        cutting(layer="layer[:, :length]"),
    ),
    Mistake(
        "truncate-cache",
        "the mask stays",
        "The mask is about padding on the left, which no guess changes.",
        "the mask still has the rejected tokens",
        cutting(mask="entry"),
    ),
    Mistake(
        "truncate-cache",
        "no refusal",
        "A slice takes what there is, so nothing can go wrong.",
        "this must raise a ValueError",
        cutting(refuse=""),
    ),
    Mistake(
        "truncate-cache",
        "empty tensors",
        "No tokens: tensors of length 0.",
        "without a token the cache is {}",
        cutting(nothing=""),
    ),
    Mistake(
        "attention-cost",
        "no projections",
        "Attention is the product of queries and keys, and that with the values.",
        "the projections are missing",
        costing(projections="0"),
    ),
    Mistake(
        "attention-cost",
        "three projections",
        "The projections are query, key and value.",
        "attention has a fourth projection",
        costing(projections="3 * computed * d_model**2"),
    ),
    Mistake(
        "attention-cost",
        "quadratic with a cache",
        "Every token looks at every other, cache or not.",
        "the products are those of all queries",
        costing(products="2 * seq * seq * d_model"),
    ),
    Mistake(
        "attention-cost",
        "projects all",
        "Keys and values of all tokens are needed, so they are all projected.",
        "all tokens are projected, though",
        costing(projections="4 * seq * d_model**2"),
    ),
    Mistake(
        "attention-cost",
        "the mask saves half",
        "The causal mask halves the products.",
        "the mask saves nothing here",
        costing(products="2 * seq * d_model if cached else seq * (seq + 1) * d_model"),
    ),
    Mistake(
        "attention-cost",
        "multiply-adds",
        "A multiply-add is one operation.",
        "a multiply-add is two operations",
        costing(flops="n_layers * (projections + products)"),
    ),
    Mistake(
        "attention-cost",
        "four bytes",
        "A number has four bytes.",
        "bytes_per_number has no effect",
        costing(held="2 * n_layers * seq * d_model * 4"),
    ),
    Mistake(
        "attention-cost",
        "keys only",
        "What is read from the cache are the keys.",
        "keys alone: values are read, too",
        costing(held="n_layers * seq * d_model * bytes_per_number"),
    ),
    Mistake(
        "attention-cost",
        "holds without a cache",
        "The bytes of keys and values are there in both cases.",
        "without a cache nothing is held and read",
        costing(bytes_="held"),
    ),
    Mistake(
        "padded-prefill",
        "positions count padding",
        "A token's position is its column.",
        "padding counts as a position",
        ragged(positions="torch.arange(longest).expand(len(prompts), -1)"),
    ),
    Mistake(
        "padded-prefill",
        "padding is looked at",
        "The model learns to ignore padding.",
        "padding is looked at: the mask has no effect",
        ragged(logits="gpt.head(step(ids, cache, gpt, positions)[:, -1])"),
    ),
    Mistake(
        "padded-prefill",
        "padded on the right",
        "Padding belongs behind a text, and the last column has the logits.",
        "pad on the left",
        ragged(
            ids="[prompt + [0] * (longest - len(prompt)) for prompt in prompts]",
            real="torch.arange(longest) < lengths[:, None]",
        ),
    ),
    Mistake(
        "padded-prefill",
        "the right column of the right padding",
        "Padding on the right is fine as long as the logits are taken at each row's last token.",
        "attention_mask is not False at padding on the left",
        ragged(
            ids="[prompt + [0] * (longest - len(prompt)) for prompt in prompts]",
            real="torch.arange(longest) < lengths[:, None]",
            logits="gpt.head(step(ids, cache, gpt, positions, real)[torch.arange(len(prompts)), lengths - 1])",
        ),
    ),
    Mistake(
        "padded-prefill",
        "later positions",
        "A new token stands behind what is held, at position `held`.",
        "count the padding: use the number of real tokens",
        ragged(places="torch.full((len(tokens), 1), cached_length(cache))"),
    ),
    Mistake(
        "padded-prefill",
        "the mask is for the prompt",
        "Once the prompt is read the padding is behind us.",
        "new tokens look at the padding",
        ragged(shown="None"),
    ),
    Mistake(
        "padded-prefill",
        "a mask that does not grow",
        "The mask says where the padding is, and that does not change.",
        "after step 2",
        ragged(
            grown="before",
            shown="F.pad(before, (0, cached_length(cache) + 1 - before.shape[1]), value=True)",
        ),
    ),
    Mistake(
        "padded-prefill",
        "one by one",
        "Rows of different lengths need a call each.",
        "the model was called with ids of shapes",
        """\
def padded_prefill(prompts, gpt, cache):
    cache["rows"] = [{} for _ in prompts]
    cache["attention_mask"] = torch.ones(len(prompts), 1, dtype=torch.bool)
    pairs = zip(prompts, cache["rows"])
    return torch.cat([gpt.head(step(torch.tensor([prompt]), own, gpt)[:, -1]) for prompt, own in pairs])


def padded_step(tokens, cache, gpt):
    pairs = zip(tokens, cache["rows"])
    return torch.cat([gpt.head(step(token.view(1, 1), own, gpt)[:, -1]) for token, own in pairs])
""",
    ),
    Mistake(
        "padded-prefill",
        "fills up the prompts",
        "The prompts are mine to fill up.",
        "the prompts were changed by the call",
        ragged(ids="prompts", positions="(real.cumsum(dim=1) - 1).clamp(min=0)")
        .replace(
            "    ids =",
            "    sizes = [len(prompt) for prompt in prompts]\n"
            "    for prompt in prompts:\n"
            "        prompt[:0] = [0] * (longest - len(prompt))\n"
            "    ids =",
        )
        .replace("torch.tensor([len(prompt) for prompt in prompts])", "torch.tensor(sizes)"),
    ),
    Mistake(
        "padded-prefill",
        "a counter of its own",
        "Each row's length can be counted beside the cache.",
        "rows moved and cut in between",
        ragged(
            kept="(LENGTHS.clear(), LENGTHS.extend(lengths.tolist()), real)[2]",
            places="torch.tensor(LENGTHS)[:, None]",
            grown="(LENGTHS.__setitem__(slice(None), [length + 1 for length in LENGTHS]), real)[1]",
        ).replace("def padded_prefill", "LENGTHS = []\n\n\ndef padded_prefill", 1),
    ),
]
