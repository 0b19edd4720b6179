"""Industries are read by name: every code of the standard, in every form the core delivers it."""

from __future__ import annotations

import pytest
from django.utils import translation

from crm_site.lib.tenancy import bank
from customers import industries
from customers.conditions import Matches, sentence
from customers.models import Standing
from tests.conftest import House
from tests.customers.factories import AS_OF, make_customer


@pytest.mark.parametrize(
    ("code", "english", "chinese"),
    [
        ("5211", "Retail trade (5211)", "零售业（5211）"),
        ("A0111", "Farming (A0111)", "农业（A0111）"),
        ("C13", "Processing of farm and side-line food (C13)", "农副食品加工业（C13）"),
        ("C", "Manufacturing (C)", "制造业（C）"),
        ("9999", "9999", "9999"),
        ("", "", ""),
    ],
)
def test_a_code_reads_by_name(code: str, english: str, chinese: str) -> None:
    with translation.override("en"):
        assert industries.label_of(code) == english
    with translation.override("zh-hans"):
        assert industries.label_of(code) == chinese


def test_sections_hold_every_division_once() -> None:
    held = [division for section in industries.SECTIONS for division in industries.divisions_of(section)]
    assert held == list(industries.DIVISIONS)


@pytest.mark.django_db
def test_customers_are_found_by_the_name_of_their_industry(house: House) -> None:
    def found(fact: str, value: str) -> set[str]:
        condition = {"fact": fact, "op": "=", "value": value}
        return set(
            Standing.objects.filter(Matches(condition, as_of=AS_OF)).values_list("customer__name", flat=True)
        )

    with bank(house.id):
        for code in ("5211", "F52", "F", "C1340", "9999", ""):
            make_customer(f"of {code}", kind="corporate", industry=code)
        assert found("industry_division", "52") == {"of 5211", "of F52"}
        assert found("industry_section", "F") == {"of 5211", "of F52", "of F"}
        assert found("industry_section", "C") == {"of C1340"}
        unknown = {"fact": "industry_division", "op": "is_null"}
        names = Standing.objects.filter(Matches(unknown, as_of=AS_OF)).values_list(
            "customer__name", flat=True
        )
        assert set(names) == {"of "}
        assert "Retail trade" in sentence({"fact": "industry_division", "op": "=", "value": "52"}, "en")
