"""Rows in a file: one JSON object a line, with every opinion's text, so that any number can be recomputed."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from stablereward.errors import DataError, StorageError
from stablereward.evaluation.files import problem
from stablereward.types import Row, Vote

R = TypeVar("R", bound=Row)

ROW = TypeAdapter(Row)
_REMEDY = "correct the line, or take it out and judge the pair again"


def file_name(judge: str, votes: int) -> str:
    """The file of a judge's rows at so many votes an order, as a run folder names it."""
    return f"{judge}-{votes}.jsonl".replace(" ", "-").replace(",", "")


def append(rows: Sequence[Row], path: Path) -> None:
    """Adds rows to the end of the file. Raises `StorageError` where it cannot be written."""
    try:
        with path.open("ab") as file:
            file.writelines(ROW.dump_json(row) + b"\n" for row in rows)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written ({error.strerror})") from error


def read(path: Path) -> list[Row]:
    """All rows of the file. Raises `DataError` with the line that is not one, see `parse`."""
    return parse(read_bytes(path), path, Row)


def read_bytes(path: Path) -> bytes:
    """The file's content. Raises `DataError`."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path") from None


def parse(content: bytes, path: Path, form: type[R]) -> list[R]:
    """The rows in a file's content, every type and index checked; empty lines are passed over.

    Raises `DataError` with the line that is no row or speaks of a response that is not there.
    """
    adapter = TypeAdapter(form)
    lines = enumerate(content.split(b"\n"), start=1)
    return [parse_line(line, f"{path}:{number}", adapter) for number, line in lines if line.strip()]


def parse_line(line: bytes, where: str, adapter: TypeAdapter[R]) -> R:
    """One row, every type and index checked. Raises `DataError` that says `where` and what is wrong."""
    try:
        row = adapter.validate_json(line, strict=True)
    except ValidationError as error:
        raise DataError(f"{where}: not a row of an evaluation ({problem(error)}); {_REMEDY}") from None
    wrong = _wrong(row)
    if wrong:
        raise DataError(f"{where}: {wrong}; {_REMEDY}")
    return row


def _wrong(row: Row) -> str:
    """What no row of an evaluation can say; empty where nothing is wrong."""
    if not row.votes:
        return "a row without votes"
    if len(row.votes) > 2:
        return f"{len(row.votes)} votes, where two orders are shown at most"
    num_responses = len(row.votes[0].probabilities)
    if num_responses < 2 or any(len(vote.probabilities) != num_responses for vote in row.votes):
        return "its votes are not on two or more responses each"
    if not 0 <= row.best < num_responses:
        return f"best is {row.best}, where responses count from 0 to {num_responses - 1}"
    return next((found for vote in row.votes if (found := _wrong_vote(vote, num_responses))), "")


def _wrong_vote(vote: Vote, num_responses: int) -> str:
    shares = vote.probabilities
    choices = [vote.choice, *(judgement.choice for judgement in vote.judgements)]
    outside = [choice for choice in choices if choice is not None and not 0 <= choice < num_responses]
    if outside:
        return f"choice is {outside[0]}, where responses count from 0 to {num_responses - 1}"
    if not all(0 <= share <= 1 for share in shares):
        return "probabilities outside 0 to 1"
    if vote.choice is not None and shares[vote.choice] < max(shares):
        return f"choice is {vote.choice}, which has less probability than another response"
    if not vote.judgements and not vote.failures:
        return "a vote without opinions"
    for judgement in vote.judgements:
        if sorted(judgement.order) != list(range(num_responses)):
            return f"order {list(judgement.order)} does not name each of {num_responses} responses once"
        if judgement.confidence is not None and not 0 <= judgement.confidence <= 1:
            return "a confidence outside 0 to 1"
        if judgement.num_tokens < 0:
            return "a negative number of tokens"
    return ""
