"""The file of triggers: what ships loads, and what is wrong is said with its line."""

from pathlib import Path

import pytest

from forestay.core.errors import ConfigurationError
from forestay.core.units import DAY, HOUR, MINUTE
from forestay.lined_yaml import MAX_BYTES
from forestay.trigger_file import DEFAULT_TRIGGERS, load_triggers

GOOD = """\
triggers:
  # a comment
  - name: cart
    when: add_to_cart
    unless: [begin_checkout, purchase]
    after: 1h
"""


def complaint(folder: Path, text: str | bytes) -> list[str]:
    """The lines of the error, the file's path cut off."""
    path = folder / "triggers.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(ConfigurationError) as error:
        load_triggers(path)
    return str(error.value).replace(str(path), "FILE").splitlines()


def test_the_shipped_triggers() -> None:
    found = {
        trigger.name: (trigger.when, trigger.count, trigger.within, trigger.same, trigger.unless, trigger.after)
        for trigger in load_triggers(DEFAULT_TRIGGERS).triggers
    }
    assert found == {
        "abandoned_cart": (("add_to_cart",), 1, None, None, ("begin_checkout", "purchase"), HOUR),
        "abandoned_checkout": (("begin_checkout",), 1, None, None, ("purchase",), 30 * MINUTE),
        "viewed_not_bought": (("view_item",), 3, 7 * DAY, "item", ("purchase",), DAY),
    }
    assert {trigger.again_after for trigger in load_triggers(DEFAULT_TRIGGERS).triggers} == {DAY}


def test_the_example_of_the_documentation_loads(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "triggers.md").read_text()
    path = tmp_path / "triggers.yaml"
    path.write_text(text.split("```yaml\n")[1].split("```")[0])
    assert [trigger.name for trigger in load_triggers(path).triggers] == ["abandoned_cart", "viewed_not_bought"]


def test_no_triggers_is_a_choice_that_must_be_written(tmp_path: Path) -> None:
    path = tmp_path / "triggers.yaml"
    path.write_text("triggers: []\n")
    assert load_triggers(path).triggers == ()
    assert complaint(tmp_path, "")[0].startswith("FILE:1: triggers: ")


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ("    after: 1 hour", "FILE:7: triggers.1.after: "),
        ("    after: 1h\n    befor: 2", "FILE:8: triggers.1.befor: "),
        ("    after: 1h\n    when:\n      - page_view\n      - pay", "FILE:10: triggers.1.when.1: "),
        ("    count: 3", "FILE:6: triggers.1.after: Field required"),
        ("    after: 1h\n    count: 3", "FILE:6: triggers.1: "),
        ("    after: 1h\n    after: 2h", "FILE:8: after stands here twice"),
        ("    after: [1h", "FILE:8: "),
    ],
)
def test_an_error_names_its_line(tmp_path: Path, wrong: str, expected: str) -> None:
    text = "triggers:\n" + GOOD.partition("comment\n")[2]
    when = "" if "when:" in wrong else "    when: view_item\n"
    second = f"  - name: viewed\n{wrong}\n{when}"
    lines = complaint(tmp_path, text + second)
    assert [line for line in lines if line.startswith(expected)], lines


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("add_to_cart", "add_to_crt", "FILE:4: triggers.0.when.0: 'add_to_crt' is no event; is add_to_cart meant?"),
        ("add_to_cart", "x", "FILE:4: triggers.0.when.0: 'x' is no event; there are "),
        ("unless:", "unles:", "FILE:5: triggers.0.unles: there is no such part; is unless meant?"),
        ("triggers:", "trigers:", "FILE:1: trigers: there is no such part; is triggers meant?"),
        ("1h", "soon", "FILE:6: triggers.0.after: a duration is "),
    ],
)
def test_what_is_misspelt_is_told_with_what_is_meant(tmp_path: Path, old: str, new: str, said: str) -> None:
    lines = complaint(tmp_path, GOOD.replace(old, new))
    assert [line for line in lines if line.startswith(said)], lines


def test_each_error_has_a_line_of_its_own(tmp_path: Path) -> None:
    lines = complaint(tmp_path, GOOD.replace("1h", "soon").replace("add_to_cart", "carted"))
    assert [line[:7] for line in lines] == ["FILE:4:", "FILE:6:"]


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xfe\x00",
        b"\xc3\x28",
        b"[" * 5_000,
        b"triggers: !!python/object/apply:os.system [ls]",
        b"triggers: &a [*a]",
        b"a: &a [x]\nb: &b [*a, *a]\ntriggers: [*b, *b]",
        b"triggers: 2026-13-01",
        b"? [triggers]\n: 1",
        b"- 1\n--- \n- 2",
        b"just a text",
        b"\x00",
    ],
)
def test_what_is_no_file_of_triggers_is_refused_with_its_name(tmp_path: Path, data: bytes) -> None:
    assert all("FILE" in line for line in complaint(tmp_path, data)[:1])


def test_a_file_that_is_missing_or_huge_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"absent\.yaml cannot be read: No such file"):
        load_triggers(tmp_path / "absent.yaml")
    assert "more than" in complaint(tmp_path, GOOD + "#" * MAX_BYTES)[0]
