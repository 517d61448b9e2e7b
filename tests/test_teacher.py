"""Trust: its bounds, what it rises and falls with, and how often it is fooled."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.teacher import Teacher, probability_above

returns = st.lists(st.integers(-50, 50), min_size=1, max_size=12)
numbers, windows = st.integers(-50, 50), st.integers(1, 12)
GOOD, RANDOM, WINDOW = [9.0, 10.0, 11.0], 0.0, 4


def trust(teacher_returns, random_return, window, own_returns=(), earned=True):
    """What trust is after the learner's episodes."""
    teacher = Teacher(teacher_returns, random_return, window, earned)
    for own_return in own_returns:
        teacher.watch(own_return)
    return teacher.trust


def shifted(values, by):
    return [value + by for value in values]


@given(returns, numbers, windows, returns)
def test_trust_is_from_zero_to_one(teacher, random_return, window, own):
    assert 0 <= trust(teacher, random_return, window, own) <= 1


@given(returns, numbers, windows, returns, st.integers(0, 50))
def test_trust_grows_with_the_teachers_returns(teacher, random_return, window, own, more):
    better = trust(shifted(teacher, more), random_return, window, own)
    assert better >= trust(teacher, random_return, window, own) - 1e-6


@given(returns, numbers, windows, st.data(), st.integers(0, 50))
def test_trust_falls_with_the_learners_returns(teacher, random_return, window, data, more):
    own = data.draw(st.lists(numbers, min_size=window, max_size=window))
    better = trust(teacher, random_return, window, shifted(own, more))
    assert better <= trust(teacher, random_return, window, own) + 1e-6


@given(returns, numbers, windows, st.data(), returns)
def test_the_learners_last_episodes_alone_count(teacher, random_return, window, data, earlier):
    own = data.draw(st.lists(numbers, min_size=window, max_size=window))
    assert trust(teacher, random_return, window, earlier + own) == trust(teacher, random_return, window, own)


@given(returns, numbers, windows, st.data())
def test_they_count_alike(teacher, random_return, window, data):
    own = data.draw(st.lists(numbers, min_size=window, max_size=window))
    reordered = trust(teacher, random_return, window, data.draw(st.permutations(own)))
    assert reordered == pytest.approx(trust(teacher, random_return, window, own))


@given(returns, numbers, windows, returns, st.integers(0, 12))
def test_the_learner_counts_as_random_until_it_has_played(teacher, random_return, window, own, n):
    as_random = [random_return] * n
    assert trust(teacher, random_return, window, as_random + own) == trust(teacher, random_return, window, own)


@given(returns, numbers, windows, returns, numbers)
def test_returns_count_by_how_far_they_are_above_random(teacher, random_return, window, own, more):
    moved = trust(shifted(teacher, more), random_return + more, window, shifted(own, more))
    assert moved == pytest.approx(trust(teacher, random_return, window, own), abs=1e-6)


@pytest.mark.parametrize(("random_return", "expected"), [(0.0, 0.0), (-1000.0, 1.0)])
def test_a_teacher_is_judged_against_the_random_return(random_return, expected):
    assert trust([-99.0, -100.0, -101.0], random_return, WINDOW) == pytest.approx(expected)


def test_a_good_teacher_is_followed_at_once():
    assert trust(GOOD, RANDOM, WINDOW) == pytest.approx(1)


def test_one_lucky_episode_does_not_outdo_a_good_teacher():
    assert trust(GOOD, RANDOM, WINDOW, [30.0]) == pytest.approx(1)


def test_a_good_teacher_is_dropped_once_outdone():
    assert trust(GOOD, RANDOM, WINDOW, [20.0] * WINDOW) == pytest.approx(0)


@pytest.mark.parametrize("own_return", [0.0, 5.0, 10.0])
def test_a_good_teacher_is_followed_while_the_learner_is_no_better(own_return):
    assert trust(GOOD, RANDOM, WINDOW, [own_return] * WINDOW) == pytest.approx(1)


def test_trust_is_the_product_of_better_than_random_and_not_outdone():
    one_error_above_random, one_below_the_learner = 2 * 0.8413447 - 1, 2 * 0.1586553
    expected = one_error_above_random * one_below_the_learner
    assert trust([1.0, 3.0], 1.0, 2, [3.0, 3.0]) == pytest.approx(expected, abs=1e-6)


def test_trust_comes_back_when_the_learner_falls_behind():
    assert trust(GOOD, RANDOM, WINDOW, [20.0] * 100 + [5.0] * WINDOW) == pytest.approx(1)


def test_a_bad_teacher_is_not_followed():
    assert trust([-9.0, -10.0, -11.0], RANDOM, WINDOW) == 0


@given(returns, numbers, windows, returns)
def test_trust_that_need_not_be_earned_stays_at_one(teacher, random_return, window, own):
    assert trust(teacher, random_return, window, own, earned=False) == 1


@pytest.mark.parametrize("earned", [True, False])
def test_without_episodes_there_is_no_trust(earned):
    assert trust([], RANDOM, WINDOW, [-5.0] * WINDOW, earned) == 0


def test_a_random_teacher_gets_a_quarter_on_average_and_nothing_in_half_of_all_cases():
    rng = np.random.default_rng(0)
    given = np.array([trust(rng.normal(3.0, 5.0, 10).tolist(), 3.0, 10) for _ in range(2000)])
    assert given.mean() == pytest.approx(0.25, abs=0.03)
    assert np.mean(given == 0) == pytest.approx(0.5, abs=0.03)


@given(returns, returns)
def test_one_of_two_is_above_the_other(a, b):
    assert probability_above(a, b) + probability_above(b, a) == pytest.approx(1)


@given(returns)
def test_of_equals_neither_is_above_the_other(a):
    assert probability_above(a, a) == probability_above(a, a[::-1]) == pytest.approx(0.5)


def test_a_difference_of_rounding_is_none():
    assert probability_above([0.1] * 3, [0.1] * 4) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("a", "b", "z"),
    [([1, 3], [1], 1), ([1], [1, 3], -1), ([1, 3], [0, 2], 0.5**0.5), ([0, 0, 3, 3], [0], 3**0.5), ([2], [1], np.inf)],
)
def test_it_is_by_how_many_standard_errors_the_means_differ(a, b, z):
    below = {1: 0.8413447, -1: 0.1586553, 0.5**0.5: 0.7602499, 3**0.5: 0.9583677, np.inf: 1.0}
    assert probability_above(a, b) == pytest.approx(below[z], abs=1e-6)
