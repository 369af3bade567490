"""Preference → Prompt in the words R1-Reward was trained on, and that text → question and responses.

`templates/r1_reward.txt` is the text of the published checkpoints (https://arxiv.org/abs/2505.02835,
Table 1, and https://github.com/yfzhang114/r1_reward): two spaces before some line ends and no line
break before "- Start" are part of it. `templates/r1_reward_n.txt` says the same of N responses.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path

from stablereward.errors import DataError
from stablereward.types import Message, Part, Preference, Prompt, Response, merged, parts_of

_TEMPLATES = Path(__file__).parent / "templates"
_HEADING = re.compile(
    r"(?: {0,2}\n{1,2})?###### (?:\[(Question|Response [1-9][0-9]{0,3})\]: *\n?|\*\*(Output Format))"
)
_CHOICE = re.compile(r"if Response [0-9]+ is better")


def r1_reward(preference: Preference) -> Prompt:
    """The R1-Reward prompt with the responses in the order of `preference.responses`.

    One turn of the user: the pictures of the history and the question, then the template, which has the
    history as a `transcript` before the question. A response's pictures stand in its place,
    below its heading, which no published checkpoint was trained on. Raises DataError for fewer than two
    responses.
    """
    responses = preference.responses
    if len(responses) < 2:
        raise DataError(
            f"preference {preference.id!r} has {len(responses)} responses; a comparison needs two"
        )
    if len(responses) == 2:
        first, second = map(parts_of, responses)
        slots = {"question": (transcript(preference),), "answer1": first, "answer2": second}
        body = _filled("r1_reward.txt", slots)
    else:
        body = _filled("r1_reward_n.txt", _slots_n(transcript(preference), responses))
    return Prompt(messages=(Message("user", (*preference.asked_images, *body)),), preference=preference)


def transcript(preference: Preference) -> str:
    """The history and the question as one text, for who reads no turns.

    `User: …`, `Assistant: …` with an empty line between; a question without a history is its text alone.
    """
    return spoken_by(preference.messages)


def spoken_by(messages: Sequence[Message]) -> str:
    """The texts of turns with the role before each; of one turn its text alone. A call of a tool is JSON."""
    if len(messages) == 1:
        return in_turn(messages[0])
    return "\n\n".join(f"{message.role.capitalize()}: {in_turn(message)}" for message in messages)


def in_turn(message: Message) -> str:
    """What a turn says: its text, then each call of a tool as a line of JSON."""
    said = (message.text, *(call.text for call in message.tool_calls))
    return "\n".join(said if message.text else said[1:])


def parse_r1_reward(text: str, where: str = "prompt") -> tuple[str, tuple[str, ...]]:
    """The inverse of `r1_reward`: the question and the responses in the order shown, nothing stripped.

    Raises DataError where a heading of the template is missing, or occurs twice because the question
    or a response contains it: then nobody can tell which one is meant.
    """
    headings = list(_HEADING.finditer(text))
    instructions = text[: headings[0].start()] if headings else ""
    numbers = range(1, len(_CHOICE.findall(instructions)) + 1)
    names = [heading[1] or heading[2] for heading in headings]
    if len(numbers) < 2 or names != ["Question", *(f"Response {n}" for n in numbers), "Output Format"]:
        raise DataError(
            f"{where}: not one question, responses 1 to N and an output format in R1-Reward's order; "
            "give the question and the responses as fields of their own"
        )
    question, *responses = (text[a.end() : b.start()] for a, b in pairwise(headings))
    return question, tuple(responses)


def _slots_n(question: str, responses: Sequence[Response]) -> dict[str, tuple[Part, ...]]:
    numbers = range(1, len(responses) + 1)
    return {
        "count": ("two" if len(responses) == 2 else str(len(responses)),),
        "choices": tuple(f'  - Output "{n}" if Response {n} is better.\n' for n in numbers),
        "question": (question,),
        "responses": tuple(
            part
            for n, response in zip(numbers, responses, strict=True)
            for part in (f"###### [Response {n}]:\n", *parts_of(response), "  \n\n")
        ),
        "numbers": ("/".join(map(str, numbers)),),
    }


def _filled(name: str, slots: Mapping[str, Sequence[Part]]) -> tuple[Part, ...]:
    """One pass, so that `{answer2}` inside a response stays what the response says."""
    pieces = re.split(r"\{(\w+)\}", _template(name))  # every second is a slot's name
    return merged([part for n, piece in enumerate(pieces) for part in (slots[piece] if n % 2 else (piece,))])


@cache
def _template(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")
