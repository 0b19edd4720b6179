"""What a delivery leaves in the tables, feed by feed."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from django.db import connection

from crm_site.accounts.banks import vault
from crm_site.accounts.models import OrgUnit, Staff
from crm_site.lib.tenancy import bank
from customers.ingest import staging
from customers.models import (
    Account,
    AccountHolder,
    BalanceChange,
    ContactPoint,
    Customer,
    Holding,
    Identifier,
    Interaction,
    Loan,
    LoanBalance,
    LoanInstalment,
    Product,
    Relation,
    SearchToken,
    Standing,
    Transaction,
)
from tests.bench.deliveries import resident_id
from tests.conftest import House
from tests.customers.ingest.conftest import Deliver, counts, errors

pytestmark = pytest.mark.django_db
CUSTOMERS = """number,name,kind,resident_id,phone,branch,birth_date
100001,张伟明,personal,11010519491231002X,13812345678,N,1949-12-31
100002,杭州西湖茶叶有限公司,corporate,,0571-88886666,S,
"""


def tokens(number: str) -> set[str]:
    return set(SearchToken.objects.filter(customer__number=number).values_list("token", flat=True))


class TestCustomers:
    def test_a_new_customer_is_complete(self, inside, deliver: Deliver) -> None:
        batch = deliver("customers", CUSTOMERS)
        assert counts(batch) == (2, 2, 0, 0, 0)
        zhang = Customer.objects.get(number="100001")
        assert (zhang.name, zhang.name_sort, zhang.home_branch.code) == ("张伟明", "zhang wei ming", "N")
        assert zhang.responsible is None
        identifier = Identifier.objects.get(customer=zhang)
        sealed = vault(inside.bank)
        assert sealed.decrypt(
            identifier.value, place="identifier.value", row="100001|resident_id"
        ) == "11010519491231002X"  # fmt: skip
        assert "1949" not in identifier.masked
        phone = ContactPoint.objects.get(customer=zhang)
        assert phone.tail == "5678"
        assert (
            sealed.decrypt(phone.value, place="contactpoint.value", row="100001|phone|1") == "+8613812345678"
        )
        index = sealed.blind_index("resident_id", "11010519491231002X").hex()
        assert {"张伟", "伟明", "zhangweiming", "zwm", "#100001", "t:5678", f"x:{index}"} <= tokens("100001")
        assert Standing.objects.get(customer=zhang).home_branch_id == zhang.home_branch_id

    def test_the_same_again_changes_nothing(self, inside, deliver: Deliver) -> None:
        deliver("customers", CUSTOMERS)
        before = list(Identifier.objects.order_by("id").values_list("value", "id"))
        assert counts(deliver("customers", CUSTOMERS)) == (2, 0, 0, 2, 0)
        assert list(Identifier.objects.order_by("id").values_list("value", "id")) == before

    def test_a_changed_name_and_phone_are_found_again(self, inside, deliver: Deliver) -> None:
        deliver("customers", CUSTOMERS)
        changed = CUSTOMERS.replace("张伟明", "张小明").replace("13812345678", "13987654321")
        assert counts(deliver("customers", changed)) == (2, 0, 1, 1, 0)
        found = tokens("100001")
        assert {"张小", "zhangxiaoming", "t:4321", "zhang"} <= found
        assert not {"张伟", "zhangweiming", "t:5678"} & found
        assert ContactPoint.objects.filter(customer__number="100001").count() == 1

    def test_older_never_overwrites_newer(self, inside, deliver: Deliver) -> None:
        row = "number,name,kind,source_as_of\n1,{},personal,{}\n"
        deliver("customers", row.format("New", "2026-02-01T00:00:00Z"))
        assert counts(deliver("customers", row.format("Old", "2026-01-01T00:00:00Z"))) == (1, 0, 0, 1, 0)
        assert Customer.objects.get(number="1").name == "New"
        # What did not change is known as of later all the same.
        deliver("customers", row.format("New", "2026-03-01T00:00:00Z"))
        deliver("customers", row.format("Between", "2026-02-15T00:00:00Z"))
        assert Customer.objects.get(number="1").name == "New"

    def test_the_bank_knows_how_new_its_data_is(self, inside, deliver: Deliver) -> None:
        row = "number,name,kind,source_as_of\n1,One,personal,{}\n"
        deliver("customers", row.format("2026-02-01T00:00:00Z"))
        deliver("customers", row.format("2026-01-01T00:00:00Z"))
        deliver("customers", row.format("2026-03-01T00:00:00Z"))  # the figures are no newer for it
        inside.bank.refresh_from_db()
        assert inside.bank.data_as_of == dt.datetime(2026, 2, 1, tzinfo=dt.UTC)
        deliver("accounts", "number,owner,currency,opened_date\nA1,1,CNY,2020-01-01\n")
        deliver("balances", "account,date,balance,source_as_of\nA1,2026-03-02,5.00,2026-03-02T20:00:00Z\n")
        inside.bank.refresh_from_db()
        assert inside.bank.data_as_of == dt.datetime(2026, 3, 2, 20, tzinfo=dt.UTC)

    def test_columns_left_out_keep_what_stands(self, inside, deliver: Deliver) -> None:
        deliver("customers", CUSTOMERS)
        deliver("customers", "number,name,kind\n100001,张伟明,personal\n")
        assert Customer.objects.get(number="100001").birth_date == dt.date(1949, 12, 31)
        deliver("customers", "number,name,kind,birth_date\n100001,张伟明,personal,\n")
        assert Customer.objects.get(number="100001").birth_date is None

    def test_ndjson_rows_may_differ_in_their_keys(self, inside, deliver: Deliver) -> None:
        deliver("customers", CUSTOMERS)
        batch = deliver(
            "customers",
            '{"number":"100001","name":"张伟明","kind":"personal","gender":"M"}\n'
            '{"number":"100002","name":"杭州西湖茶叶有限公司","kind":"corporate","employees":25}\n',
        )
        assert counts(batch) == (2, 0, 2, 0, 0)
        assert Customer.objects.get(number="100001").birth_date == dt.date(1949, 12, 31)
        assert Customer.objects.get(number="100001").gender == "M"
        assert Customer.objects.get(number="100002").employees == 25
        assert Customer.objects.get(number="100002").gender == ""

    def test_what_people_recorded_is_never_touched(self, inside, deliver: Deliver) -> None:
        deliver("customers", CUSTOMERS)
        Customer.objects.filter(number="100001").update(occupation="Teacher", needs_note="a loan in spring")
        deliver("customers", CUSTOMERS.replace("张伟明", "张小明"))
        zhang = Customer.objects.get(number="100001")
        assert (zhang.occupation, zhang.needs_note) == ("Teacher", "a loan in spring")

    def test_a_prospect_becomes_a_customer_but_never_back(self, inside, deliver: Deliver) -> None:
        prospect = "number,name,kind,source\n9,Wang,personal,park list\n"
        assert counts(deliver("prospects", prospect)) == (1, 1, 0, 0, 0)
        assert Customer.objects.get(number="9").is_prospect
        deliver("customers", "number,name,kind\n9,Wang,personal\n")
        nine = Customer.objects.get(number="9")
        assert not nine.is_prospect
        assert nine.source == "park list"
        batch = deliver("prospects", prospect)
        assert errors(batch) == [(2, "number", "already_customer")]

    def test_every_reason_of_a_bad_row_is_told(self, inside, deliver: Deliver) -> None:
        batch = deliver(
            "customers",
            "number,name,kind,resident_id,branch,birth_date\n"
            "1,,person,110105194912310021,N,1949-02-30\n"
            "2,Good,personal,,N,\n"
            "2,Again,personal,,N,\n"
            "3,Lost,personal,,NOWHERE,\n"
            "4,Short,personal\n"
            "5,=HYPERLINK(1),personal,,N,\n",
        )
        assert counts(batch) == (6, 1, 0, 0, 5)
        assert errors(batch) == [
            (2, "kind", "bad_choice"),
            (2, "resident_id", "bad_check_digit"),
            (2, "birth_date", "bad_date"),
            (2, "name", "required"),
            (4, "number", "duplicate"),
            (5, "branch", "unknown_reference"),
            (6, "", "column_count"),
            (7, "name", "formula"),
        ]

    def test_a_number_of_another_bank_means_nothing(self, house, other_house, deliver: Deliver) -> None:
        from crm_site.lib.tenancy import bank

        with bank(other_house.id):
            deliver("customers", "number,name,kind\n77,Theirs,personal\n")
        with bank(house.id):
            batch = deliver("accounts", "number,owner,currency,opened_date\nA1,77,CNY,2020-01-01\n")
            assert errors(batch) == [(2, "owner", "unknown_reference")]
            assert counts(deliver("customers", "number,name,kind\n77,Ours,personal\n"))[1] == 1
        with bank(other_house.id):
            assert Customer.objects.get(number="77").name == "Theirs"


class TestOrganisationAndStaff:
    def test_a_tree_in_any_order(self, inside, deliver: Deliver) -> None:
        batch = deliver(
            "organisation",
            "code,name,kind,parent\nW1,West One,sub_branch,W\nW,West,branch,\nX,Loop,branch,Y\nY,Loop,branch,X\n"
            "Z,Lost,branch,NOWHERE\n",
        )
        assert counts(batch) == (5, 2, 0, 0, 3)
        assert {e[2] for e in errors(batch)} == {"cycle", "unknown_reference"}
        west, sub = OrgUnit.objects.get(code="W"), OrgUnit.objects.get(code="W1")
        assert west.lft < sub.lft < sub.rgt < west.rgt
        assert west.parent.code == "HO"

    def test_the_head_office_is_renamed_not_doubled(self, inside, deliver: Deliver) -> None:
        deliver("organisation", "code,name,kind\n000,Main,head_office\n")
        assert OrgUnit.objects.get(parent=None).code == "000"
        batch = deliver("organisation", "code,name,kind\n001,Second,head_office\n")
        assert counts(batch)[2] == 1
        assert OrgUnit.objects.filter(parent=None).count() == 1

    def test_staff_come_without_a_role_or_password(self, inside, deliver: Deliver) -> None:
        batch = deliver(
            "staff", "number,name,branch,grade,left_date\nS9,李静,N,level_2,\nS8,Gone,N,,2020-01-01\n"
        )
        assert counts(batch) == (2, 2, 0, 0, 0)
        li = Staff.objects.get(number="S9")
        assert li.is_active
        assert not li.has_usable_password()
        assert not li.role_grants.exists()
        assert not Staff.objects.get(number="S8").is_active


class TestAccounts:
    def prepare(self, deliver: Deliver) -> None:
        deliver("customers", CUSTOMERS)
        deliver("products", "code,name,family\nSAV,Savings,deposit\nFND,Fund,fund\n")
        deliver(
            "accounts", "number,owner,product,branch,currency,opened_date\nA1,100001,SAV,N,CNY,2025-12-01\n"
        )

    def test_owner_is_a_holder_and_found_by_account(self, inside, deliver: Deliver) -> None:
        self.prepare(deliver)
        assert AccountHolder.objects.get().role == "owner"
        assert "a:a1" in tokens("100001")
        again = "number,owner,product,branch,currency,opened_date\nA1,100001,SAV,N,CNY,2025-12-01\n"
        assert counts(deliver("accounts", again)) == (1, 0, 0, 1, 0)

    def test_a_second_owner_replaces_the_first(self, inside, deliver: Deliver) -> None:
        self.prepare(deliver)
        deliver("holders", "account,customer,role\nA1,100002,joint\n")
        assert counts(deliver("holders", "account,customer,role\nA1,100002,owner\n")) == (1, 0, 1, 0, 0)
        assert Account.objects.get().owner.number == "100002"
        assert list(AccountHolder.objects.values_list("customer__number", "role")) == [("100002", "owner")]
        assert "a:a1" not in tokens("100001")
        assert "a:a1" in tokens("100002")
        batch = deliver("holders", "account,customer,role,removed\nA1,100002,owner,true\n")
        assert errors(batch) == [(2, "role", "last_owner")]

    def test_transactions_land_once(self, inside, deliver: Deliver) -> None:
        self.prepare(deliver)
        rows = (
            "reference,account,booked_date,amount,channel,purpose\n"
            "T1,A1,2026-01-31,1000.00,counter,\nT1,A1,2026-02-01,-20.5,counter,rent\n"
        )
        assert counts(deliver("transactions", rows)) == (2, 2, 0, 0, 0)
        assert counts(deliver("transactions", rows)) == (2, 0, 0, 2, 0)
        assert sum(t.amount for t in Transaction.objects.all()) == Decimal("979.50")

    def test_balances_are_kept_where_they_change(self, inside, deliver: Deliver) -> None:
        self.prepare(deliver)
        rows = "account,date,balance\n" + "".join(
            f"A1,2026-01-0{day},{amount}\n" for day, amount in ((1, 100), (2, 100), (4, -50), (6, 0))
        )
        assert counts(deliver("balances", rows)) == (4, 3, 0, 1, 0)
        found = list(
            BalanceChange.objects.order_by("date").values_list(
                "date__day", "balance", "positive_days", "negative_days"
            )
        )
        assert found == [(1, 100, 0, 0), (4, -50, 30_000, 0), (6, 0, 30_000, 10_000)]
        assert counts(deliver("balances", rows)) == (4, 0, 0, 4, 0)
        assert BalanceChange.objects.count() == 3

    def test_holdings_and_relations(self, inside, deliver: Deliver) -> None:
        self.prepare(deliver)
        rows = "reference,customer,product,date,value,currency\n"
        deliver("holdings", rows + "H1,100001,FND,2026-01-01,500,CNY\n")
        assert counts(deliver("holdings", rows + "H1,100001,FND,2026-01-02,500,CNY\n")) == (1, 0, 0, 1, 0)
        deliver("holdings", rows + "H1,100001,FND,2026-01-03,510,CNY\n")
        assert Holding.objects.count() == 2
        relation = "customer,other,kind,share,removed\n100001,100002,shareholder,0.35,{}\n"
        assert counts(deliver("relations", relation.format("")))[1] == 1
        assert counts(deliver("relations", relation.format("true")))[2] == 1
        assert not Relation.objects.exists()

    def test_products(self, inside, deliver: Deliver) -> None:
        self.prepare(deliver)
        deliver("products", "code,name,family,is_active\nSAV,Savings,deposit,否\n")
        assert not Product.objects.get(code="SAV").is_active

    def test_a_product_says_which_customers_it_is_for(self, inside, deliver: Deliver) -> None:
        header = "code,name,family,customer_kinds\n"
        deliver("products", f"{header}L1,Home loan,loan,household; personal\nL2,Any loan,loan,\n")
        home, anyone = Product.objects.filter(code__in=["L1", "L2"]).order_by("code")
        assert (home.customer_kinds, home.is_for("corporate")) == ("personal;household", False)
        assert anyone.is_for("corporate")
        assert list(Product.objects.for_customers("corporate").filter(family="loan")) == [anyone]
        assert deliver("products", f"{header}L1,Home loan,loan,everybody\n").rows_rejected == 1


class TestLoans:
    LOAN = "number,customer,currency,amount,outstanding,granted_date,maturity_date,as_of,instalment_amount,instalment_day\n"

    def test_a_loan_with_its_schedule_and_history(self, inside, deliver: Deliver) -> None:
        deliver("customers", CUSTOMERS)
        row = self.LOAN + "L1,100001,CNY,1200.00,1200.00,2026-01-12,2026-05-12,2026-01-31,300,12\n"
        assert counts(deliver("loans", row)) == (1, 1, 0, 0, 0)
        assert counts(deliver("loans", row)) == (1, 0, 0, 1, 0)
        assert [i.due_date.isoformat() for i in LoanInstalment.objects.order_by("due_date")] == [
            "2026-02-12", "2026-03-12", "2026-04-12", "2026-05-12",
        ]  # fmt: skip
        arrears = (
            "loan,date,outstanding,overdue_amount,overdue_since\nL1,2026-03-31,1200.00,600.00,2026-02-12\n"
        )
        assert counts(deliver("arrears", arrears)) == (1, 1, 0, 0, 0)
        assert counts(deliver("arrears", arrears)) == (1, 0, 0, 1, 0)
        loan = Loan.objects.get()
        assert (loan.overdue_amount, loan.days_past_due, loan.as_of.isoformat()) == (600, 47, "2026-03-31")
        # A day in between that comes late makes history and leaves the newest figures.
        deliver("arrears", "loan,date,outstanding,overdue_amount\nL1,2026-02-10,1200.00,0\n")
        loan.refresh_from_db()
        assert loan.overdue_amount == 600
        assert LoanBalance.objects.count() == 2 + 1

    def test_a_month_without_the_day_uses_its_last(self, inside, deliver: Deliver) -> None:
        deliver("customers", CUSTOMERS)
        deliver("loans", self.LOAN + "L2,100001,CNY,1200,1200,2026-01-15,2026-04-30,,400,31\n")
        assert [i.due_date.isoformat() for i in LoanInstalment.objects.order_by("due_date")] == [
            "2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30",
        ]  # fmt: skip


def test_contacts_keep_their_author_and_time(inside, rm, deliver: Deliver) -> None:
    deliver("customers", CUSTOMERS)
    rows = (
        "customer,channel,at,author,author_name,note\n"
        "100001,call,2024-05-01T09:00:00,rm,,first\n"
        "100001,visit,2024-06-01,,Old Hand,second\n"
    )
    assert counts(deliver("interactions", rows)) == (2, 2, 0, 0, 0)
    assert counts(deliver("interactions", rows)) == (2, 0, 0, 2, 0)
    first = Interaction.objects.get(note="first")
    assert (first.author_id, first.author_name) == (rm.staff.pk, "Rm")
    assert first.at == dt.datetime(2024, 5, 1, 1, 0, tzinfo=dt.UTC)
    assert Interaction.objects.get(note="second").author_name == "Old Hand"
    assert Standing.objects.get(customer__number="100001").last_contact_date == dt.date(2024, 6, 1)


def test_a_new_bank_beside_a_large_one_is_known_to_the_planner(
    house: House, other_house: House, deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise it compares each row of a part with each of the bank: a million customers never end."""
    tables = ("customer", "standing", "searchtoken", "identifier", "contactpoint", "address")
    head = "number,name,kind,resident_id,phone,address\n"

    def rows(first: int, last: int) -> str:
        return head + "".join(
            f"{n},王{chr(0x4E00 + n % 5000)},personal,{resident_id(n, dt.date(1960, 1, 1) + dt.timedelta(n))},+86139{n:08d},Street {n}\n"
            for n in range(first, last)
        )

    with bank(other_house.id):
        deliver("customers", rows(0, 4_000))
    for table in tables:
        with connection.cursor() as cursor:
            cursor.execute("SELECT banyan_analyze(%s)", [f"customers_{table}"])
    monkeypatch.setattr(staging, "PART_ROWS", 600)
    with bank(house.id), connection.cursor() as cursor:
        assert counts(deliver("customers", rows(0, 900)))[:2] == (900, 900)
        for table in tables:
            cursor.execute(f"EXPLAIN (FORMAT JSON) SELECT FROM customers_{table} WHERE bank_id = {house.id}")
            expected = cursor.fetchone()[0][0]["Plan"]["Plan Rows"]
            assert expected > 300, table
