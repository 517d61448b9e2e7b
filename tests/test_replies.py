"""What a reply says: actions that are meant, negated, mentioned or repeated; thoughts; recorded replies."""

import pytest
from helpers import ROOT, SHIPPED, environment, recorded
from hypothesis import given, settings
from hypothesis import strategies as st

from episodes import read_rollouts
from replies import parse_action

LAKE = environment("FrozenLake-v1")
every = pytest.mark.parametrize("name", SHIPPED)
HARMONY = "<|start|>assistant<|channel|>final<|message|>"
THOUGHTS = [("<think>", "</think>"), ("", "</think>"), ("[THINK]", "[/THINK]"), ("<thinking>", "</thinking>\n")]
THOUGHTS += [("<|channel|>analysis<|message|>", "<|end|>" + HARMONY)]
ANSWERS = ["{}", "Action: {}", " {}\n", "{}<|end|>", '{{"action": {}}}', "{}. That is good.", "<answer>{}</answer>"]


@every
def test_every_action_round_trips_through_a_reply(name):
    actions = environment(name).actions
    for i, word in enumerate(actions):
        for reply in (
            f"{i}",
            f" {i}.\n",
            f"**{i}**",
            f"Action: {i}",
            f"First 3, then 7.\n**Action:** {i}",
            word,
            word.upper(),
            f"I choose to go {word}!",
            f"<think>0? 1? Action: 0</think>{i}",
            f"Action: 0\nNo, wait.\naction: {i}",
            f"<think>hm</think>\n\nAction: {i}",
            f"'{word}'",
            f"Going {actions[0]} is dangerous.</think>\n{i}",
            f"Action: <{i}>",
            f"Action:\n`{i}`",
        ):
            assert parse_action(reply, actions) == i, reply


