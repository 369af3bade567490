"""Waiting for coroutines, in and out of a running loop."""

import asyncio

import pytest

from stablereward.blocking import blocking


async def answer() -> int:
    await asyncio.sleep(0)
    return 42


async def fail() -> int:
    raise ValueError("from inside")


def test_without_a_loop() -> None:
    assert blocking(answer()) == 42


def test_inside_a_running_loop() -> None:
    async def notebook_cell() -> int:
        return blocking(answer())

    assert asyncio.run(notebook_cell()) == 42


def test_errors_come_through_both_ways() -> None:
    async def notebook_cell() -> int:
        return blocking(fail())

    with pytest.raises(ValueError, match="from inside"):
        blocking(fail())
    with pytest.raises(ValueError, match="from inside"):
        asyncio.run(notebook_cell())
