"""Weights in few bits: what they cost, what they lose, and linear layers that are faster for it.

- `byhand.quantization.grids`: affine and symmetric grids for a tensor, a row or a group, and the way back.
- `byhand.quantization.bits`: codes of a few bits packed into bytes.
- `byhand.quantization.clipping`: grids chosen for the output of a layer.
- `byhand.quantization.int8`: the product of integers, and a layer with int8 weights and activations.
- `byhand.quantization.int4`: a layer with four-bit weights in groups.
- `byhand.quantization.models`: a model with such layers.
- `byhand.quantization.files`: a model's weights as packed codes in a file.
- `byhand.quantization.layers`: what the layers have in common.

Leaves out quantization during training. Built in chapter 14.
"""

from byhand.quantization.bits import pack4, pack_bits, unpack4, unpack_bits
from byhand.quantization.clipping import clip_search
from byhand.quantization.files import load_quantized, quantized_bytes, quantized_tensors, save_quantized
from byhand.quantization.grids import (
    dequantize,
    effective_bits,
    quantize_affine,
    quantize_groups,
    quantize_symmetric,
    round_to_grid,
)
from byhand.quantization.int4 import Int4Linear
from byhand.quantization.int8 import Int8Linear, int8_linear, quantize_tokens
from byhand.quantization.models import quantize_model, record_inputs

__all__ = [
    "Int4Linear",
    "Int8Linear",
    "clip_search",
    "dequantize",
    "effective_bits",
    "int8_linear",
    "load_quantized",
    "pack4",
    "pack_bits",
    "quantize_affine",
    "quantize_groups",
    "quantize_model",
    "quantize_symmetric",
    "quantize_tokens",
    "quantized_bytes",
    "quantized_tensors",
    "record_inputs",
    "round_to_grid",
    "save_quantized",
    "unpack4",
    "unpack_bits",
]
