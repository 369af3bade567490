"""The world of queries: right queries answer, and the writer's are edits of them."""

import pytest

from stablereward.errors import ConfigError
from stablereward.policies.token import TokenPolicy
from stablereward.rewards.sql import execution_score, same_rows
from stablereward.types import Failure, Prompt
from stablereward.worlds.queries.base import blank
from stablereward.worlds.queries.questions import Query, candidates, database, questions, written

JOINED = Query(
    aggregate="mean", column="price", table="orders", condition="age", operator="below", value=4,
    other="customers", key="orders.customer",
)  # fmt: skip


def test_a_query_by_hand() -> None:
    assert JOINED.question == "mean price of orders of customers with age below 4"
    assert JOINED.sql == (
        "SELECT AVG ( price ) FROM orders JOIN customers ON orders.customer = customers.id WHERE age < 4"
    )


def test_what_is_written_is_the_writers_of_each_question() -> None:
    made = written(20, seed=1, held_out=True)
    asked = questions(20, seed=1, held_out=True)
    assert [one.question for one in made] == [one.question for one in asked]
    assert [list(one.candidates) for one in made] == [candidates(one, 32, seed=1) for one in asked]
    assert all(not isinstance(one.database.run(one.gold), Failure) for one in made)


def test_right_queries_run_and_parts_are_apart() -> None:
    shop = database(0)
    train, apart = questions(200, seed=0), questions(100, seed=0, held_out=True)
    assert not set(train) & set(apart) and len(set(train)) == 200
    scores = [execution_score(shop.run(one.sql)) for one in apart]
    assert min(scores) >= 0.5 and sum(scores) > 95
    with pytest.raises(ConfigError, match="ask for fewer"):
        questions(10**6, seed=0)


def test_the_writer_is_often_right_and_has_favourite_mistakes() -> None:
    shop = database(0)
    kinds = {"right": 0, "failed": 0, "all": 0}
    for one in questions(60, seed=1):
        wanted = shop.run(one.sql)
        assert not isinstance(wanted, Failure)
        for text in candidates(one, 32, seed=1):
            found = shop.run(text)
            kinds["right"] += same_rows(found, wanted)
            kinds["failed"] += isinstance(found, Failure)
            kinds["all"] += 1
    assert 0.2 < kinds["right"] / kinds["all"] < 0.6 and kinds["failed"] > 0
    assert candidates(JOINED, 8, seed=1) == candidates(JOINED, 32, seed=1)[:8]


def test_the_blank_model_has_a_token_a_word(tmp_path) -> None:  # type: ignore[no-untyped-def]
    policy = TokenPolicy.load(blank(tmp_path / "blank", seed=0), device="cpu")
    text = f"Question: {JOINED.question}\nSQL: {JOINED.sql}\nIs the SQL correct?"
    assert policy.encode(Prompt.user(text)).num_tokens < 50
    assert len(policy.vocabulary.ids("Yes")) == len(policy.vocabulary.ids("No")) == 1
    weights = (tmp_path / "blank" / "model.safetensors").read_bytes()
    blank(tmp_path / "blank", seed=1)
    assert (tmp_path / "blank" / "model.safetensors").read_bytes() == weights
