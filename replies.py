"""Reply -> action: the number of the action that a language model means.

    parse_action("**Action:** right", ("left", "right")) -> 1
    parse_action("I would not go right.", ("left", "right")) -> None

In a reply, what names an action becomes a symbol in capitals (`in_symbols`). So the patterns are the same for all
environments. They stand in the order of `parse_action`'s five steps."""

import re

from llm_client import CUT_OFF

# 1. What is no answer: thoughts before it, a game that is played on after it; and what dresses a word, such as **2**
THOUGHT = r"(?:\w+:)?(?:think\w*|thoughts?|reasoning)>"
THOUGHT_ENDS = rf"</{THOUGHT}|<\|end_thinking\|>|\[/think\]|<\|channel\|>final<\|message\|>"
THOUGHT_BEGINS = rf"<{THOUGHT}|<\|start_thinking\|>|\[think\]|<\|channel\|>"  # one without an end
NEXT = "(?:next|new) (?:turn|step|move|state|position)"
PLAYS_ON = rf"\n[#* ]*(?:human|user|observation|question|input|instruction|{NEXT})\W*[:\n]"
ANSWER_ENDS = rf"{THOUGHT_BEGINS}|<\|(?:im_end|eot_id|endoftext)\|>|</s>|<eos>|<end_of_turn>|{PLAYS_ON}"
LEFT_OVER = r"<[|｜][^|｜]*[|｜]>"  # by a chat template
DRESS = r"</\w+>|\\\w+|(?<![a-z])_|_(?![a-z])|[\"*`$\\\[\]{}<>]|(?<!\w)'|'(?!\w)"

# 2. A mark, such as "Action:"; what is STATED is one only if an action follows, as in "The answer is 2"
SYMBOL = r"[NWL][NWL\d]*"
VERBS = "go|move|choose|pick|select|take|push|turn|step|accelerate|apply|walk|head|going|moving|pushing|accelerating"
WISH = "i|i['’]ll|i['’]d|(?:you )?should|let['’]s|will|would|recommend"
FILLERS = rf"(?:(?:{WISH}|{VERBS}|action|option|number|cart|car|paddle|to|with|the)\W+){{0,9}}"
NOUN = r"(?:action|answer|choice|decision|move|output|response)(?: number| to take)?\s*"
PRAISED = rf"(?:the|my|best|safest|correct|optimal|final|recommended|{SYMBOL})"  # "right", too, is a symbol
STATED = rf"(?:\b{NOUN}[:：]|(?:(?m:^)|(?:, and )?\b{PRAISED}\s+){NOUN}\bis\b)(?=\W*{FILLERS}(?:{SYMBOL}|\d))"
MARK = rf"\b(?:(?:best|chosen|final|my|selected)_)?(?:action|answer|final)\s*(?:is\s*)?[:：=]|{STATED}"

# 3. What takes a mark back, before it in the same sentence or clause: "If I slip, action: 2", "Avoid action: 2"
SENTENCE_ENDS = r"[.!?;\n]|\b(?:but|so|thus|hence|therefore)\b"
CONDITION = r"\b(?:if|when|else|otherwise)\b"
CLAUSE_ENDS = r",(?=\s*(?:the|my|i)\b)|[,→–—(-](?=\s{0,9}$)"
REJECTED = "not|never|no|avoid|cannot|instead of|rather than|wrong|worst|bad|unsafe|dangerous|risky|opposite|rejected"
UNDECIDED = "alternatives?|other|previous|last(?! line)|backup|first thought|second|following|after that|later|example"
NEGATION = rf"(?:n['’]t|\b(?:{REJECTED}|{UNDECIDED}))\b|\b(?:than|or|and)\s*$"

# 4. An action: a number, but none of "(0, 0)", or a word; then perhaps more symbols of the same; and where it may stand
MORE = r"(?:[WL]\d+)*\b"  # the rest of a symbol
LIKE = rf"(?=\w*[NWL]\1(?!\d)){SYMBOL}\b"  # a symbol of the same action: \1 is NAMED's
NAMED = rf"\W*{FILLERS}(?!N\d+\s*[,:–—-]\s*[N\d])[NW](\d+){MORE}(?:[\s=:().,;→–—-]+{FILLERS}{LIKE})*"
FIRST = r"\W*(?=N)(?!N[\s\S]*\n[^\w\n]*(?:N|\d[.:)] ))"  # a number, but no list of them
ENDING = r"(?=[\s\S]{0,500}\Z)"  # so far from the end a last line may begin; without a bound a loop takes time squared
LAST_LINE = rf"(?:(?!\W*N\d+\W*\n)[\s\S]*[a-z.!:]\s*\n(?=\W{{0,40}}N\d+(?![.)])){ENDING})?"  # after a sentence, if any
WHY = "because|since|as"
END = rf"(?:[\s)]*(?=[.,;:!–—(。，（]|-(?!\w)|(?:{WHY})\b)|[^\w\n?❌✗👎]*(?m:$))"  # of its line, or a reason
LINE = r"[^\w\n]*\n\W*"  # the end of one
PLAYS_A_TURN = rf"{LINE}(?:(?:you|turn|next)\b|then\s*\Z)"  # that it makes up
ALONE = rf"(?:[^\w?]*\Z|,? (?:{WHY}|to)\b)"  # in the whole reply, but for a reason

