"""The bank context: what is seen inside, outside, nested and after an error."""

from __future__ import annotations

import pytest
from django.db import ProgrammingError, transaction

from crm_site.accounts.models import OrgUnit
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