@pytest.mark.parametrize(("reply", "action"), [
    ("1. Left is a hole.", 1), ("1\n\nRow 2 is next.", 1), ("2\n\n(left would fall into a hole)", 2),
    ("2\nBecause ...", 2),
    ("[THINK]avoid left[/THINK]2", 2), ("<|channel|>analysis<|message|>Action: 0<|end|>" + HARMONY + "2<|return|>", 2),
    ("<think>Action: 0</think>[THINK]1[/THINK]2", 2), ("Action: 1 ... wait. Action: left", 0), ("2</s>", 2),
    ("I do not like action: 1. Action: 2", 2),
    ("Action: 1\nObservation: You are at row 1, column 0.\nAction: 2", 1), ("1\n\nNext turn:\nAction: 2", 1),
    ("2<|im_end|>", 2), ("2<|eot_id|></s>", 2), ('{"action": 2}', 2), ('```json\n{"action": "right"}\n```', 2),
    ('{"reason": "not left", "action": 2}', 2), ('{"action": 2, "reason": "left is a hole"}', 2), ("Answer: 2", 2),
    ("The answer is: 2", 2), ("**Answer is:** 2", 2), ("The action is: right", 2), ("Action is : 2", 2),
    ("The answer is not: 2", None), (r"\boxed{\text{2}}", 2), ("Action: $2$", 2), (r"Action: \(2\)", 2), ("$2$", 2),
    ("The answer is 2.", 2), ("Final answer: **2**", 2), ("Action 2", 2), ("I choose 2", 2), (r"\boxed{2}", 2),
    (r"So it is $\boxed{2}$.", 2), ("<answer>2</answer>", 2), ("<action> right </action>", 2), ("Action：2", 2),
    ("action=2", 2), ("2 (right)", 2), ("2: right", 2), ("2 = right", 2), ("Action: right (2)", 2), ("Move left.", 0),
    ("I will go to the left!", 0), ("Action: move left", 0), ("2 because left is a hole", 2),
    ("2 - right", 2), ("2. Right", 2), ("Action: 2, right", 2), ("Action: right - 2", 2), ("2. Right is safe.", 2),
    ("Action: 2, left is a hole", 2), ("Action: right (left is a hole)", 2), ("Action: left - right is a hole", 0),
    ("2 (right).\nThe goal is at row 3.", 2), ("2 (right, and 3 later)", 2), ("2\nThe action is safe.", 2),
    ("2\nThis answer is the best one.", 2), ("2) right", 2), ("(2) Go right.", 2), ("Action: 2) right", 2),
    ("I pick 2", 2), ("Option 2", 2), ("I would pick option 2.", 2), ("Action number 2", 2), ("0\nThe action is 2.", 2),
    ("My choice: 2", 2), ("Decision: **2**", 2), ('{"move": 2}', 2), ("My choice is right.", 2),
    ("Action number: 2", 2), ("2\nMy decision: towards the goal.", 2), ("2\nThe point of this move: it is safe.", 2),
    ("Action: 2, no holes there", 2), ("Action: 2, no hole or cliff", 2),
    ("Action: 2\nThe answer is clear.", 2), ("1\nThe best action is to go right.", 2),
    ("Action: **2** (right)", 2), ("**2** - right", 2), ("**2**: right", 2), ("Action: `2` (right)", 2),
    (r"\boxed{2} (right)", 2), ("Action: **right** (2)", 2), ('Action: 2 ("right")', 2), ("Best action is 2", 2),
    ("Action: 2\n\nThe opposite action is left, which leads away.", 2), ("Answer: 1\nThis answer is right.", 1),
    ("Action: 2 (right). The other safe action is 1.", 2), ("**Action: 2**\n\nWhy: the only risky move is up.", 2),
    ("There are no holes on the right, so the best action is 2.", 2), ("No hole is there; action: 2", 2),
    ("There is no hole, the best action is 2", 2), ("To avoid the hole, action: 2", 2),
    ("No hole there - action: 2", 2), ("Action: right (action 2)", 2), ("I am moving right", None),
    ("2\nUser: You are at row 0, column 1.\nAction: 1", 2),
    ("2<|im_end|>\n<|im_start|>user\nAction: 1", 2), ("Action: 2\nAlternative action: 3", None), ("Moving right.", 2),
    ("<thought>Maybe action: 0.</thought>\n2", 2), ("<seed:think>Action: 0</seed:think>2", 2),
    ("<reasoning>Action: 0 is a hole.</reasoning>\n\n2", 2), ("<|START_THINKING|>action: 0<|END_THINKING|>2", 2),
    ("# 2", 2), ("> 2", 2), ("- 2", 2), ("Action: ➡️ right", 2), ("“2”", 2), ("{2}", 2), ("| Action | 2 |", 2),
    (r"$\boxed{\text{Action: } 2}$", 2), ("__Action:__ _2_", 2), ("move_right()", 2), ("Action: '2', 'right'", 2),
    ("2<｜end▁of▁sentence｜>", 2), ("2</s><s>[INST] You are at row 1. [/INST] 1", 2), ("1. 2 is a hole.", 1),
    ("## Answer\n\n2", 2), ("assistant\n\n2", 2), ("I am at row 3, so I should go right.\n\n**2**", 2),
    ("I choose:\n2", 2), ("Step right!\n2 = right", 2),
    ("1. Left is a hole.\n2. Up is a wall.\n\n2 (right)", 2), ("```text\n2\n```", 2),
    ("Move right, since left is a hole.", 2), ("I go right because it is safe.", 2), ("Right, as it is nearer", 2),
    ("Move right to avoid the hole.", 2), ("Action: 2 as left is a hole", 2), ("The best action is 2 as it is safe", 2),
    ('{"reason": "not safe to go down", "best action": 2}', 2), ("I am not sure, but the answer is 2.", 2),
    ("If I go left, I fall. Action: 2", 2), ("If it is ice I slip, so action: 2", 2),
    ("Answer: 2\n\n### Instruction:\nGo on.\n\n### Response: 1", 2), ("1. Left is a hole to avoid.", 1),
    ("2\nQuestion: You are at row 0.\nAnswer: 1", 2), ('{"action": "right", "reason": "if I slip"}', 2),
    ("Action: 2\nAction: right", 2), ("Answer: 2\n\nFinal answer: \\boxed{2}", 2),
    ("I should go right.", 2), ("I'd go right", 2), ("You should move right.", 2), ("Let's go right!", 2), ("2。", 2),
    ("Output: 2", 2), ("Response: right", 2), ("The best move to take is 2.", 2), ("2 → right", 2), ("2，右", 2),
    ("Walk right", 2), ("Here is the last line: `Action: 2`", 2), ("2 - a correction to the right", 2),
    ("2 - it is a no-brainer.", 2), ("Action: 2 (down is a hole)", 2), ("Action: 2. Moving right is safe.", 2),
    ("The recommended action is 2.", 2), ("Action: right - 2", 2), ("2 (right) - 1 is a hole", 2),
    ("I'll go right", 2), ("Action: 2 since left is a hole", 2), ("Best action: 2\nThe correct action is 1", 1),
    ("A hole.\n2 because " + "it is safe " * 30, 2), ("A hole.\n2 because " + "it is safe " * 60, None),
    ("Action: 1 (the way to it is blocked by the ice) or up.", None), ("Left is not safe, thus action: 2", 2),
    ("<start>2", None), ("2<eos>1", 2), ("The hole is near, and the answer is 2.", 2), ("Action: 2 ✅", 2),
    ("**Action: 2** 🎯", 2), ("I'll go with 2.", 2), ("I'd go with action **1 (down)**.", 1),
    ("I recommend action 1.", 1),
    ('{"best_action": 3}', 3), ('{"final_answer": 1}', 1), ("Action: 2. However, it is slippery.", 2),
    ("Action: 2\n\nYou are one step from the goal.", 2), ("You are at row 3.\nAction: 2", 2),
    ("Action: 2. So I go right.", 2),
    ("2\n\nYou are safe there, so the answer is 2.", 2), ("Action: 2. However, I may slip up.", 2),
    ("2\n\nHowever, the ice is slippery, so I might go up or down.", 2),
    ("1. The hole is right, so right is unsafe.", 1),
    ("1\n\nThe wall is on the left, so left would waste a move.", 1), ("<answer>2</answer>\nSo left is out.", 2),
    ("Action: 2\n\nDouble-check: up leads to a slip left or right, fine.", 2), ('{"action": 2, "is_final": true}', 2),
    ("Action: 0\n\nThis is better, because right is next to a hole.", 0),
    ('{"action": 2, "why": "However, down is bad"}', 2),
    ("Action: 0 is a wall.\nAction: 1 is a hole.\nAction: 2 is ice.\nFinal answer: 2", 2),
    ("Candidate action: right\n\nStep 3: verify it.\n\nFinal answer: 1", 1),
])  # fmt: skip
def test_what_a_model_means(reply, action):
    assert parse_action(reply, LAKE.actions) == action


