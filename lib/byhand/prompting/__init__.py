"""Prompting: asking a language model so that it answers, and making it reason.

Prompts (`templates`), labels as words (`verbalizers`), learning from the context (`in_context`), answers and votes
(`answers`), k-means (`clustering`), Auto-CoT (`auto_cot`), search over thoughts (`tree_search`), tools (`react`,
`calculator`), and the models that are asked (`models`, `endpoint`). Leaves out self-instruct (chapter 11) and prompts
that are trained (chapter 7). Built in chapter 9.
"""

from byhand.prompting.answers import Vote, parse_answer, sample_and_vote, self_consistency
from byhand.prompting.auto_cot import (
    Demo,
    auto_cot,
    auto_cot_prompt,
    construct_demos,
    count_steps,
    sort_by_cluster,
    zero_shot_cot,
)
from byhand.prompting.calculator import calculate
from byhand.prompting.clustering import Clustering, cluster, kmeans, seed_centroids
from byhand.prompting.endpoint import EndpointError, EndpointModel
from byhand.prompting.in_context import icl_batch
from byhand.prompting.models import CheckpointModel, LanguageModel, ScriptedModel
from byhand.prompting.react import CALCULATOR, react
from byhand.prompting.templates import (
    CHAIN_OF_THOUGHT,
    CLOZE,
    QUESTION_ANSWER,
    TRIGGER,
    Template,
    few_shot_prompt,
    zero_shot_prompt,
)
from byhand.prompting.tree_search import tree_search
from byhand.prompting.verbalizers import verbalize

__all__ = [
    "CALCULATOR",
    "CHAIN_OF_THOUGHT",
    "CLOZE",
    "QUESTION_ANSWER",
    "TRIGGER",
    "CheckpointModel",
    "Clustering",
    "Demo",
    "EndpointError",
    "EndpointModel",
    "LanguageModel",
    "ScriptedModel",
    "Template",
    "Vote",
    "auto_cot",
    "auto_cot_prompt",
    "calculate",
    "cluster",
    "construct_demos",
    "count_steps",
    "few_shot_prompt",
    "icl_batch",
    "kmeans",
    "parse_answer",
    "react",
    "sample_and_vote",
    "seed_centroids",
    "self_consistency",
    "sort_by_cluster",
    "tree_search",
    "verbalize",
    "zero_shot_cot",
    "zero_shot_prompt",
]
