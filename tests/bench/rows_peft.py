"""LoRA on MiniLM: a training step against peft, and the memory of training against full fine-tuning."""

import copy
import functools

from measure import Contenders, Finding, row

RANK = 8


def sentences(count=32, seq=48):
    """Token ids of real docstrings and their mask, cut to one length."""
    import torch
    from byhand.corpora.docstrings import docstrings
    from byhand.hub import load_tokenizer, minilm_folder

    tokenizer = load_tokenizer(minilm_folder())
    tokenizer.enable_truncation(seq)
    tokenizer.enable_padding(length=seq)
    encoded = tokenizer.encode_batch([entry.text for entry in docstrings()[:count]])
    ids = torch.tensor([each.ids for each in encoded])
    return ids, torch.tensor([each.attention_mask for each in encoded], dtype=torch.bool)


def classifier(tuned):
    """MiniLM with a new head, its dropout off, so that both sides compute the same; LoRA when `tuned`."""
    import torch
    from byhand.encoder import load_minilm
    from byhand.finetuning import TextClassifier
    from byhand.peft import inject_lora

    torch.manual_seed(0)
    model = TextClassifier(load_minilm()[0], 10).eval()
    if tuned:
        inject_lora(model, ["query", "value"], RANK, 16.0, rng=torch.Generator().manual_seed(0))
        model.head.requires_grad_(True)
    return model


@row("LoRA step, rank 8 on query and value, MiniLM", {"peft": 1.0}, rounds=9)
def lora_step():
    import torch
    from byhand.hub import minilm_folder
    from peft import LoraConfig, get_peft_model
    from transformers import BertModel

    ids, mask = sentences()
    labels = torch.arange(len(ids)) % 10
    mine = classifier(tuned=True)
    bert = BertModel.from_pretrained(minilm_folder(), add_pooling_layer=False)
    theirs = get_peft_model(bert, LoraConfig(r=RANK, lora_alpha=16, target_modules=["query", "value"])).eval()
    head = copy.deepcopy(mine.head)
    with torch.no_grad():
        for block, layer in zip(mine.encoder.blocks, bert.encoder.layer, strict=True):
            for name in ("query", "value"):
                other = getattr(layer.attention.self, name)
                other.lora_A["default"].weight.copy_(getattr(block.attention, name).A)

    def peers_loss():
        hidden = theirs(input_ids=ids, attention_mask=mask).last_hidden_state
        pooled = (hidden * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True)
        return torch.nn.functional.cross_entropy(head(pooled), labels)

    def step(parameters, loss):
        optimizer = torch.optim.AdamW([p for p in parameters if p.requires_grad], lr=1e-4, fused=True)

        def once():
            optimizer.zero_grad()
            loss().backward()
            optimizer.step()

        return once

    difference = abs(mine.loss(ids, labels, mask).item() - peers_loss().item())
    assert difference < 1e-5, f"the losses differ by {difference}"
    return Contenders(
        {
            "byhand": step(mine.parameters(), lambda: mine.loss(ids, labels, mask)),
            "peft": step([*theirs.parameters(), *head.parameters()], peers_loss),
        },
        {"peft": "32 docstrings of 48 tokens, AdamW"},
    )


@row("LoRA memory: gradients, AdamW and activations, share of full fine-tuning", {"full fine-tuning": 0.3})
def lora_memory():
    import torch
    from byhand.scaling import measure_activations

    share = {}
    for count in (32, 16):
        ids, mask = sentences(count)
        labels = torch.arange(count) % 10
        taken = []
        for tuned in (True, False):
            model = classifier(tuned)
            learned = sum(p.numel() for p in model.parameters() if p.requires_grad)
            activations = measure_activations(model, functools.partial(model.loss, ids, labels, mask))
            taken.append(4 * 3 * learned + activations)
        share[count] = taken[0] / taken[1]
    return Finding(
        share[16],
        goal=0.3,
        note=f"16 x 48 tokens: {taken[0] / 2**20:.0f} of {taken[1] / 2**20:.0f} MiB, weights (87 MiB) not counted; "
        f"32 x 48 tokens: {share[32]:.2f}",
    )
