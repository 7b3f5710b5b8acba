"""What the hub calls the weights of BERT, GPT-2 and T5, and what we call them.

Holds tables only. Belongs to no chapter.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Names:
    """The modules of a kind of checkpoint, from the hub's names to ours; `*` stands for the number of a layer.

    Args:
        modules: linear layers and embeddings; several of ours where the hub fuses them, along the output.
        norms: normalisations, whose `weight` (or old `gamma`) is our `gain`, and `bias` (`beta`) our `bias`.
        prefixes: what some checkpoints write before every name.
        ignored: regular expressions of what is no weight, or not this model's.
        transposed: ends of the hub's names whose matrices are stored (in, out).
    """

    modules: Mapping[str, str | tuple[str, ...]]
    norms: Mapping[str, str]
    prefixes: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    transposed: tuple[str, ...] = ()

    def inside(self, prefix: str) -> "Names":
        """The same names for a model that holds this one as its part `prefix`.

        >>> BERT.inside("encoder.").norms["embeddings.LayerNorm"]
        'encoder.embedding_norm'
        """

        def put(own: str | tuple[str, ...]) -> str | tuple[str, ...]:
            return prefix + own if isinstance(own, str) else tuple(prefix + name for name in own)

        return replace(
            self,
            modules={hub: put(own) for hub, own in self.modules.items()},
            norms={hub: prefix + own for hub, own in self.norms.items()},
        )


BERT = Names(  # the body: `byhand.encoder.Encoder`
    modules={
        "embeddings.word_embeddings": "token_embedding",
        "embeddings.position_embeddings": "position_embedding",
        "embeddings.token_type_embeddings": "segment_embedding",
        "encoder.layer.*.attention.self.query": "blocks.*.attention.query",
        "encoder.layer.*.attention.self.key": "blocks.*.attention.key",
        "encoder.layer.*.attention.self.value": "blocks.*.attention.value",
        "encoder.layer.*.attention.output.dense": "blocks.*.attention.output",
        "encoder.layer.*.intermediate.dense": "blocks.*.feed_forward.up",
        "encoder.layer.*.output.dense": "blocks.*.feed_forward.down",
        "pooler.dense": "pooler",
    },
    norms={
        "embeddings.LayerNorm": "embedding_norm",
        "encoder.layer.*.attention.output.LayerNorm": "blocks.*.attention_norm",
        "encoder.layer.*.output.LayerNorm": "blocks.*.feed_forward_norm",
    },
    prefixes=("bert.",),
    ignored=(r"embeddings\.position_ids", r"(cls|classifier|qa_outputs)\..*"),
)

_BODY = BERT.inside("encoder.")
BERT_WITH_HEADS = replace(  # the body as `encoder`, with the heads of pre-training
    _BODY,
    modules={
        **_BODY.modules,
        "cls.predictions.transform.dense": "mlm_head.transform",
        "cls.predictions": "mlm_head",  # its bias; the matrix is the token embedding
        "cls.seq_relationship": "nsp_head",
    },
    norms={**_BODY.norms, "cls.predictions.transform.LayerNorm": "mlm_head.norm"},
    ignored=(r"embeddings\.position_ids", r"cls\.predictions\.decoder\..*"),
)

GPT2 = Names(
    modules={
        "wte": "token_embedding",
        "wpe": "position_embedding",
        "h.*.attn.c_attn": ("blocks.*.attention.query", "blocks.*.attention.key", "blocks.*.attention.value"),
        "h.*.attn.c_proj": "blocks.*.attention.output",
        "h.*.mlp.c_fc": "blocks.*.feed_forward.up",
        "h.*.mlp.c_proj": "blocks.*.feed_forward.down",
        "lm_head": "head",
    },
    norms={
        "h.*.ln_1": "blocks.*.attention_norm",
        "h.*.ln_2": "blocks.*.feed_forward_norm",
        "ln_f": "final_norm",
    },
    prefixes=("transformer.",),
    ignored=(r"h\.\d+\.attn\.(bias|masked_bias)",),
    transposed=("c_attn.weight", "c_proj.weight", "c_fc.weight"),
)


def _t5_modules(side: str, feed_forward: int) -> dict[str, str]:
    """The linear layers of one side; `feed_forward` is the place of that part in the hub's list of parts."""
    letters = {"q": "query", "k": "key", "v": "value", "o": "output"}
    hub, own = f"{side}.block.*.layer", f"{side}.blocks.*"
    modules = {f"{hub}.0.SelfAttention.{letter}": f"{own}.attention.{name}" for letter, name in letters.items()}
    if side == "decoder":
        modules |= {f"{hub}.1.EncDecAttention.{at}": f"{own}.cross_attention.{name}" for at, name in letters.items()}
    parts = {"wi": "up", "wi_0": "gate", "wi_1": "up", "wo": "down"}  # wi in version 1.0; wi_0, wi_1 in 1.1
    return modules | {
        f"{hub}.{feed_forward}.DenseReluDense.{part}": f"{own}.feed_forward.{name}" for part, name in parts.items()
    }


T5 = Names(
    modules={
        "shared": "token_embedding",
        "encoder.block.0.layer.0.SelfAttention.relative_attention_bias": "encoder.relative_bias.embedding",
        "decoder.block.0.layer.0.SelfAttention.relative_attention_bias": "decoder.relative_bias.embedding",
        **_t5_modules("encoder", feed_forward=1),
        **_t5_modules("decoder", feed_forward=2),
        "lm_head": "head",
    },
    norms={
        "encoder.block.*.layer.0.layer_norm": "encoder.blocks.*.attention_norm",
        "encoder.block.*.layer.1.layer_norm": "encoder.blocks.*.feed_forward_norm",
        "encoder.final_layer_norm": "encoder.final_norm",
        "decoder.block.*.layer.0.layer_norm": "decoder.blocks.*.attention_norm",
        "decoder.block.*.layer.1.layer_norm": "decoder.blocks.*.cross_norm",
        "decoder.block.*.layer.2.layer_norm": "decoder.blocks.*.feed_forward_norm",
        "decoder.final_layer_norm": "decoder.final_norm",
    },
    # copies of `shared`, and a bias that the first release stored and never used
    ignored=(
        r"(encoder|decoder)\.embed_tokens\.weight",
        r"decoder\.block\.0\.layer\.1\.EncDecAttention\.relative_attention_bias\.weight",
    ),
)
