"""The benchmark's input, orders and accounts: the same every time, and the truth about it."""

from collections import Counter
from itertools import islice

import msgspec

from benchmarks.accounts import TIERS, accounts, enriched
from benchmarks.orders import CHUNK, START, Dataset, Digest, truth
from benchmarks.settings import KEYS, MEDIAN_CENTS


def test_the_same_orders_are_drawn_every_time() -> None:
    assert list(Dataset(500).orders()) == list(Dataset(500).orders())


def test_a_smaller_dataset_is_the_beginning_of_a_larger_one() -> None:
    assert list(Dataset(300).orders()) == list(islice(Dataset(CHUNK + 1).orders(), 300))


def test_an_order_is_json_of_about_140_bytes_under_its_account() -> None:
    for order in Dataset(100).orders():
        read = msgspec.json.decode(order.value)
        assert read["account"].encode() == order.key
        assert (read["id"], read["amount"]) == (order.number, order.cents / 100)
        assert 130 <= len(order.value) <= 145


def test_half_of_the_orders_are_above_the_median() -> None:
    found = truth(Dataset(20_000))
    assert abs(found.large.count - 10_000) < 400
    assert all(1 <= order.cents <= 2 * MEDIAN_CENTS for order in Dataset(1_000).orders())


def test_zipf_has_favourites_and_uniform_has_none() -> None:
    zipf = Counter(truth(Dataset(20_000)).counts).most_common(1)[0]
    uniform = Counter(truth(Dataset(20_000, "uniform")).counts).most_common(1)[0]
    assert zipf[0] == "account-000000"
    assert zipf[1] > 20_000 / 20 > uniform[1]
    assert all(0 <= order.account < KEYS for order in Dataset(1_000).orders())


def test_counts_add_up() -> None:
    assert sum(truth(Dataset(1_234)).counts.values()) == 1_234


def test_a_digest_knows_records_but_not_their_order() -> None:
    records = [("a", 1, 2.5), ("b", 2, 3.5), ("a", 3, 4.0)]
    there, back, other = Digest(), Digest(), Digest()
    for record in records:
        there.add(*record)
    for record in reversed(records):
        back.add(*record)
    for record in [*records[:2], ("a", 3, 4.01)]:
        other.add(*record)
    assert there == back
    assert there != other
    assert there != "a digest"
    assert repr(there).startswith("<3 records")


def test_there_is_an_account_for_every_order_and_it_is_older() -> None:
    rows = list(accounts())
    assert len({row.key for row in rows}) == len(rows) == KEYS
    assert {row.tier for row in rows} == {*TIERS}
    for row in rows[:100]:
        read = msgspec.json.decode(row.value)
        assert (read["account"].encode(), read["tier"]) == (row.key, row.tier)
        assert row.timestamp < START


def test_every_order_has_a_part_in_the_truth_about_the_enriched() -> None:
    found = enriched(Dataset(1_000))
    assert found.count == 1_000
    assert found != enriched(Dataset(999))