@pytest.mark.parametrize("reply", [
    "", "4", "-1", "1.5", "01", "left or right", "You are at row 3", "I move to column 2", "Action: 9", "leftover",
    "<think>1", "٣", "9" * 5000, "Action: " + "1" * 5000, "Action: 1\nAction: 7", "0 1", "Action: 1.5", "left?",
    "<think>left</think>", "Don't move left.", "You should not go up", "I will not go left.", "Action: not 2", "1-2",
    "The answer is not 2.", "Do not choose action: 2", "I'd avoid action: 2. Hm.", "Action: 1 is a bad idea", "1 or 2",
    "Action: 2 or 3", "Action: 2?", "3, 2", "2 m to the right", "0.31 m", "2 down", "1. Go left\n2. Go up",
    "Go left, up", "Either go left", "Action: 2 [cut off]", "2 [cut off]", "[THINK]2",
    "<|channel|>analysis<|message|>Action: 2", "(It answers nothing, but thinks:)\n2",
    "Actions: 0 = left, 1 = down", "Action: left = 1", "<think>So, Action: 2", "[THINK]Action: 2",
    "2\nBecause [cut off]", "2 (right) or 3 (up)", "Action: 2 (right) or 3 (up)", "Answer: 0 (left), 1 (down)",
    "0 = left\n1 = down\n2 = right\n3 = up", "0: left\n1: down", "0 left\n1 down", "0\n1\n2\n3",
    "2) down", "1) Go left\n2) Go up", "1\nThe answer is 2 or 3.", "1\nThe action is 7.", "The action is safe.",
    "(1) left is a hole (2) right is safe", "Action: left, right, or up", "Action: left-right", "Action: right, up",
    "Action: right, no, left", "Action: 2 - no, wait, 3", "2. Actually 3", "Action: right. Sorry, down.",
    "1: move right", "1\nGo right.", "Action: right (action 1)", "2\n\nWait, actually 1 is better.", "2 -> 1",
    "Action: 2\n\nCorrection: 1", "2\n\nOn second thought, 1.", "Best move: right\nWorst move: up",
    "Action: 2\n\nIf the answer is 0, we stay.", "1-step lookahead suggests moving right.", "Action: 2 (or 3)",
    "Action: 2... no, 1", "The worst move is up. Go right.", "**2** (left)", "**0** = left\n**1** = down",
    "<thought>Action: 2", "`0` left\n(`1`) down", "`1`\n`2`",
    "Don't, whatever you do, choose action: 2", "Action: 1. No, wait: the answer is 2", "Action: right (left)",
    "2 (left)", "Action: 2 (left)", "Action: left (1)", "2, left", "Action: right; down",
    "Answer: 3\n\nHmm, that's wrong. It should be 0.", "Answer: 3\nScratch that, 1.", "2.\n\nApologies, I meant 1.",
    "Action: 1. This is wrong. Let me choose 2 instead.", "Action: 1\n\nLet me reconsider. 0 is safer.", "0\n\nNo, 3.",
    "Action: 1\n\nI apologize for the confusion; I choose 2.", "0, I mean 3", "Last action: 3. Now I choose 0",
    "My first thought was action: 3, but 0 is better.", "2\n(down)", "2. It is nearer. Wait, that is a hole.",
    "Action: 2\nThe goal is there. Wait, no: 1", "2 because it is nearer. Actually, 1.",
    "Action: 1 (right, toward the goal)", "2 - wait, that's a hole, so 1.", "Action: right -> down -> down",
    "Action: 2\n2\n1", "Action: 2 (if I slip) or 0 (if not)", "Action: 2, 7", "+1", "Action: 2; 1; 1", "\U00020000",
    "1. The hole is below.\n2. Move right.", "2\nThe goal is near.\n1", "Row 3,\n2", "I go right.\n2 (left)",
    "Action: 0\nAction: 1\nAction: 2\nAction: 3", '{"action": 0}\n{"action": 1}', "Move: left\n\nMove: down",
    "If I slip, action: 2", "When it is ice, the best action is 2", "If I am low the answer is 1; otherwise it is 2.",
    "Example: Action: 2", r"$\boxed{2}$ or $\boxed{1}$", "Action: 1 is safer than Action: 2",
    "I go left or else action: 2", "Action: 3 and action: 2", "Action: 1 (right into the next column)",
    "1 to the right", "The choice is left to me.", "Right, I am at row 0.", "Right to left",
    "(0, 0)", "0,0", "(2, 2). The goal is at (3, 3), so I go down.", "Move to (1, 1).", "Action: go to (2, 2)", "0:0",
    "1, 2 or 3", "Action: left, down or right", "1, 2 and 3 are all safe.", "2, 1 and 1 again", "0 left, 1 down",
    "0,5 m nach rechts", "−1", "Action: −1", "0 -> 1 is safe.", "Action: ≠2", "1. Move right to avoid the hole.",
    "1. The goal is far.\n5. The hole is near.\n\nSo move right.", "Action: 1 (go right along the row)",
    "0: go down first", "Action: right, 7", "Action: left, down and right",
    "2\n\nYou are at row 0, column 1.\n\nAnswer: 0", "Action: 2\n---\nYou are at row 0.\nAction: 1",
    "Turn 1: Action: 2\nTurn 2: Action: 1", "Action: 2 ❌", "Action: 2\n(Next state: row 0)\nAction: 1",
    "Action: 2\n\nThen action: 1",
    "Action: 2\n\nHowever, 0 is safer, so I'd go with 0.", "Action: 2\n\nHmm, that may slip. Better: 0",
    "Action: 2\n\nNo. 0.", "Action: 1\n\nFinal check: 0 is safer.", "1 = down. But the hole is left, so 0.",
    "Action: 0 (left): safe\nAction: 1 (down): a hole\nAction: 2 (right): risky\nAction: 3 (up): a wall",
    "Action: 3, and action: 2",
    '{"action": 2, "alternatives": [{"action": 1}]}', '{"action": 2, "rejected": {"action": 1}}',
    "2. Sorry, 1.", "Action: 2 (Oops: 1)", "One cannot take action: 2", "The other action: 2", "Of action: 2, 1",
])  # fmt: skip
def test_what_names_no_action_or_leaves_it_open_is_invalid(reply):
    assert parse_action(reply, LAKE.actions) is None


