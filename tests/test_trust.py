"""Trust: when the clone plays and when the learner does, and how often a teacher at random's level is followed."""

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.trust import Judge, bound
from envs_text import find_environment
from episodes import play

numbers, priors, stds = st.integers(-50, 50), st.integers(1, 6), st.floats(0, 100)
returns = st.lists(numbers, min_size=1, max_size=12)
good = st.lists(st.integers(30, 50), min_size=5, max_size=12)  # beyond doubt above 0, whatever they are
GOOD, RANDOM, PRIOR = [9.0, 10.0, 11.0] * 4, 0.0, 4


def trust(teacher_returns, random_return, prior, learner=(), clone=(), random_std=0.0):
    """What trust is after episodes of the learner and of the clone with those returns."""
    judge = Judge(teacher_returns, random_return, random_std, prior)
    judge.learner_returns.extend(learner)
    judge.clone_returns.extend(clone)
    return judge.trust


def shifted(values, by):
    return [value + by for value in values]


def halves(late, prior, early=0.0):
    """A learner's returns, of which `late` are the later half, with `prior` of random play's before them."""
    assert len(late) >= prior
    return [early] * (len(late) - prior) + list(late)


@st.composite
def shown(draw):
    """A prior; returns of the learner's later half; returns of the clone, some or none."""
    prior = draw(priors)
    return prior, draw(st.lists(numbers, min_size=prior, max_size=12)), draw(st.lists(numbers, max_size=12))


@given(returns, numbers, priors, returns, returns, stds)
def test_trust_is_zero_or_one(teacher, random_return, prior, learner, clone, random_std):
    assert trust(teacher, random_return, prior, learner, clone, random_std) in (0.0, 1.0)


@given(returns, priors, st.integers(0, 50), st.lists(numbers), st.lists(numbers), stds)
def test_a_teacher_that_is_not_above_random_is_never_trusted(teacher, prior, worse, learner, clone, random_std):
    random_return = statistics.fmean(teacher) + worse
    assert trust(teacher, random_return, prior, learner, clone, random_std) == 0


@pytest.mark.parametrize(("mean", "n", "expected"), [(0.5, 1, 0), (1.9, 1, 0), (2.1, 1, 1), (0.9, 4, 0), (1.1, 4, 1)])
def test_a_teacher_must_beat_random_by_two_standard_errors(mean, n, expected):
    assert trust([mean] * n, RANDOM, PRIOR, random_std=1.0) == expected


@pytest.mark.parametrize(("random_return", "expected"), [(0.0, 0), (-1000.0, 1)])
def test_a_teacher_is_judged_against_the_random_return(random_return, expected):
    assert trust([-99.0, -100.0, -101.0] * 4, random_return, PRIOR) == expected


@given(returns, numbers, priors, stds)
def test_a_teacher_that_beats_random_is_trusted_at_once(teacher, random_return, prior, random_std):
    beats = Judge(teacher, random_return, random_std, prior).beats_random
    assert trust(teacher, random_return, prior, random_std=random_std) == beats


def test_a_teacher_that_does_not_beat_random_is_not_trusted_however_good_the_clone_is():
    assert trust([-60.0] * 6 + [10.0] * 4, RANDOM, PRIOR, clone=[10.0] * 500) == 0


@given(priors, st.lists(numbers))
def test_without_episodes_there_is_no_trust(prior, learner):
    assert trust([], -100.0, prior, learner) == 0


def test_a_clone_that_falls_far_below_random_play_is_dropped_at_once_however_good_its_teacher():
    assert trust([-10.0] * 10, -2000.0, PRIOR, clone=[-9000.0], random_std=600.0) == 0


def test_a_clone_that_is_as_poor_as_random_play_is_trusted_until_the_learner_is_above_what_it_may_be():
    assert trust([10.0] * 10, RANDOM, PRIOR, clone=[0.0]) == 1
    assert trust([10.0] * 10, RANDOM, PRIOR, [1.0] * 20, clone=[0.0] * 20) == 1
    assert trust([10.0] * 10, RANDOM, PRIOR, [2.0] * 20, clone=[0.0] * 20) == 0


@given(good, shown(), st.floats(1e-6, 50))
def test_a_trusted_clone_plays_as_long_as_its_lower_bound_is_above_the_upper_one_of_the_learners_later_half(
    teacher, returns_shown, more
):
    prior, learner, clone = returns_shown
    touching = bound(teacher + clone, -2) - bound(learner, 2)
    assert trust(teacher, RANDOM, prior, halves(shifted(learner, touching - more), prior), clone) == 1
    assert trust(teacher, RANDOM, prior, halves(shifted(learner, touching + more), prior), clone) == 0


