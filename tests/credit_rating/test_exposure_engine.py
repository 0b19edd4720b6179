"""Groups, stakes and the regulator's caps at their boundaries."""

from __future__ import annotations

from decimal import Decimal

import pytest

from credit_rating.engine.exposure import Capital, Caps, Stake, check_caps

D = Decimal
CAPS = Caps(D("0.10"), D("0.15"), D("0.15"), D("0.20"), D("0.10"), D("0.15"), D("0.50"), D("0.85"))
CAPITAL = Capital(D(186_000), D(162_000), D(180_000))


def test_drawings_are_not_counted_twice_and_loans_outside_lines_are_not_lost() -> None:
    stake = Stake(loans=D(900), limits=D(1000), utilised=D(700), reserved=D(50))
    assert (stake.outside, stake.lent, stake.credit) == (200, 950, 1200)
    undrawn = Stake(loans=D(1771), limits=D(1050))  # the loan is of a line that has ended
    assert (undrawn.lent, undrawn.credit) == (1771, 2821)
    assert (undrawn.after(D(1050)).lent, undrawn.after(D(1050)).credit) == (2821, 2821)
    assert stake.after(D(1300)) == Stake(D(1500), D(1300), D(1300))
    assert stake.after(D(200)).limits == 1000
    ahead_of_the_core = Stake(loans=D(100), limits=D(1000), utilised=D(300))
    assert (ahead_of_the_core.lent, ahead_of_the_core.credit) == (300, 1000)


def test_the_case_page() -> None:
    stakes = {1: Stake(limits=D(9000)), 2: Stake(D(3590), D(5000), D(3590)).after(D(6500)),
              3: Stake(limits=D(6200)), 4: Stake(limits=D(2400))}  # fmt: skip
    uses = {u.code: u for u in check_caps(2, stakes, CAPITAL, CAPS)}
    assert list(uses) == ["single_loan", "single_group", "single_exposure", "connected_group"]
    assert (uses["single_loan"].amount, uses["single_loan"].cap) == (6500, 18_600)
    assert (uses["single_group"].amount, uses["single_group"].cap) == (24_100, 27_900)
    assert uses["single_group"].share.quantize(D("0.001")) == D("0.864")
    assert uses["single_group"].level == "warn"
    assert uses["single_group"].room == 3800
    assert uses["single_exposure"].level == uses["connected_group"].level == "ok"


def test_who_only_depends_counts_for_the_connected_cap_and_not_for_the_groups() -> None:
    stakes = {1: Stake(loans=D(100)), 2: Stake(loans=D(20)), 3: Stake(loans=D(7))}
    uses = {
        u.code: u.amount
        for u in check_caps(1, stakes, CAPITAL, CAPS, related={1: stakes[1].credit}, group={1, 2})
    }
    assert uses == {
        "single_loan": 100, "single_group": 120, "single_exposure": 100, "connected_group": 127,
        "related_single": 100, "related_group": 120, "related_all": 100,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("amount", "level", "over"),
    [("18600", "warn", "0"), ("18600.01", "breach", "0.01"), ("15810", "warn", "0"), ("15809.99", "ok", "0")],
)
def test_a_cap_is_kept_at_its_amount_and_broken_a_cent_above(amount: str, level: str, over: str) -> None:
    use = check_caps(1, {1: Stake(loans=D(amount))}, CAPITAL, CAPS)[0]
    assert (use.level, use.over) == (level, D(over))


def test_a_related_party_is_measured_against_last_quarters_capital() -> None:
    stakes = {1: Stake(loans=D(17_000)), 2: Stake(loans=D(12_000))}
    related = {1: D(1), 7: D(70_000)}
    uses = {u.code: u for u in check_caps(1, stakes, CAPITAL, CAPS, related=related)}
    assert (uses["related_single"].cap, uses["related_single"].level) == (18_000, "warn")
    assert (uses["related_group"].amount, uses["related_group"].over) == (29_000, 2_000)
    # all related parties: the customer with the case, and the others as they are
    assert (uses["related_all"].amount, uses["related_all"].level) == (87_000, "warn")
    with pytest.raises(ValueError, match="quarter"):
        check_caps(1, stakes, Capital(D(1), D(1), None), CAPS, related=related)
