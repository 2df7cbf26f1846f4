"""What a mapping file can say, and how it is told where it is wrong."""

import copy
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forestay.adapters.adapter import Adapter, Mapped, Skipped
from forestay.adapters.loading import MAX_BYTES, load_mapping, load_profile, parse_mapping, profile_names
from forestay.adapters.paths import compile_path, references
from forestay.adapters.records import decode_object, with_headers
from forestay.core.errors import ConfigurationError, DeadLetter

HEAD = "name: shop\ndescription: d\n"
REQUIRED = "  event_id: id\n  user_id: user\n  ts: {path: at, time: rfc3339}\n"
EVENT = "  event: {constant: view_item}\n"
RECORD = {"id": "e", "user": "u", "at": "2026-01-01T00:00:00Z"}


def adapter(fields: str = "", *, event: str = EVENT, before: str = "") -> Adapter:
    return Adapter(parse_mapping(f"{HEAD}{before}fields:\n{REQUIRED}{event}{fields}", "the mapping"))


def result(fields: str, record: dict[str, Any], **parts: str) -> dict[str, Any]:
    outcome = adapter(fields, **parts).map(RECORD | record)
    assert isinstance(outcome, Mapped), outcome
    return outcome.event.model_dump(mode="json", exclude_defaults=True)


def failure(fields: str, record: dict[str, Any], **parts: str) -> str:
    with pytest.raises(DeadLetter) as caught:
        adapter(fields, **parts).map(RECORD | record)
    return f"{caught.value.code}: {caught.value}"


# -- where values come from ------------------------------------------------------------------------------


def test_the_first_path_that_is_not_missing_counts() -> None:
    fields = '  item_id: [a.b, "\\"the id\\"", c]\n'
    assert result(fields, {"a": {"b": " "}, "the id": "x", "c": "y"})["item_id"] == "x"
    assert result(fields, {"a": 5, "c": 7})["item_id"] == "7"
    assert "item_id" not in result(fields, {})


def test_a_template_with_a_value_missing_has_none() -> None:
    fields = '  session_id: {template: "{a}-{b.c}"}\n'
    assert result(fields, {"a": 1, "b": {"c": "x"}})["session_id"] == "1-x"
    assert "session_id" not in result(fields, {"a": 1})


def test_a_hash_depends_on_every_named_value_and_on_the_mapping_alone() -> None:
    fields = "  order_id: {hash: [a, b]}\n"
    names = [
        result(fields, record)["order_id"] for record in ({"a": 1}, {"b": 1}, {"a": "1"}, {"a": {"x": 1, "y": 2}})
    ]
    assert len(set(names)) == 4
    assert result(fields, {"a": {"y": 2, "x": 1}, "other": 1})["order_id"] == names[3]
    assert names[0] == blake2b(b'["shop",1,null]', digest_size=16).hexdigest()


def test_a_category_is_joined_or_split_to_a_path() -> None:
    assert (
        result("  category: {join: [a, b, c]}\n", {"a": "Mens", "b": None, "c": "Shoes"})["category"] == "Mens/Shoes"
    )
    assert result('  category: {path: a, split: ">"}\n', {"a": "Mens > Shoes >"})["category"] == "Mens/Shoes"


def test_values_are_translated_kept_left_out_or_refused() -> None:
    values = "  channel: {path: c, values: {e: email, x: null}%s}\n"
    assert result(values % "", {"c": "e"})["channel"] == "email"
    assert "channel" not in result(values % "", {"c": "x"})
    assert result(values % "", {"c": "z"})["channel"] == "z"
    assert "channel" not in result(values % ", otherwise: leave_out", {"c": "z"})
    assert failure(values % ", otherwise: fail", {"c": "z"}).startswith("mapping: channel:")
    assert adapter(values % ", otherwise: skip").map(RECORD | {"c": "z"}) == Skipped("channel 'z' is not mapped")