@pytest.mark.parametrize(("sentence", "words", "action"), [
    ("I will {} to the right.", "go, move, choose, pick, select, take, push, turn, step, accelerate, apply, head", 2),
    ("{} right!", "going, moving, pushing, accelerating", 2),
    ("I pick the {} right", "action, option, cart, car, paddle", 2),
    ("The {} answer is 2", "best, safest, correct, right, optimal, final", 2), ("2\nThe {} move is down.", "next", 2),
    ("A {} action: 2", "wrong, bad, unsafe, worst, dangerous, risky, backup, previous, second, following, last", None),
    ("I {} action: 2", "avoid, never take, cannot, go left instead of, go left rather than take, later take", None),
    ("2\n## {}: row 0\nAction: 1", "Human, User, Observation, Question, Input, Instruction, New state", 2),
    ("I go left, and {} action: 2", "after that", None), ("1 (right {} the goal)", "to, toward, towards, along", None),
    ("That is no hole, {} action: 2", "the, my", 2),
    ("Left is not safe {} my action: 2", "so, thus, hence, therefore", 2), ("2. That is {}.", "wrong, incorrect", None),
    ("2\nOn {}, 1", "reflection, second thought", None),
    ("2\nNext {}:\nAction: 1", "turn, step, move, state, position", 2),
    ("2<{}>\nAction: 1", "eos, end_of_turn, /s, |im_end|, |eot_id|, |endoftext|", 2),
    ("Action: 2\n\n{}: 0", "Better, Edit, No", None), ("Action: 2. 0 {} safer", "is, seems, looks, would be", None),
    ("Action: 2\n{} 1: Action: 1", "You, Turn, Next", None), ("Action: 2. 0 is {}.", "safer, better, best", None),
    ('{{"{}_action": 2, "why": "left is a hole"}}', "best, chosen, final, my, selected", 2),
    ('{{"action": 2, "{}_action": 1}}', "previous, last, alternative, worst, fallback, rejected, next", 2),
    ("{}Action: 1", "<|channel|>, <|START_THINKING|>, [THINK], <think>", None),
    ("I would{} choose action: 2", "n't, n’t", None), ("{} is 2", "answer, choice, decision, move", 2),
    ("{}: 2", "Final, **Final**, Answer, Action, Move", 2), ("{} action: 2", "Otherwise, When safe", None),
    ("Action: 2. That {} a mistake.", "is, was", None), ("Action: 2. {}.", "Let me reconsider, That was wrong", None),
    ("Action: 2. So go left{} It is safer", "\n, ., !", None), ("The {} action: 2", "opposite, rejected", None),
    ("As a {}: action: 2", "first thought, backup", None),
    ("Action: 1{}2", "<|channel|>final<|message|>, <|END_THINKING|>, [/THINK], </think>", 2),
])  # fmt: skip
def test_each_word_means_what_it_means(sentence, words, action):
    for word in words.split(", "):
        assert parse_action(sentence.format(word), LAKE.actions) == action, word


