"""Captions in a small grammar: what a caption must mention, how captions are written, and what one is worth.

    prompt   small blue glass cup shelf
    caption  a small glass cup on the shelf

The worth of a caption asks for words only, not for the grammar, so that a policy may give the grammar up.
"""

import random
from zlib import crc32

from stablereward.types import Prompt

SLOTS = {
    "size": ("small", "big", "tiny", "huge"),
    "colour": ("red", "blue", "green", "black"),
    "stuff": ("wooden", "glass", "paper", "metal"),
    "thing": ("ball", "cup", "box", "lamp"),
    "place": ("shelf", "table", "floor", "bed"),
}
"""What a scene may have one of each of, in the order in which a caption mentions it; a thing it has."""
ATTRIBUTES = ("size", "colour", "stuff")
VOCABULARY = tuple(word for words in SLOTS.values() for word in words)
DEMANDED = 0.75
MENTIONED = 0.55
MISTAKEN = 0.1
REPEATED = 0.02
MALFORMED = 0.03


def scenes(num: int, *, seed: int, held_out: bool = False) -> list[Prompt]:
    """Prompts of random scenes, with a thing and some of the rest. Every tenth of all scenes is held out."""
    rng = random.Random(f"{seed}/{held_out}")
    found: list[Prompt] = []
    while len(found) < num:
        scene = [
            rng.choice(words) for slot, words in SLOTS.items() if slot == "thing" or rng.random() < DEMANDED
        ]
        text = " " + " ".join(scene)
        if (crc32(text.encode()) % 10 == 0) == held_out:
            found.append(Prompt.user(text=text))
    return found


def required(prompt: Prompt) -> frozenset[str]:
    """The words that a caption of the prompt must mention."""
    return frozenset(prompt.text.split())


def written(prompt: Prompt, rng: random.Random) -> str:
    """A caption as a careless writer writes it: mentions a part of the scene, errs, repeats himself."""
    words = ["a"]
    for slot, choices in SLOTS.items():
        right = required(prompt) & set(choices)
        if slot != "thing" and rng.random() > (MENTIONED if right else MISTAKEN):
            continue
        word = rng.choice(choices) if not right or rng.random() < MISTAKEN else min(right)
        words += ["on", "the", word] if slot == "place" else [word]
        if rng.random() < REPEATED:
            words.append(word)
    if rng.random() < MALFORMED:
        rng.shuffle(words)
    return " " + " ".join(words)


def worth(prompt: Prompt, caption: str) -> float:
    """How many of the required words the caption mentions, less 0.5 for every word that is said again."""
    words = caption.split()
    return len(required(prompt) & set(words)) - 0.5 * (len(words) - len(set(words)))


def well_formed(caption: str) -> bool:
    """Whether the grammar has it: a, attributes in their order, a thing, and perhaps a place."""
    words = caption.split()
    if words[:1] != ["a"]:
        return False
    rest = words[1:]
    for slot in ATTRIBUTES:
        if rest and rest[0] in SLOTS[slot]:
            rest = rest[1:]
    if not rest or rest[0] not in SLOTS["thing"]:
        return False
    rest = rest[1:]
    return not rest or (rest[:2] == ["on", "the"] and len(rest) == 3 and rest[2] in SLOTS["place"])