def test_an_event_of_another_name_is_skipped_by_name() -> None:
    shop = adapter(event="  event: {path: e, values: {seen: view_item}}\n")
    assert shop.map(RECORD | {"e": "scrolled"}) == Skipped("event 'scrolled' is not mapped")


def test_what_is_no_event_is_skipped_though_the_rest_is_missing() -> None:
    shop = adapter(event="  event: {path: e, values: {seen: view_item}}\n")
    assert shop.map({"e": "scrolled"}) == Skipped("event 'scrolled' is not mapped")


def test_texts_that_mean_none_are_missing_everywhere_or_in_one_place() -> None:
    fields = '  brand: b\n  quantity: {path: q, missing: ["0"]}\n'
    assert (
        result(fields, {"b": "(not set)", "q": 0}, before='missing: ["(not set)"]\n')
        .keys()
        .isdisjoint({"brand", "quantity"})
    )


def test_pairs_are_read_as_an_object() -> None:
    before = "pairs: {params: {key: k, value: [v.s, v.i]}}\n"
    record = {"params": [{"k": "a", "v": {"s": None, "i": "7"}}, {"k": "b", "v": {"s": ""}}, {"k": 1}, "x"]}
    assert result("  session_id: params.a\n  query: params.b\n", record, before=before)["session_id"] == "7"


def test_a_defined_name_is_the_first_of_several_places() -> None:
    before = "define: {where: [a, b]}\nrules: [{when: where == 'x', skip: no x}]\n"
    assert adapter(before=before).map(RECORD | {"b": "x"}) == Skipped("no x")
    assert isinstance(adapter(before=before).map(RECORD | {"a": "y", "b": "x"}), Mapped)


def test_the_first_rule_that_holds_applies_over_the_common_fields() -> None:
    before = (
        "rules:\n"
        "  - when: kind == 'buy'\n    fields: {event: {constant: purchase}, order_id: order, brand: null}\n"
        "  - when: kind == 'buy'\n    skip: never comes\n"
        "  - when: to_number(size) > `3`\n    skip: too large\n"
    )
    bought = result("  brand: b\n", {"kind": "buy", "order": 5, "b": "x"}, before=before)
    assert (bought["event"], bought["order_id"], "brand" in bought) == ("purchase", "5", False)
    assert adapter(before=before).map(RECORD | {"size": "4"}) == Skipped("too large")
    assert result("  brand: b\n", {"b": "x"}, before=before)["brand"] == "x"


# -- items -----------------------------------------------------------------------------------------------


ITEMS = "  items: {each: [lines, cart.lines], item_id: sku, price: p, quantity: n}\n  price: total\n  item_id: sku\n"


def test_items_replace_the_fields_of_one_item() -> None:
    made = result(
        ITEMS, {"cart": {"lines": [{"sku": 1, "p": "2.5", "n": "3"}, {"sku": "b"}]}, "total": 9, "sku": "z"}
    )
    assert made["items"] == [{"item_id": "1", "price": 2.5, "quantity": 3}, {"item_id": "b"}]
    assert "price" not in made
    assert "item_id" not in made


def test_without_items_the_fields_of_one_item_count() -> None:
    assert result(ITEMS, {"lines": [], "total": 9})["price"] == 9


def test_one_object_is_a_list_of_one() -> None:
    assert result(ITEMS, {"lines": {"sku": "a"}})["items"] == [{"item_id": "a"}]


def test_an_item_that_cannot_be_read_is_named_by_its_place() -> None:
    assert failure(ITEMS, {"lines": [{"sku": "a"}, {"sku": "b", "p": "x"}]}) == (
        "mapping: items.1.price: is not a number"
    )
    assert failure(ITEMS, {"lines": ["a"]}) == "mapping: items: is not a list of objects"


def test_more_items_than_the_contract_takes_fail() -> None:
    assert failure(ITEMS, {"lines": [{"sku": str(n)} for n in range(201)]}).startswith("contract: items:")


# -- the rest of the event -------------------------------------------------------------------------------


