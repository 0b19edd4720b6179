"""What codes of the engines are called: statement lines, ratios, steps, terms, caps, sources. One name for each code."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

ITEMS = {
    "cash": _("Cash"), "receivables": _("Receivables"), "prepayments": _("Prepayments"),
    "inventory": _("Inventories"), "other_current_assets": _("Other current assets"),
    "current_assets": _("Current assets"), "fixed_assets": _("Fixed assets"),
    "intangible_assets": _("Intangible assets"), "other_noncurrent_assets": _("Other non-current assets"),
    "total_assets": _("Total assets"), "short_term_loans": _("Short-term loans"), "payables": _("Payables"),
    "advances": _("Advances received"), "other_current_liabilities": _("Other current liabilities"),
    "current_liabilities": _("Current liabilities"), "long_term_loans": _("Long-term loans"),
    "other_noncurrent_liabilities": _("Other non-current liabilities"),
    "total_liabilities": _("Total liabilities"), "paid_in_capital": _("Paid-in capital"),
    "retained_earnings": _("Retained earnings"), "other_equity": _("Other equity"), "equity": _("Equity"),
    "sales": _("Sales"), "cost_of_sales": _("Cost of sales"), "operating_expenses": _("Operating expenses"),
    "interest_expense": _("Interest expense"), "other_income": _("Other income"),
    "profit_before_tax": _("Profit before tax"), "income_tax": _("Income tax"), "net_profit": _("Net profit"),
    "operating_cash_flow": _("Operating cash flow"), "investing_cash_flow": _("Investing cash flow"),
    "financing_cash_flow": _("Financing cash flow"), "net_cash_change": _("Net change in cash"),
}  # fmt: skip
SHEETS = {
    "balance": _("Balance sheet"),
    "income": _("Income statement"),
    "cash_flow": _("Cash flow statement"),
}
RATIOS = {
    "debt_ratio": _("Debt ratio"), "current_ratio": _("Current ratio"), "quick_ratio": _("Quick ratio"),
    "roe": _("Return on equity"), "roa": _("Return on assets"), "sales_margin": _("Profit margin on sales"),
    "cash_to_debt": _("Operating cash flow / debt"), "interest_cover": _("Interest cover"),
    "sales_growth": _("Sales growth"), "sales_cagr": _("Sales growth, three years compound"),
    "inventory_days": _("Inventory days"), "receivable_days": _("Receivable days"),
    "payable_days": _("Payable days"), "prepaid_days": _("Prepayment days"),
    "advance_days": _("Advance days"),
}  # fmt: skip
REASONS = {
    "missing": _("not in the statement"), "no_year_before": _("an earlier year is missing"),
    "zero": _("the divisor is zero"), "negative": _("the divisor is negative"),
}  # fmt: skip
FAULTS = {
    "sum": _("does not add up from its parts"), "balance": _("assets differ from liabilities and equity"),
    "cash_bridge": _("does not follow from last year's cash and the cash flow"),
    "jump": _("changed much against the year before"),
}  # fmt: skip
STEPS = {
    "effective_net_assets": _("Effective net assets"), "net_assets_method": _("Net assets method"),
    "cash_flow_total": _("Operating cash flow, all years"), "average_cash_flow": _("Average operating cash flow"),
    "cash_flow_method": _("Cash flow method"), "operating_cycle": _("Days of working capital"),
    "turnovers": _("Turnovers of working capital"), "working_capital_need": _("Working capital needed"),
    "working_capital_method": _("Working capital method"), "sales_method": _("Sales method"),
    "income_method": _("Income method"), "instalment_capacity": _("Free for instalments a month"),
    "monthly_rate": _("Monthly rate"), "annuity": _("Annuity factor"),
    "debt_service_method": _("Debt service method"), "living_costs": _("Living costs"), "household_net_income": _("Net income after living costs"),
    "household_income_method": _("Operating income method"),
    "household_net_assets": _("Net assets of the household"), "household_asset_method": _("Household assets method"),
    "lowest": _("Lowest of the methods"), "grade_cap": _("Cap of the grade"), "term": _("Term"),
    "other_banks": _("Less other banks"), "guarantee_most": _("Guarantees add at most"),
    "guarantees": _("Adjusted by guarantees"), "limit": _("Calculated limit"),
}  # fmt: skip
PRICE_STEPS = {
    "funding": _("Funding"), "mixed_lgd": _("Loss given default, mixed"), "expected_loss": _("Expected loss"),
    "operating": _("Operation"), "capital_charge": _("Capital"), "margin": _("Margin"),
    "discount": _("Discount"), "full_cost": _("Full price"), "rate": _("Suggested rate"),
}  # fmt: skip
NOTES = {
    "no_cycle": _("suppliers and customers finance the whole cycle"),
    "cap_reached": _("reached"), "cap_not_reached": _("not reached"),
}  # fmt: skip
INPUTS = {
    "own_funds": _("Own funds for operations"), "other_sources": _("Other sources of funds"),
    "other_banks": _("Loans and lines at other banks"), "growth": _("Expected growth of sales"),
    "margin": _("Profit margin on sales"), "guarantee": _("Usable guarantees"),
    "monthly_income": _("Monthly income"), "monthly_debt_service": _("Monthly debt payments"),
    "household_income": _("Income from farming or trade"), "household_costs": _("Costs of farming or trade"),
    "household_wages": _("Wages and transfers"), "household_members": _("Members of the household"),
    "household_assets": _("Household assets"), "household_debts": _("Household debts"),
}  # fmt: skip
TERMS = {
    **ITEMS, **RATIOS, **INPUTS, **STEPS, **PRICE_STEPS,
    "other_banks": INPUTS["other_banks"], "margin": PRICE_STEPS["margin"],
    "net_asset_coefficient": _("coefficient"), "cash_flow_multiple": _("years of cash flow"),
    "years": _("number of years"), "year_days": _("days a year"), "one_less_margin": _("(1 − profit margin)"),
    "one_plus_growth": _("(1 + expected growth)"), "sales_share": _("share of sales"),
    "income_multiple": _("years of income"), "months_of_a_year": _("months"),
    "service_ratio": _("debt service ratio"), "annual_rate": _("yearly rate"), "term_months": _("term, months"),
    "member_living_costs": _("living costs of a member a year"), "asset_share": _("share of net assets"), "cap": _("cap"), "term_factor": _("factor of the term"),
    "usable_guarantee": _("usable guarantees"), "guarantee_share": _("weight"),
    "guarantee_most_share": _("highest share"), "round_to": _("rounded down to"), "zero": _("not below"),
    "pd": _("probability of default"), "lgd": _("loss given default, unsecured"),
    "lgd_secured": _("loss given default, secured"), "secured_part": _("secured part"),
    "unsecured_part": _("unsecured part"), "risk_weight": _("risk weight"),
    "capital_ratio": _("capital ratio"), "return_on_capital": _("return on capital"),
    "floor_rate": _("lowest rate"), "basis_point": _("basis point"),
    "operating_cash_flow_0": _("cash flow of the last year"),
    "operating_cash_flow_1": _("of the year before"), "operating_cash_flow_2": _("of two years before"),
}  # fmt: skip
OPS = {
    "": "", "+": "+", "-": "−", "*": "×", "/": "÷", "min": _("at most"), "max": _("at least"),
    "floor": _("down to a multiple of"), "ceil": _("up to a multiple of"), "annuity": _("over"),
}  # fmt: skip
CAPS = {
    "single_loan": _("Loans to one customer ≤ net capital"), "single_group": _("Credit to one group ≤ net capital"),
    "single_exposure": _("One non-bank customer ≤ tier-1 capital"),
    "connected_group": _("Connected group ≤ tier-1 capital"),
    "related_single": _("One related party ≤ last quarter's net capital"),
    "related_group": _("Related party's group ≤ last quarter's net capital"),
    "related_all": _("All related parties ≤ last quarter's net capital"),
}  # fmt: skip
SOURCES = {
    "statement": _("Statement"), "collected": _("Collected"), "policy": _("Policy"), "typed": _("Typed in here"),
    "ratio": _("Computed from statements"), "guarantees": _("Register of guarantees"), "what_if": _("What if"),
    "interview": _("Said by the customer"), "seen": _("Seen on site"), "document": _("From a document"),
    "credit_bureau": _("Credit reference report"), "core": _("Core data"),
}  # fmt: skip
# What a case's dossier is made of, and the fields of each part.
DOSSIER_PARTS = {
    "case": _("Approval case"), "customer": _("Customer"),
    "calculation": _("Line calculation"), "rating": _("Credit rating"),
    "guarantees": _("Guarantee"), "lines": _("Credit line"),
    "authority": _("Approval route"), "files": _("File"),
    "other_banks": _("Exposures at other banks"),
    "mistaken_ties": _("Tie recorded by mistake"),
}  # fmt: skip
DOSSIER_FIELDS = {
    "round": _("Round"), "kind": _("Kind"), "product": _("Product"),
    "currency": _("Currency"), "term_months": _("Term, months"),
    "purpose": _("Purpose"), "investigation": _("Manager's investigation"),
    "line": _("Credit line"), "number": _("Number"), "name": _("Name"),
    "sub_limits": _("Sub-limits"),
    "amount": _("Amount"), "as_of": _("As of"), "grade": _("Grade"),
    "limit": _("Limit"), "status": _("Status"), "expires_on": _("Ends"),
    "rate_bp": _("Rate, basis points"), "is_related": _("Related party"),
    "lien_order": _("Rank"), "prior_liens": _("Claims of others that come before"),
    "value": _("Value"), "valued_on": _("Valued on"),
    "policy_version": _("Policy version"), "guarantees": _("Guarantees"),
    "excluded": _("Exclusion list"),
    "above_limit": _("More than was calculated"),
    "covered_pct": _("Covered by guarantees, %"),
    "uncalculated": _("Not calculated with the grade in force"),
    "breaks_cap": _("Breaks a regulator's cap"), "route": _("Stage"),
    "quorum": _("Quorum"), "majority_pct": _("Majority, %"),
    "size": pgettext_lazy("file", "Size"), "source": _("Source"), "report_date": _("Report of"),
    "lender": _("Lender"), "reference": _("Reference"),
    "granted": _("Granted"), "outstanding": _("Outstanding"),
    "overdue": _("Overdue"), "level": pgettext_lazy("five-level", "Class"), "why": _("Why"),
}  # fmt: skip
# Why a case takes its route (engine.authority.Route.why).
ROUTE_REASONS = {
    "row": _("by the authority matrix"),
    "no_row": _("no row of the authority matrix covers it"),
    "excluded": _("the customer is on the exclusion list, so the president decides"),
    "above_limit": _("more than was calculated: an exception"),
    "uncalculated": _("no recent calculation with the grade in force: an exception"),
    "breaks_cap": _("it breaks a regulator's cap, so the president decides"),
    "president_sees": _("what the committee approves goes to the president"),
}
