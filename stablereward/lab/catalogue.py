"""The fifty-one systems of the family: those that are there, by their recipes, and those that are to come."""

from collections.abc import Container, Mapping, Sequence
from typing import Any

from stablereward.lab.experiment import Tested
from stablereward.lab.recipe_page import Entry

SYSTEMS = {
    "judges/r1_reward": ("2505.02835", "a judge thinks before its verdict, trained by StableReinforce"),
    "judges/base_reward": ("2509.16127", "two SiLU layers on a model that sees, Bradley–Terry alone"),
    "judges/reward_dance": ("2509.08826", "the probability of a yes, scaled with the judge"),
    "judges/mm_rlhf": ("2502.10391", "a critique first, then a score; DPO by margin"),
    "judges/crew": ("2510.13501", "a model's own confidence as its reward"),
    "judges/grade_sql": ("2509.01308", "an outcome model ranks SQL candidates by a yes"),
    "judges/ensembles": ("2312.09244", "reward models that differ, taken together against hacking"),
    "judges/ixc_reward": ("2501.12368", "mean-pooled scores of text, images and clips"),
    "judges/reward_anything": ("2506.03637", "a principle in words, a ranking of all responses"),
    "judges/cream": ("2410.12735", "self-rewarding, weighed by how consistent two rounds are"),
    "judges/ppr": ("2509.25598", "principles score steps; process and outcome normalised together"),
    "judges/dmoerm": ("2403.01197", "experts by task, then by capability"),
    "judges/contrast": ("2309.16155", "contrast instructions, convex augmentation and fusion"),
    "judges/fine_grained": ("2306.01693", "rewards for spans and kinds of mistakes"),
    "judges/reward_bench_2": ("2506.01937", "what a benchmark predicts of use"),
    "judges/help_steer_2": ("2410.01257", "Bradley–Terry scaled by how strong a preference is"),
    "judges/fgaif": ("2404.05046", "segments judged for hallucination by an AI"),
    "judges/dpa": ("2402.18571", "a direction of wishes as the prompt's condition"),
    "judges/dr_irl": ("2503.18991", "rewards from demonstrations, scaled by difficulty"),
    "judges/math_se": ("2511.06805", "a diagnosing judge, self-made training rounds"),
    "tokens/raft": ("2304.06767", "of K samples the best is imitated"),
    "tokens/clip_caption": ("2205.13115", "captions rewarded by image-text similarity and grammar"),
    "tokens/big_charts_r1": ("2508.09804", "graded numbers read off charts"),
    "tokens/mobile_r1": ("2506.20332", "whole episodes on screens, one reward each"),
    "tokens/copg": ("2406.19185", "contrastive policy gradient, off policy"),
    "tokens/music_rl": ("2402.04229", "rewards of listeners for music tokens"),
    "tokens/clip_delta": ("2410.15115", "process rewards clipped and differenced"),
    "tokens/job": ("2511.16073", "composed rewards for judging applications"),
    "tokens/toolrl": ("2504.13958", "tool calls graded by name and parameters"),
    "tokens/par": ("2502.18770", "a centred sigmoid against over-optimisation"),
    "tokens/harmo": ("2510.05283", "rules and models in one normalised reward"),
    "tokens/page_llm": ("2506.09084", "items and pages rewarded together"),
    "tokens/pure": ("2504.15275", "credit by the worst step to come"),
    "tokens/noisy": ("2505.22653", "flipped rewards, and reasoning patterns as reward"),
    "tokens/no_detail": ("2409.03025", "captions by which the image is found again"),
    "tokens/caprl": ("2509.22647", "captions by which questions are answered"),
    "tokens/msrl": ("2508.13587", "charts to code, rewarded by structure"),
    "diffusion/prdp": ("2402.08714", "differences of rewards predicted by log-ratios"),
    "diffusion/vist3a": ("2510.13454", "two networks stitched, then rewarded"),
    "diffusion/alignprop": ("2310.03739", "the reward's gradient through the sampler"),
    "diffusion/uniworld": ("2510.16888", "edits scored by a judge's digit logits"),
    "diffusion/ctrl_u": ("2410.11236", "control rewards weighed by their uncertainty"),
    "diffusion/id_aligner": ("2404.15449", "identity kept by a face reward"),
    "diffusion/instruct_video": ("2312.12490", "editing as cheap reward tuning of video"),
    "diffusion/texforce": ("2311.15657", "the text encoder tuned by reward"),
    "diffusion/adv_grpo": ("2511.20256", "a reward that learns beside the generator"),
    "diffusion/one_reward": ("2508.21066", "one judge for many editing tasks"),
    "diffusion/reno": ("2406.04312", "only the initial noise is optimised"),
    "control/resfit": ("2509.19301", "a residual learnt off policy on a frozen policy"),
    "control/privileged_action": ("2502.15442", "impossible actions as a curriculum"),
    "control/robofume": ("2310.15145", "practice without resets, rewarded by a model that sees"),
}
"""Paper (arXiv) and idea of each by "family/name"."""

STUDIES = {"judges/r1_reward": "../stability.md"}
"""The pages of systems whose evidence is a study with a command of its own."""
PARTS = {
    "judges/mm_dpo": ("judges/mm_rlhf", "mm_rlhf's half for a policy: DPO by margin", "the critique model"),
}
"""Recipes of a part of a system: which, the idea, and what that system still lacks. None counts as one."""


def entries(recipes: Sequence[tuple[str, Any]], tested: Mapping[str, Sequence[Tested]]) -> list[Entry]:
    """A line for every system, each followed by its parts, and for every other recipe with an experiment."""
    modules = dict(recipes)
    lines: dict[str, tuple[str, str]] = {}
    for system, (paper, idea) in SYSTEMS.items():
        lines[system] = paper, idea
        parts = {name: (paper, idea) for name, (whole, idea, _) in PARTS.items() if whole == system}
        lines.update({name: told for name, told in parts.items() if name in modules})
    lines.update({name: ("", _title(module)) for name, module in recipes if name not in lines})
    return [
        Entry(
            name=name,
            family=name.partition("/")[0],
            paper=f"[{paper}](https://arxiv.org/abs/{paper})" if paper else "",
            idea=idea,
            tested=tested.get(name, ()),
            there=name in modules or name in STUDIES,
            own=name not in SYSTEMS and name not in PARTS,
            part=name in PARTS,
            study=STUDIES.get(name, ""),
            lacks=_lacks(name, modules),
        )
        for name, (paper, idea) in lines.items()
    ]


def _lacks(system: str, there: Container[str]) -> str:
    """What is to come of a system of which a part is there."""
    found = [
        f"{lacks}; {part.rpartition('/')[2]} is there"
        for part, (whole, _, lacks) in PARTS.items()
        if whole == system and part in there
    ]
    return "; ".join(found)


def _title(module: Any) -> str:
    return (module.__doc__ or "").partition("\n")[0].rstrip(".")