def test_an_anonymous_id_that_is_the_users_says_nothing() -> None:
    assert "anonymous_id" not in result("  anonymous_id: a\n", {"a": "u"})
    assert result("  anonymous_id: a\n", {"a": "v"})["anonymous_id"] == "v"


def test_a_required_value_that_is_missing_fails_and_no_value_is_told() -> None:
    assert failure("", {"user": ""}) == "mapping: user_id: the record holds none"
    told = failure("", {"at": "secret"})
    assert told == "mapping: ts: is not a time written as rfc3339"


def test_a_long_label_is_cut_and_a_long_id_fails() -> None:
    assert len(result("  item_name: n\n", {"n": "x" * 5_000})["item_name"]) == 1_000
    assert failure("", {"user": "u" * 201}).startswith("contract: user_id:")


def test_properties_keep_their_type() -> None:
    fields = "  properties: {colour: c, tags: t}\n"
    assert result(fields, {"c": 5, "t": ["a"], "other": 1})["properties"] == {"colour": 5, "tags": ["a"]}


def test_headers_are_found_by_their_names_in_lower_case() -> None:
    record = with_headers(RECORD | {"_headers": {"x": "1"}}, [("X-Kind", b"a"), ("x-kind", b"b"), ("y", None)])
    assert record["_headers"] == {"x-kind": "b"}
    assert with_headers(RECORD, []) is RECORD


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (b"{", "not_json"),
        (b"\xff", "not_json"),
        (b'{"a": NaN}', "not_json"),
        (b"[" * 100_000, "not_json"),
        (b"[1]", "not_object"),
        (b"null", "not_object"),
        (b" " * 1_048_577, "too_large"),
    ],
)
def test_values_that_are_no_object(value: bytes, code: str) -> None:
    with pytest.raises(DeadLetter) as caught:
        decode_object(value)
    assert caught.value.code == code


# -- paths -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("expression", ["a", "a.b", 'a."b c".d'])
@pytest.mark.parametrize("record", [{}, {"a": None}, {"a": [1]}, {"a": {"b": 1, "b c": {"d": 2}}}, {"a": "x"}])
def test_the_short_cut_gives_what_jmespath_gives(expression: str, record: dict[str, Any]) -> None:
    assert compile_path(expression)(record) == compile_path(f"[{expression}] | [0]")(record)


@pytest.mark.parametrize(
    ("expression", "places"),
    [
        ("a.b", {("a", "b")}),
        ("a[0].b", {("a", "b")}),
        ("a[-1].b.c", {("a", "b", "c")}),
        ("a[?b == 'x'].c.d | [0]", {("a", "b"), ("a", "c", "d")}),
        ("a || b.c", {("a",), ("b", "c")}),
        ("contains(['x'], a.b)", {("a", "b")}),
        ("!a && to_number(b) > `3`", {("a",), ("b",)}),
        ("a[].b", {("a", "b")}),
        ("'text'", set()),
    ],
)
def test_the_places_an_expression_reads(expression: str, places: set[tuple[str, ...]]) -> None:
    assert references(expression) == places


