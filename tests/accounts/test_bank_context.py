"""The bank context: what is seen inside, outside, nested and after an error."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import ProgrammingError, transaction
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.test import RequestFactory
from django.utils.timezone import localdate

from crm_site.accounts.banks import forget_banks
from crm_site.accounts.middleware import BankMiddleware
from crm_site.accounts.models import Bank, OrgUnit
from crm_site.lib.tenancy import WrongBank, bank, current_bank
from tests.conftest import House


def test_each_bank_sees_its_own_organisation(house: House, other_house: House) -> None:
    with bank(house.id):
        assert set(OrgUnit.objects.values_list("code", flat=True)) == {"HO", "N", "N1", "S"}
        assert not OrgUnit.objects.filter(pk=other_house.north.pk).exists()
    assert OrgUnit.objects.count() == 0
    assert current_bank() is None


def test_entering_another_bank_is_refused(house: House, other_house: House) -> None:
    with bank(house.id):
        with pytest.raises(WrongBank), bank(other_house.id):
            pass
        with bank(house.id):
            assert OrgUnit.objects.count() == 4


def test_a_row_of_another_bank_cannot_be_written(house: House, other_house: House) -> None:
    with bank(house.id), pytest.raises(ProgrammingError), transaction.atomic():
        OrgUnit.objects.create(bank_id=other_house.id, code="X", name="X", kind="branch", parent=house.north)


LATE = dt.datetime(
    2026, 11, 1, 3, 30, tzinfo=dt.UTC
)  # Saturday evening in New York, Sunday at noon in Shanghai


@pytest.mark.parametrize("streams", [False, True])
def test_a_bank_goes_by_its_own_clock(house: House, streams: bool) -> None:
    Bank.objects.filter(pk=house.id).update(timezone="America/New_York")
    forget_banks()

    def answer(request: HttpRequest) -> HttpResponseBase:
        said = (str(localdate(LATE)) for _once in range(1))
        return StreamingHttpResponse(said) if streams else HttpResponse(said)

    got = BankMiddleware(answer)(RequestFactory().get("/any", HTTP_HOST=house.bank.host))
    assert b"".join(got) == b"2026-10-31"
    assert str(localdate(LATE)) == "2026-11-01", "outside it is the installation's clock again"
    forget_banks()