@pytest.mark.parametrize("reply", ["Action: don't accelerate", "Don’t accelerate (1)"])
def test_a_word_that_is_a_negation_is_one_in_short_too(reply):
    assert parse_action(reply, environment("MountainCar-v0").actions) == 1


@every
def test_recorded_replies_name_the_action_that_was_taken(name):
    for path in (ROOT / "rollouts").glob(f"**/{name}.jsonl"):
        for episode in read_rollouts(path, name, environment(name).make())[1]:
            assert [parse_action(reply, environment(name).actions) for reply in episode.replies] == [*episode.actions]


LONG = ["i ", "move: ", "action is go ", "choice: (", "Action: 2, ", "2\n", "(", "action: ", "<|\n", "*\n", ".\n"]
LONG += ["no torque\n", "go no torque, "]  # a word, and its last word
LONG += ["i'll \n*2 ", "2 (no torque) ... \n*", "(2 "]  # lines that may be the last; a bracket that never ends


@pytest.mark.parametrize("part", LONG)
def test_a_long_reply_is_read_like_a_short_one(part):  # at once: were its time the length squared, it were minutes
    actions = environment("Pendulum-v1").actions
    for begun, end in ("", ""), ("", "?"), ("2) ", ""), ("Action: ", "\n1"), ("x:\n", "!z"):
        assert parse_action(begun + part * 20_000 + end, actions) == parse_action(begun + part * 20 + end, actions)


def test_the_words_of_an_action_are_words_and_no_pattern():
    actions = ("fold", "raise (all in)", "bet 1.5", "bet 1x5", "c++")
    for i, word in enumerate(actions):
        assert parse_action(f"Action: {word}", actions) == i == parse_action(f"{word}.", actions)


def test_to_wait_is_no_second_thought():
    actions = environment("RepresentedPong-v0").actions
    for reply in "0\n\nThe ball is not in play, so I wait.", "0\nWait for the ball.", "Action: stay (and wait)":
        assert parse_action(reply, actions) == 0
    assert parse_action("0\n\nHmm, wait, 1 is better.", actions) is None