# -- errors of the file ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"{HEAD}fields:\n{REQUIRED}{EVENT}  price: 'a[['\n", "line 8: fields.price.path: 'a[[' is no JMESPath"),
        (f"{HEAD}fields:\n{REQUIRED}{EVENT}  colour: c\n", "line 8: fields.colour: Extra inputs"),
        (f"{HEAD}fields:\n{REQUIRED}  event: {{constant: bought}}\n", "line 7: fields.event: bought: not an event"),
        (f"{HEAD}fields:\n{REQUIRED}", "nothing says where event come from"),
        (f"{HEAD}fields:\n  ts: at\n", "line 4: fields.ts: say how the time is written"),
        (f"{HEAD}fields:\n{REQUIRED}{EVENT}  price: {{path: a, constant: 1}}\n", "exactly one of"),
        (f"{HEAD}fields:\n{REQUIRED}{EVENT}  price: {{path: a, otherwise: skip}}\n", "otherwise says"),
        (
            f"{HEAD}fields:\n{REQUIRED}{EVENT}  price: {{path: a, time: seconds}}\n",
            "line 8: fields.price: time and zone are for ts",
        ),
        (f"{HEAD}fields:\n{REQUIRED}{EVENT}  brand: {{template: x}}\n", "names no path"),
        (f"{HEAD}fields:\n  ts: {{path: a, time: '%Y'}}\n", "holds no offset"),
        (f"{HEAD}fields:\n  ts: {{path: a, time: iso}}\n", "'iso' is none of"),
        (f"{HEAD}fields:\n  ts: {{path: a, time: rfc3339, zone: Here}}\n", "'Here' is no time zone"),
        (f"{HEAD}rules: [{{when: a}}]\nfields:\n{REQUIRED}{EVENT}", "either `skip`, with a reason, or `fields`"),
        (f"{HEAD}rules: [{{skip: a}}, {{skip: b}}]\n", "rules.0: has no `when`"),
        (f"{HEAD}fields:\n{REQUIRED}{EVENT}  brand: a\n  brand: b\n", "'brand' twice, the second time in line 9"),
        ("a: [", "is not YAML"),
        ("- a", "holds no names and values"),
        ("", "holds no names and values"),
        ("a: 2026-13-45", "a value YAML cannot read"),
    ],
)
def test_errors_name_line_and_field(text: str, told: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_mapping(text, "the mapping shop.yaml")
    assert told in str(caught.value)
    assert str(caught.value).startswith("the mapping shop.yaml")


def test_files_that_are_no_mapping(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_mapping(tmp_path / "none.yaml")
    (tmp_path / "large.yaml").write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(ConfigurationError, match="at most"):
        load_mapping(tmp_path / "large.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"name: \xe9")
    with pytest.raises(ConfigurationError, match="UTF-8"):
        load_mapping(tmp_path / "latin.yaml")
    with pytest.raises(ConfigurationError, match="ga4-bigquery"):
        load_profile("ga3")


def test_the_mapping_in_the_documentation_works() -> None:
    page = (Path(__file__).parents[2] / "docs" / "adapters.md").read_text()
    shop = Adapter(parse_mapping(page.partition("```yaml\n")[2].partition("```")[0], "docs/adapters.md"))
    order = {"number": 9, "total_cents": 1999}
    outcome = shop.map({"action": "order", "session": "s", "at": "03.02.2026 16:00", "cookie": "c", "order": order})
    assert isinstance(outcome, Mapped)
    event = outcome.event.model_dump(mode="json", exclude_defaults=True)
    assert (event["event"], event["order_id"], event["price"]) == ("purchase", "9", 19.99)
    assert (event["user_id"], event["ts"]) == ("c", "2026-02-03T15:00:00.000Z")
    assert shop.map({"type": "admin login"}) == Skipped("staff")


# -- whatever comes --------------------------------------------------------------------------------------


NAMES = ["type", "event", "event_name", "userId", "user_pseudo_id", "items", "event_params", "timestamp", "topic"]
NAMES += [
    "line_items",
    "refunds",
    "customer",
    "properties",
    "products",
    "InvoiceNo",
    "Quantity",
    "event_type",
    "price",
]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
SCALARS |= st.sampled_from(["track", "purchase", "Order Completed", "orders/create", "2026-01-01T00:00:00Z"])
VALUES = st.recursive(
    SCALARS,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from([*NAMES, "id"]), below, max_size=4),
    max_leaves=12,
)


@given(record=st.dictionaries(st.sampled_from(NAMES), VALUES), name=st.sampled_from(profile_names()))
def test_any_record_is_mapped_skipped_or_a_dead_letter_and_left_as_it_was(record: dict[str, Any], name: str) -> None:
    before = copy.deepcopy(record)
    try:
        outcome = Adapter(load_profile(name)).map(record)
    except DeadLetter as problem:
        assert problem.code in ("mapping", "contract")  # noqa: PT017 - a mapped record is as good an end
    else:
        assert isinstance(outcome, Mapped | Skipped)
    assert repr(record) == repr(before)
