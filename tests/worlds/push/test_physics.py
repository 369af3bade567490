"""What happens on the table, worked by hand."""

import numpy as np
import pytest

from stablereward.worlds.push import physics
from stablereward.worlds.push.physics import RADIUS, SPEED


def table(pusher: tuple[float, float], block: tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
    return np.array([[*pusher, *block, 0.7, 0.7]])


def test_a_pusher_that_meets_nothing_moves_alone() -> None:
    after = physics.step(table((-0.5, 0.0)), np.array([[1.0, -0.5]]))
    assert after[0] == pytest.approx([-0.5 + SPEED, -SPEED / 2, 0, 0, 0.7, 0.7])


def test_a_block_is_pushed_until_it_touches() -> None:
    after = physics.step(table((-RADIUS, 0.0)), np.array([[1.0, 0.0]]))
    assert after[0, :4] == pytest.approx([SPEED - RADIUS, 0, SPEED, 0])


def test_a_block_that_is_pushed_off_centre_slips_aside() -> None:
    states = table((-RADIUS, 0.03))
    for _ in range(6):
        states = physics.step(states, np.array([[1.0, 0.0]]))
    assert states[0, 3] < -0.1 and states[0, 2] > 0


def test_actions_beyond_1_and_the_table_s_edge_hold() -> None:
    assert physics.step(table((-0.5, 0.0)), np.array([[9.0, 0.0]]))[0, 0] == pytest.approx(-0.5 + SPEED)
    assert physics.step(table((0.99, -1.0)), np.array([[1.0, -1.0]]))[0, :2].tolist() == [1.0, -1.0]


def test_reached_is_the_distance_of_block_and_goal() -> None:
    near, far = (table((0.0, 0.0), (0.7, 0.7 - gap)) for gap in (0.07, 0.09))
    assert physics.reached(np.concatenate([near, far])).tolist() == [True, False]


def test_a_start_is_a_function_of_its_seed_and_is_never_easy() -> None:
    starts = np.stack([physics.start(seed) for seed in range(200)])
    assert np.array_equal(starts[7], physics.start(7)) and len(np.unique(starts, axis=0)) == 200
    pusher, block, goal = starts[:, :2], starts[:, 2:4], starts[:, 4:]
    assert np.linalg.norm(goal - block, axis=1).min() >= 0.5
    assert np.linalg.norm(pusher - block, axis=1).min() >= RADIUS + 0.1


def test_an_observation_has_the_ways_as_well() -> None:
    seen = physics.observe(table((-0.5, 0.1), (0.2, 0.3)))
    assert seen.dtype == np.float32 and seen[0, 6:] == pytest.approx([0.7, 0.2, 0.5, 0.4])


def test_a_course_is_drawn() -> None:
    course = np.concatenate([table((-0.5, 0.0)), table((-0.4, 0.0))])
    image = physics.picture(course)
    assert image.size == (96, 96) and len(image.getcolors(9999)) > 3
