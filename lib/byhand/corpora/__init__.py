"""Text that every copy of Python already has, or that is generated, so that no chapter waits for a download.

- `byhand.corpora.python_docs`: the language reference as `help()` shows it, and its ready-made split.
- `byhand.corpora.docstrings`: the docstrings of the standard library, each labelled with its package.
- `byhand.corpora.stories`: stories drawn from a grammar whose entropy is known exactly.
- `byhand.corpora.grammar`: what such a grammar is, and the arithmetic of its entropy;
  `byhand.corpora.notation`: how its rules are written.
- `byhand.corpora.word_problems`: word problems with direct and written-out answers; `byhand.corpora.templates`:
  the sentences they are told in.
- `byhand.corpora.operations`: a hidden operation to infer from demonstrations, and the best that can be done.
- `byhand.corpora.parity`: even or odd, the smallest task that steps make easy.
- `byhand.corpora.vocabulary`: text to ids and back for corpora that know all their tokens.
- `byhand.corpora.tokenizer`: a byte-level BPE tokenizer of 1,024 tokens, trained on the documentation.
- `byhand.corpora.scaling_runs`: a table of training runs of seven sizes, for chapter 12.

Left out: how to split a corpus without a leak (`byhand.splitting`, chapter 1) and how a tokenizer is
trained (`byhand.bpe`, chapter 2). These modules belong to no chapter: all of them may import them.
"""
