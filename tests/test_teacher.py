"""Trust: its bounds, what it rises and falls with, and how often it is fooled."""

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.teacher import Teacher, probability_above
from envs_text import find_environment
from episodes import play

returns = st.lists(st.integers(-50, 50), min_size=1, max_size=12)
numbers, windows = st.integers(-50, 50), st.integers(1, 12)
GOOD, RANDOM, WINDOW = [9.0, 10.0, 11.0] * 4, 0.0, 4


def trust(teacher_returns, random_return, window, own_returns=(), earned=True, random_std=0.0):
    """What trust is after the learner's episodes."""
    teacher = Teacher(teacher_returns, random_return, random_std, window, earned)
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
    assert trust([-99.0, -100.0, -101.0] * 4, random_return, WINDOW) == pytest.approx(expected)


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
    returns, random_return, own = [2.0, 2.5, 4.0, 3.5], 1.2, [3.0, 4.0]
    above_random, not_outdone = probability_above(returns, [random_return]), 4 * probability_above(returns, own) - 1
    assert 0.95 < above_random < 0.999 and not_outdone < 0.9
    expected = (1 - 20 * (1 - above_random)) * not_outdone
    assert trust(returns, random_return, 2, own) == pytest.approx(expected)


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


@given(returns, numbers, windows, st.tuples(st.floats(0, 100), st.floats(0, 100)))
def test_the_more_chance_there_is_in_random_play_the_less_a_teacher_is_trusted(teacher, random_return, window, stds):
    trusts = [trust(teacher, random_return, window, random_std=std) for std in sorted(stds)]
    assert trusts[0] >= trusts[1]


def followed(draw):
    """In what part of 2,000 cases a teacher is followed whose returns are draw(rng, 10), those of random play."""
    rng = np.random.default_rng(0)
    long = draw(rng, 200_000)
    mean, std = np.mean(long), np.std(long)
    return np.mean([trust(draw(rng, 10).tolist(), mean, 10, random_std=std) > 0 for _ in range(2000)])


@pytest.mark.parametrize(
    "draw",
    [
        lambda rng, n: rng.normal(3.0, 5.0, n),
        lambda rng, n: rng.exponential(10.0, n),
        lambda rng, n: -rng.exponential(10.0, n),
        lambda rng, n: -rng.lognormal(0.0, 1.0, n),
        lambda rng, n: rng.standard_t(3, n),
        lambda rng, n: 1.0 * (rng.random(n) < 0.014),
        lambda rng, n: 1.0 * (rng.random(n) < 0.5),
        lambda rng, n: 1.0 * (rng.random(n) < 0.95),
    ],
)
def test_a_teacher_at_randoms_level_is_followed_in_at_most_one_case_in_twenty(draw):
    assert followed(draw) < 0.06


@pytest.mark.parametrize("name", ["FrozenLake-v1", "CliffWalking-v1", "CartPole-v1", "Pendulum-v1", "MountainCar-v0"])
def test_and_so_is_a_random_policy_in_the_projects_environments(name):
    environment, rng = find_environment(name), np.random.default_rng(0)
    env = environment.make()
    played = [play(env, lambda s: int(rng.integers(env.action_space.n)), seed).total for seed in range(100)]
    assert np.std(played) == pytest.approx(environment.random_std, rel=0.5)
    assert followed(lambda rng, n: rng.choice(played, n)) < 0.07


@given(returns, returns)
def test_one_of_two_is_above_the_other(a, b):
    assert probability_above(a, b) + probability_above(b, a) == pytest.approx(1)


@given(returns)
def test_of_equals_neither_is_above_the_other(a):
    assert probability_above(a, a) == probability_above(a, a[::-1]) == pytest.approx(0.5)


def test_a_difference_of_rounding_is_none():
    assert probability_above([0.1] * 3, [0.1] * 4) == pytest.approx(0.5)


@pytest.mark.parametrize(("degrees", "t"), [(2, 2.920), (4, 2.132), (9, 1.833), (18, 1.734), (30, 1.697)])
def test_it_is_students_distribution(degrees, t):
    """The t of which Student's tables say that 95% lie below."""
    a = np.array([-1.0, 1.0] * degrees)[: degrees + 1]
    a = (a - a.mean()) / np.std(a, ddof=1) * np.sqrt(len(a)) + t
    assert probability_above(a, [0.0]) == pytest.approx(0.95, abs=0.004)
    assert probability_above(a[: len(a) // 2 * 2], [0.0]) > 0.5


def test_the_errors_of_both_count():
    assert probability_above([1, 3], [0, 2]) < probability_above([1, 3], [1]) < probability_above([3], [1, 1.5]) < 1


@pytest.mark.parametrize(("a", "z"), [([2.0], 2.0), ([2.0] * 4, 4.0), ([1.999, 2.0, 2.001] * 3, 6.0)])
def test_it_is_no_surer_than_by_the_normal_distribution_with_the_known_standard_deviation(a, z):
    assert probability_above(a, [0.0], 1.0) == pytest.approx(NormalDist().cdf(z))


@given(returns, numbers, st.floats(0.1, 100))
def test_a_known_standard_deviation_makes_nothing_surer(a, b, known_std):
    assert probability_above(a, [b], known_std) <= probability_above(a, [b])
    if len(a) > 2 and np.std(a) > 2 * known_std:
        above = probability_above(a, [b], known_std)
        assert above == probability_above(a, [b]) or np.mean(a) < b


def test_the_known_standard_deviation_is_of_no_importance_to_who_outdoes_whom():
    own = [20.0, 21.0, 22.0, 23.0]
    assert trust(GOOD, RANDOM, WINDOW, own, random_std=1.0) == trust(GOOD, RANDOM, WINDOW, own)
