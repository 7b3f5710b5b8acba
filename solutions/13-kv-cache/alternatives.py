"""Right answers of chapter 13 written in other ways; each must get full marks."""

from grader.hidden import Alternative

ALTERNATIVES = [
    Alternative(
        "kv-step",
        "writes into a tensor made for all, with a bias in place of a mask",
        """\
def kv_step(input_ids, cache, gpt, positions=None, attention_mask=None):
    batch, seq = input_ids.shape
    held = cached_length(cache)
    places = held + torch.arange(seq) if positions is None else positions
    columns = torch.arange(held + seq)
    hidden_columns = columns[None, :] > (held + torch.arange(seq))[:, None]
    if attention_mask is not None:
        hidden_columns = hidden_columns | ~attention_mask[:, None, None, :]
    grown = {"keys": [], "values": []}

    def attend(number, query, key, value):
        for name, new in (("keys", key), ("values", value)):
            room = new.new_empty(batch, new.shape[1], held + seq, new.shape[3])
            room[:, :, held:] = new
            if held:
                room[:, :, :held] = cache[name][number]
            grown[name].append(room)
        scores = query @ grown["keys"][number].mT / math.sqrt(query.shape[-1])
        scores = scores.masked_fill(hidden_columns, -1e30)
        return scores.softmax(-1) @ grown["values"][number]

    states = run(gpt, input_ids, places, attend)
    cache.update(grown)
    return states
""",
    ),
    Alternative(
        "kv-step",
        "its own loop over the layers, no `run`",
        """\
def kv_step(input_ids, cache, gpt, positions=None, attention_mask=None):
    batch, seq = input_ids.shape
    past = cache["keys"][0].size(2) if "keys" in cache else 0
    if positions is None:
        positions = torch.arange(seq) + past
    seen = torch.tensor([[k <= past + q for k in range(past + seq)] for q in range(seq)])
    if attention_mask is not None:
        seen = torch.logical_and(seen, attention_mask.view(batch, 1, 1, -1))
    x = gpt.token_embedding(input_ids)
    if gpt.position_embedding is not None:
        x = x + gpt.position_embedding(positions)
    old = zip(cache["keys"], cache["values"]) if past else [(None, None)] * len(gpt.blocks)
    keys, values = [], []
    for block, (old_key, old_value) in zip(gpt.blocks, old):
        layer = block.attention
        normed = block.attention_norm(x)
        query, key, value = [
            part(normed).reshape(batch, seq, layer.n_heads, -1).transpose(1, 2)
            for part in (layer.query, layer.key, layer.value)
        ]
        if gpt.rotary is not None:
            query, key = gpt.rotary(query, positions), gpt.rotary(key, positions)
        if past:
            key, value = torch.cat((old_key, key), -2), torch.cat((old_value, value), -2)
        keys += [key]
        values += [value]
        gathered, _ = attention(query, key, value, seen)
        x = x + layer.output(gathered.transpose(1, 2).reshape(batch, seq, -1))
        x = x + block.feed_forward(block.feed_forward_norm(x))
    cache["keys"] = keys
    cache["values"] = values
    return gpt.final_norm(x)
""",
    ),
    # The library keeps the mask in the cache, where padded_prefill puts it, and counts positions from it.
    Alternative(
        "kv-step",
        "the library's, behind an adapter",
        """\
from byhand.inference import kv_step as library_step


def kv_step(input_ids, cache, gpt, positions=None, attention_mask=None):
    own = dict(cache)
    own.pop("attention_mask", None)
    if attention_mask is not None:
        own["attention_mask"] = attention_mask
    hidden = library_step(input_ids, own, gpt)
    cache["keys"], cache["values"] = own["keys"], own["values"]
    return hidden
""",
    ),
    Alternative(
        "generate-cached",
        "prefill first, then a loop that feeds one token",
        """\
def kv_bytes(n_layers, n_heads, head_dim, seq, batch, bytes_per_number):
    numbers_of_a_token = 0
    for _ in range(n_layers):
        numbers_of_a_token += n_heads * head_dim + n_heads * head_dim
    return bytes_per_number * numbers_of_a_token * seq * batch


def generate_cached(gpt, prefix, max_new, pick=greedy):
    if max_new == 0:
        return prefix.clone()
    cache = {}
    token = pick(gpt.head(step(prefix, cache, gpt))[:, -1])
    columns = [prefix, token.unsqueeze(1)]
    while len(columns) <= max_new:
        token = pick(gpt.head(step(columns[-1], cache, gpt))[:, 0])
        columns.append(token.unsqueeze(1))
    return torch.cat(columns, dim=1)
""",
    ),
    Alternative(
        "generate-cached",
        "asks the cache what is unread",
        """\
def kv_bytes(n_layers, n_heads, head_dim, seq, batch, bytes_per_number):
    return math.prod([n_layers, n_heads, head_dim, seq, batch, bytes_per_number]) << 1


@torch.no_grad()
def generate_cached(gpt, prefix, max_new, pick=greedy):
    batch, seq = prefix.shape
    ids = torch.zeros(batch, seq + max_new, dtype=prefix.dtype)
    ids[:, :seq] = prefix
    cache = {}
    for end in range(seq, seq + max_new):
        states = step(ids[:, cached_length(cache) : end], cache, gpt)
        ids[:, end] = pick(gpt.head(states[:, -1, :]))
    return ids
""",
    ),
    Alternative(
        "reorder-cache",
        "entry by entry, index_select",
        """\
def reorder_cache(cache, beam_idx):
    batch = cache["values"][0].shape[0]
    still = len(beam_idx) == batch and bool((beam_idx == torch.arange(batch)).all())
    moved = {}
    for name in cache:
        if still:
            moved[name] = cache[name]
        elif name == "attention_mask":
            moved[name] = cache[name].index_select(0, beam_idx)
        else:
            moved[name] = [layer.index_select(0, beam_idx) for layer in cache[name]]
    return moved
""",
    ),
    Alternative(
        "reorder-cache",
        "rows taken one by one and stacked",
        """\
def reorder_cache(cache, beam_idx):
    rows = [int(row) for row in beam_idx]
    if rows == [*range(cache["keys"][0].shape[0])]:
        return cache

    def take(entry):
        if isinstance(entry, (list, tuple)):
            return [take(layer) for layer in entry]
        return torch.stack([entry[row] for row in rows])

    return {name: take(entry) for name, entry in cache.items()}
""",
    ),
    Alternative(
        "truncate-cache",
        "narrow, entry by entry",
        """\
def truncate_cache(cache, length):
    if length < 0 or length > cached_length(cache):
        raise ValueError("there are not so many tokens")
    kept = {}
    if length > 0:
        kept["keys"] = [layer.narrow(2, 0, length) for layer in cache["keys"]]
        kept["values"] = [layer.narrow(2, 0, length) for layer in cache["values"]]
        if "attention_mask" in cache:
            kept["attention_mask"] = cache["attention_mask"].narrow(1, 0, length)
    return kept
""",
    ),
    Alternative(
        "truncate-cache",
        "copies by index",
        """\
def truncate_cache(cache, length):
    held = cache["keys"][0].size(-2) if cache else 0
    if length not in range(held + 1):
        raise ValueError(f"{length} is not among 0 to {held}")
    if not length:
        return dict()
    first = torch.arange(length)
    out = {}
    for name, entry in cache.items():
        if torch.is_tensor(entry):
            out[name] = entry.index_select(1, first)
        else:
            out[name] = [layer.index_select(-2, first) for layer in entry]
    return out
""",
    ),
    Alternative(
        "attention-cost",
        "product by product",
        """\
def attention_cost(seq, d_model, n_layers, cached, bytes_per_number=4):
    def product(rows, inner, columns):
        return 2 * rows * inner * columns

    new = 1 if cached else seq
    flops = held = 0
    for _ in range(n_layers):
        flops += 4 * product(new, d_model, d_model)
        flops += product(new, d_model, seq) + product(new, seq, d_model)
        if cached:
            held += 2 * seq * d_model * bytes_per_number
    return {"flops": flops, "bytes": held}
""",
    ),
    Alternative(
        "attention-cost",
        "the cached step, times the length without a cache",
        """\
def attention_cost(seq, d_model, n_layers, cached, bytes_per_number=4):
    one = 4 * n_layers * d_model * (2 * d_model + seq)
    if not cached:
        return dict(flops=one * seq, bytes=0)
    return dict(flops=one, bytes=kv_bytes_of_one_row(seq, d_model, n_layers) * bytes_per_number)


def kv_bytes_of_one_row(seq, d_model, n_layers):
    return sum(seq * d_model for _ in range(2 * n_layers))
""",
    ),
    Alternative(
        "padded-prefill",
        "padding by flipping, positions by counting back from the end",
        """\
def padded_prefill(prompts, gpt, cache):
    backwards = [torch.tensor(prompt[::-1]) for prompt in prompts]
    ids = nn.utils.rnn.pad_sequence(backwards, batch_first=True, padding_value=3).flip(1)
    sizes = torch.tensor([len(prompt) for prompt in prompts])[:, None]
    places = torch.arange(ids.shape[1]) - (ids.shape[1] - sizes)
    cache["attention_mask"] = places >= 0
    states = step(ids, cache, gpt, places.clamp(min=0), cache["attention_mask"])
    return gpt.head(states)[:, -1]


def padded_step(tokens, cache, gpt):
    mask = F.pad(cache["attention_mask"], (0, 1), value=True)
    cache["attention_mask"] = mask
    states = step(tokens.unsqueeze(1), cache, gpt, mask.cumsum(1)[:, -1:] - 1, mask)
    return gpt.head(states).squeeze(1)
""",
    ),
    Alternative(
        "padded-prefill",
        "chapter 8's padding, one helper for both",
        """\
def feed(ids, mask, cache, gpt):
    places = mask.long().cumsum(-1).sub(1).clamp_min(0)[:, -ids.shape[1] :]
    hidden = step(ids, cache, gpt, positions=places, attention_mask=mask)
    cache["attention_mask"] = mask
    return gpt.head(hidden[:, -1, :])


def padded_prefill(prompts, gpt, cache):
    ids, mask = decoding.pad_left(prompts, pad=7)
    return feed(ids, mask, cache, gpt)


def padded_step(tokens, cache, gpt):
    mask = cache["attention_mask"]
    longer = torch.hstack([mask, torch.ones(len(mask), 1, dtype=torch.bool)])
    return feed(tokens[:, None], longer, cache, gpt)
""",
    ),
    # The library has no function for the steps after a prefill: its kv_step goes on by the mask in the cache.
    Alternative(
        "padded-prefill",
        "the library's, behind an adapter",
        """\
from byhand.inference import kv_step as library_step
from byhand.inference import padded_prefill


def padded_step(tokens, cache, gpt):
    return gpt.head(library_step(tokens[:, None], cache, gpt)[:, -1])
""",
    ),
    # The library's loop steps with the library's kv_step, not with the page's; and has its bytes in another module.
    Alternative(
        "generate-cached",
        "the library's",
        """\
from byhand.inference import generate_cached, kv_bytes
""",
    ),
]

LIBRARY = {
    "reorder-cache": "byhand.inference:reorder_cache",
    "truncate-cache": "byhand.inference:truncate_cache",
    "attention-cost": "byhand.inference:attention_cost",
}
"""Where the library answers an exercise: its own functions must get full marks too. For the others see the adapters."""
