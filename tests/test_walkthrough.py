"""Every number of docs/walkthrough.md is what the code beside it prints."""

import doctest

from helpers import ROOT


def test_the_page_prints_what_it_says(monkeypatch):
    monkeypatch.chdir(ROOT)
    page = (ROOT / "docs/walkthrough.md").read_text().replace("```python", "").replace("```", "")
    examples = doctest.DocTestParser().get_doctest(page, {}, "walkthrough", None, 0)
    wrong = []
    doctest.DocTestRunner().run(examples, out=wrong.append)
    assert len(examples.examples) > 60 and not wrong, "".join(wrong)