def test_a_learner_takes_over_when_its_mean_is_level_within_two_standard_errors_of_both():
    teacher, clone = [15.0, 25.0] * 2, [15.0, 25.0] * 6  # standard error 1.3
    assert trust(teacher, RANDOM, PRIOR, [17.0] * 99, clone) == 1
    assert trust(teacher, RANDOM, PRIOR, [17.7] * 99, clone) == 0
    assert trust(teacher, RANDOM, PRIOR, [17.0] * 99) == 0  # of the teacher's four alone it is 2.9
    assert trust(teacher, RANDOM, PRIOR, [14.0, 18.0] * 99, clone) == 1  # its own is 0.2
    assert trust(teacher, RANDOM, PRIOR, [11.0, 23.0] * 99, clone) == 0  # 0.6


@pytest.mark.parametrize("level", [0.3, 0.7, 1.1, -1.3, 20.000000000000004])
@pytest.mark.parametrize("n", [10, 13, 20])
def test_nor_does_rounding_break_such_a_tie(level, n):
    assert trust([level] * n, level - 5, PRIOR, [level] * 60) == 1


def test_a_learner_whose_returns_scatter_takes_over_sooner_than_one_that_is_surely_worse():
    assert trust(GOOD, RANDOM, PRIOR, [9.0] * 20) == 1
    assert trust(GOOD, RANDOM, PRIOR, [4.0, 14.0] * 10) == 0


@given(priors, st.integers(10, 50), st.integers(1, 99))
def test_a_tie_with_a_clone_that_never_varies_keeps_the_clone(prior, level, n):
    teacher, clone, learner = [level] * 9, [level] * n, [level] * 99
    assert trust(teacher, RANDOM, prior, learner, clone) == 1
    assert trust(teacher, RANDOM, prior, shifted(learner, 1), clone) == 0


def test_one_lucky_episode_puts_the_clone_in_doubt_until_others_show_that_it_was_luck():
    assert trust(GOOD, RANDOM, PRIOR, [5.0]) == 1
    assert trust(GOOD, RANDOM, PRIOR, [25.0]) == 0
    assert trust(GOOD, RANDOM, PRIOR, [25.0] + [0.0] * 12) == 1


@given(good, shown(), st.floats(1e-6, 50))
def test_a_learner_is_given_no_more_credit_than_its_best_return(teacher, returns_shown, less):
    prior, learner, clone = returns_shown
    not_above = bound(teacher + clone, -2) - max(learner) - less
    assert trust(teacher, RANDOM, prior, halves(shifted(learner, not_above), prior), clone) == 1


def test_a_perfect_clone_is_not_given_up_for_a_learner_that_is_nearly_perfect():
    assert trust([200.0] * 10, RANDOM, PRIOR, [200.0] * 40 + [150.0]) == 1


@given(priors, st.lists(st.integers(20, 50), max_size=30))
def test_trust_comes_back_when_the_learner_falls_behind(prior, earlier):
    clone, better = [10.0] * 50, [20.0] * 10 + earlier
    assert trust(GOOD, RANDOM, prior, better, clone) == 0
    assert trust(GOOD, RANDOM, prior, better + [5.0] * (prior + len(better)), clone) == 1


@given(returns, numbers, priors, returns, st.integers(0, 50))
def test_a_teacher_that_is_better_by_a_constant_is_trusted_no_less(teacher, random_return, prior, learner, more):
    better = trust(shifted(teacher, more), random_return, prior, learner)
    assert better >= trust(teacher, random_return, prior, learner)


def test_one_return_far_above_the_others_costs_trust_since_they_then_vary_more():
    assert trust([1.0, 1.0, 1.0], RANDOM, PRIOR) > trust([1.0, 1.0, 100.0], RANDOM, PRIOR)


@given(good, shown(), st.integers(0, 50))
def test_trust_falls_as_the_learner_gets_better_by_a_constant(teacher, returns_shown, more):
    prior, learner, clone = returns_shown
    better = trust(teacher, RANDOM, prior, halves(shifted(learner, more), prior), clone)
    assert better <= trust(teacher, RANDOM, prior, halves(learner, prior), clone)


@given(good, shown(), numbers)
def test_the_earlier_half_of_the_learners_returns_is_of_no_importance(teacher, returns_shown, early):
    prior, learner, clone = returns_shown
    expected = trust(teacher, RANDOM, prior, halves(learner, prior), clone)
    assert trust(teacher, RANDOM, prior, halves(learner, prior, early), clone) == expected


@given(returns, numbers, priors, returns, st.integers(0, 12))
def test_a_larger_prior_is_so_many_more_first_episodes_at_randoms_level(teacher, random_return, prior, learner, more):
    as_random = [random_return] * more + learner
    expected = trust(teacher, random_return, prior, as_random)
    assert trust(teacher, random_return, prior + more, learner) == expected


