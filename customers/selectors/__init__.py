"""Reads of customers. Every one takes the actor and shows what that actor may see."""

from customers.selectors.exports import export_records
from customers.selectors.lists import (
    CustomerPage,
    CustomerQuery,
    CustomerRow,
    Totals,
    customer_list,
    list_totals,
    matching,
    neighbours,
)
from customers.selectors.search import Found, search_customers
from customers.selectors.single import (
    CustomerHeader,
    CustomerView,
    accounts_held,
    balance_trend,
    customer_header,
    customer_view,
    loans_of,
    other_products,
    seen_customer,
)
from customers.selectors.ties import relations_of

__all__ = [
    "CustomerHeader",
    "CustomerPage",
    "CustomerQuery",
    "CustomerRow",
    "CustomerView",
    "Found",
    "Totals",
    "accounts_held",
    "balance_trend",
    "customer_header",
    "customer_list",
    "customer_view",
    "export_records",
    "list_totals",
    "loans_of",
    "matching",
    "neighbours",
    "other_products",
    "relations_of",
    "search_customers",
    "seen_customer",
]