# 5. What leaves it open: another action, "2 or 3", but not as in "2, left is a hole"; a second thought, "Wait, 3"
IN_A_ROW = rf"N\d+ W|(?:{SYMBOL}|\d+)\b(?! (?!(?:or|and|{VERBS})\b)\w)"  # 0 left, 1 down; 2, 3
UNLIKE = r"(?!\w*[NWL]\1(?!\d))[NWL]\w*"  # a symbol of another action than NAMED's
URGED = rf"(?:{VERBS})\W+{FILLERS}{UNLIKE}|{UNLIKE} (?:to|towards?|into|along)\b"  # 1. Go right; 1 (right to it)
NO_OTHER = rf"(?!(?:\([^)\n]{{0,200}}\))?\W*(?:or\b|{URGED}|{FILLERS}(?:{IN_A_ROW})))"
WRONG = r"th(?:at|is)(?:['’]s| is| was) (?:wrong|incorrect|a mistake)|scratch that"
DOUBT = "actually|let me reconsider|on (?:second thought|reflection)"
REGRET = rf"{DOUBT}|i mean|correction(?=[:,])|oops|sorry|apologies|i apologi[sz]e|{WRONG}"
SECOND_THOUGHT = rf"\b(?:(?:wait|no)(?:[,!:—–]|-(?!\w))|(?:{REGRET})\b)"
ANEW = rf"(?:[\n.!?]\W{{0,9}}(?:better|edit|no)[.:]|\bso\b)\W*{FILLERS}{UNLIKE}(?=[^\w\n]*(?:\n|\Z)|[.!])"
CHANGE = rf"{ANEW}|\b{UNLIKE}\W+(?:is|seems|looks|would be) (?:safer|better|best)\b"


def parse_action(reply, actions):
    """The number of the action that `reply` names, or None if it names none or leaves it open.

    Thoughts before an answer do not count, nor does what a model plays on after it. The action stands behind the last
    mark, such as `Action: 2`, `The answer is 2`, {"action": 2}, \\boxed{2} or <answer>2</answer>; without one, it is a
    number at the beginning or in the last line, or all of the reply, such as "Move left." There the line ends, or a
    reason follows. A mention, a negation, a second thought, or an answer that is cut off names none."""
    # 1. What was answered, in symbols
    answer = re.split(THOUGHT_ENDS, reply.lower())[-1].strip()
    answer = re.sub(LEFT_OVER, "", re.split(ANSWER_ENDS, answer)[0]).strip()
    text = in_symbols(answer, [word.lower() for word in actions])

    # 2. What stands before and behind the last mark
    *before, said = re.split(MARK, text)

    # 3. Is it taken back?
    sentence = re.split(SENTENCE_ENDS, before[-1])[-1] if before else ""
    clause = re.split(CLAUSE_ENDS, sentence)[-1]
    if answer.endswith(CUT_OFF) or re.search(CONDITION, sentence) or re.search(NEGATION, clause):
        return None

    # 4. The action
    if before:
        found = re.match(NAMED + END + NO_OTHER, said)
    else:
        found = re.match(FIRST + NAMED + END + NO_OTHER, said) or re.match(LAST_LINE + NAMED + ALONE + NO_OTHER, said)
    if not found:
        return None

    # 5. Is it left open?
    listed = {other[1] for part in before[1:] if (other := re.fullmatch(NAMED + LINE, part))}  # line by line
    played = {other[1] for part in before if (other := re.match(NAMED + PLAYS_A_TURN, part))}
    marked = [other[1] for part in (*before[1:], said) if (other := re.match(NAMED, part))]
    all_in_a_row = len(actions) > 2 and marked == [str(i) for i in range(len(actions))]
    second_thought = re.search(rf"{SECOND_THOUGHT}|{CHANGE}".replace(r"\1", found[1]), said[found.end() :])
    is_open = (listed | played) - {found[1]} or all_in_a_row or second_thought
    return None if is_open else int(found[1])


def names_none(recorded, actions):
    """Does a recorded reply, or a list of votes, name no action? Then a random one stood in."""
    votes = recorded if isinstance(recorded, list) else [recorded]
    return all(parse_action(vote, actions) is None for vote in votes)


def in_symbols(text, words):
    """`text`, in small letters, with symbols in capitals for what names an action: N2 for the number of action 2, W2
    for its word, L2 for the last word of that. "**2** (right)" becomes "N2 (W2L2)", but for spaces: "right" is both."""
    last_words = [word if re.search(NEGATION, word) else word.split()[-1] for word in words]  # all of "no torque"
    symbols = {str(i): f"N{i}" for i in range(len(words))}
    for kind, forms in ("W", words), ("L", last_words):
        for i, form in enumerate(forms):
            symbols[form] = symbols.get(form, "") + f"{kind}{i}"  # "clockwise" ends two of Pendulum's: L0L1
    hyphened = [form for form in symbols if "-" in form]
    symbols |= {re.sub(r"\b-\b", gap, form): symbols[form] for form in hyphened for gap in ("", *" ‐‑–")}
    longest_first = "|".join(map(re.escape, sorted(symbols, key=len, reverse=True)))
    text = re.sub("don['’]t", "do not", text)
    whole = rf"(?<![^\W_])(?<![.+−≠-])(?:{longest_first})(?![^\W_]|\.\d)"  # no part of a longer word, of 1.5 or of -1
    text = re.sub(whole, lambda match: symbols[match[0]], text)
    text = re.sub(r"\\boxed\{|<(?:answer|action)>", "answer: ", text.replace('",', ";"))  # JSON's commas end a clause
    return re.sub(DRESS, " ", text)