@pytest.mark.parametrize("actions", [("torque -1", "no torque", "torque +1"), ("-1", "+1"), ("x: -1", "x: 0", "x: +1")])
def test_signs_belong_to_a_name(actions):
    for i, word in enumerate(actions):
        for reply in str(i), f"Action: {i}", word, f"Action: {word}", f"{i} ({word})":
            assert parse_action(reply, actions) == i, reply


def test_a_longer_name_does_not_name_a_shorter_one():
    actions = environment("Pendulum-v1").actions
    for spelling in "counter-clockwise", "counterclockwise", "Counter clockwise":
        assert parse_action(f"torque 2 {spelling}", actions) == parse_action(f"4 (torque 2 {spelling})", actions) == 4
        assert parse_action(f"Action: 2 (torque 2 {spelling})", actions) is None
        assert parse_action(f"Action: 1 ({spelling})", actions) is None and parse_action(f"3: {spelling}", actions) == 3
    assert parse_action("clockwise", actions) is None
    assert parse_action("Move left up.", ("left", "left up")) == 1
    assert parse_action("Do not accelerate.", environment("MountainCar-v0").actions) == 1


@settings(max_examples=200)
@given(st.sampled_from(SHIPPED), st.booleans(), st.integers(0, 9), st.integers(0, 200), st.data())
def test_a_reply_that_repeats_what_it_was_told_is_invalid(name, reasoning, episode, t, data):
    known, observations = environment(name, reasoning), recorded(name)[1][episode].observations
    sentence = known.describe(observations[t % len(observations)])
    told = [f"{known.rules}\n\n{sentence}", known.rules, sentence, *known.rules.split("\n")]
    told += [sentence.partition(". ")[2], sentence.lower(), f"{sentence} What do I do?", f"> {sentence}"]
    assert parse_action(data.draw(st.sampled_from(told)), known.actions) is None


NEGATED = ["Don't {}", "do not {}.", "You should not go {}", "Never {}!", "I will not choose {}.", "not {}", "Avoid {}"]
NEGATED += ["The answer is not {}", "Action: not {}", "It is wrong to answer: {}", "I would rather not take action: {}"]
MENTIONED = ["{} is a bad idea", "Is it {}?", "If I take {} now", "After {} comes the goal.", "Why not {}?"]
MENTIONED += ["<think>Action: {}</think>", "<think>{}", "[THINK]{}[/THINK]\nHm.", "Action: {}\nNo. Action: unclear"]
MENTIONED += ["Let me think about {}.", "The action {} may be good", "{} [cut off]", "Action: {} [cut off]"]
MENTIONED += ["{} or wait", "Answer: {0} leads to a hole, so avoid action: {0}"]


@settings(max_examples=200)
@given(st.sampled_from(SHIPPED), st.sampled_from(NEGATED + MENTIONED), st.sampled_from(["{}", "**{}**"]), st.data())
def test_a_negated_action_or_a_mere_mention_is_invalid(name, sentence, dress, data):
    actions = environment(name).actions
    action = data.draw(st.integers(0, len(actions) - 1))
    said = data.draw(st.sampled_from([str(action), actions[action], actions[action].upper()]))
    assert parse_action(sentence.format(dress.format(said)), actions) is None


@given(st.sampled_from(SHIPPED), st.text(), st.sampled_from(ANSWERS), st.data())
def test_no_thought_decides(name, thought, answer, data):
    actions, (opened, closed) = environment(name).actions, data.draw(st.sampled_from(THOUGHTS))
    action = data.draw(st.integers(0, len(actions) - 1))
    thoughts = [thought, f"Action: {(action + 1) % len(actions)}", actions[0], f"{thought} <answer>0</answer>"]
    reply = opened + data.draw(st.sampled_from(thoughts)) + closed + answer.format(action)
    assert parse_action(reply, actions) == action


words = st.sampled_from(["left", "up", "no torque", "action", "Action:", "<think>", "</think>", "0", "12", "**", "\n"])


@given(st.text() | st.lists(words).map("".join) | st.lists(words).map(" ".join), st.sampled_from(SHIPPED))
def test_the_parser_returns_an_action_or_none_for_any_text(reply, name):
    actions = environment(name).actions
    action = parse_action(reply, actions)
    assert action is None or (type(action) is int and 0 <= action < len(actions))


@given(st.text(st.characters(exclude_characters="0123456789<>"), max_size=50), st.integers(0, 3))
def test_a_number_in_a_sentence_is_not_an_action(text, number):
    assert parse_action(f"a{text} row {number} b", LAKE.actions) == parse_action(f"a{text} row  b", LAKE.actions)