@given(good, shown(), st.randoms())
def test_the_order_of_returns_within_a_half_is_of_no_importance(teacher, returns_shown, random):
    prior, learner, clone = returns_shown
    learner = shifted(learner, 0.1234)  # so that there is no tie, which rounding would decide
    late, other = (random.sample(values, len(values)) for values in (learner, clone))
    expected = trust(teacher, RANDOM, prior, halves(learner, prior), clone)
    assert trust(teacher, RANDOM, prior, halves(late, prior), other) == expected


@given(returns, numbers, priors, returns, returns, stds, numbers)
def test_adding_a_constant_to_all_returns_changes_nothing(teacher, random_return, prior, learner, clone, std, more):
    learner, random_return = shifted(learner, 0.1234), random_return + 0.4321  # so that there is no tie
    moved = [shifted(each, more) for each in (teacher, learner, clone)]
    before = trust(teacher, random_return, prior, learner, clone, std)
    assert trust(moved[0], random_return + more, prior, *moved[1:], std) == before


@given(returns, numbers, priors, st.tuples(stds, stds))
def test_the_more_chance_there_is_in_random_play_the_less_a_teacher_is_trusted(teacher, random_return, prior, two):
    trusts = [trust(teacher, random_return, prior, random_std=std) for std in sorted(two)]
    assert trusts[0] >= trusts[1]


def followed(draw):
    """In what part of 2,000 cases a teacher is followed whose returns are draw(rng, 10), those of random play."""
    rng = np.random.default_rng(0)
    long = draw(rng, 200_000)
    mean, std = np.mean(long), np.std(long)
    return np.mean([Judge(draw(rng, 10).tolist(), mean, std, 5).beats_random for _ in range(2000)])


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
def test_a_teacher_at_randoms_level_is_followed_in_at_most_one_case_in_thirty(draw):
    assert followed(draw) <= 1 / 30


@pytest.mark.parametrize("name", ["FrozenLake-v1", "CliffWalking-v1", "CartPole-v1", "Pendulum-v1", "MountainCar-v0"])
def test_and_so_is_a_random_policy_in_the_projects_environments(name):
    environment, rng = find_environment(name), np.random.default_rng(0)
    env = environment.make()
    played = [play(env, lambda s: int(rng.integers(env.action_space.n)), seed).total for seed in range(100)]
    assert np.std(played) == pytest.approx(environment.random_std, rel=0.5)
    assert followed(lambda rng, n: rng.choice(played, n)) <= 1 / 30


@given(st.lists(numbers, min_size=2, max_size=12), st.floats(-3, 3))
def test_a_bound_is_so_many_standard_errors_from_the_mean_but_never_above_the_best_return(values, errors):
    mean, standard_error = statistics.fmean(values), statistics.stdev(values) / math.sqrt(len(values))
    assert bound(values, errors) == pytest.approx(min(mean + errors * standard_error, max(values)))


@given(numbers, stds)
def test_of_one_return_the_least_standard_deviation_alone_counts(value, least_std):
    assert bound([value], -2, least_std) == pytest.approx(value - 2 * least_std)
    assert bound([value], 2, least_std) == value


@given(st.lists(numbers, min_size=2, max_size=12), st.floats(0, 0.99), st.floats(1.01, 10))
def test_the_least_standard_deviation_counts_only_where_returns_vary_less(values, part, times):
    std = statistics.stdev(values)
    assert bound(values, -2, part * std) == bound(values, -2)
    below_the_mean = statistics.fmean(values) - bound(values, -2, times * std + 1)
    assert below_the_mean == pytest.approx(2 * (times * std + 1) / math.sqrt(len(values)))


@given(returns, stds)
def test_the_mean_is_between_the_bounds_unless_there_is_no_chance(values, least_std):
    lower, mean, upper = bound(values, -2), np.mean(values), bound(values, 2)
    assert bound(values, -2, least_std + 0.1) < mean
    assert (lower < mean < upper) if len(set(values)) > 1 else (lower == mean == upper)


@given(returns, st.sampled_from([-2, 2]), stds, st.floats(0, 100), numbers)
def test_a_bound_scales_and_shifts_with_its_data(values, errors, least_std, times, more):
    moved = bound([times * value + more for value in values], errors, times * least_std)
    assert moved == pytest.approx(times * bound(values, errors, least_std) + more, abs=1e-6)


@given(st.lists(numbers, min_size=2, max_size=12), st.integers(2, 5))
def test_the_bounds_come_closer_with_the_number_of_returns(values, times):
    assert bound(values, -2, 1.0) < bound(values * times, -2, 1.0)
    assert bound(values * times, 2, 1.0) <= bound(values, 2, 1.0)


def test_of_an_odd_number_of_returns_the_middle_one_is_of_the_later_half():
    assert trust([10.0] * 10, RANDOM, 1, [30.0, 9.0]) == 0


def test_the_chance_in_random_play_counts_for_the_teacher_alone():
    assert trust([200.0] * 10, 22.4, PRIOR, [199.0] * 60, random_std=11.8) == 1
