"""The scorecards that come with a bank, so that it can rate on its first day: an expert's, to be replaced by its own.

A factor: code (its source), names, full points, points when missing, bins. Bins of numbers are written
"points from:points …", percentages in per cent; bins of answers "answers=points …".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from credit_rating.models.kinds import CreditKind

NAME = "standard"
TITLES = {
    CreditKind.CORPORATE: ("对公标准评分卡", "Standard corporate scorecard"),
    CreditKind.SME: ("小微企业标准评分卡", "Standard small business scorecard"),
    CreditKind.PERSONAL: ("个人标准评分卡", "Standard personal scorecard"),
    CreditKind.HOUSEHOLD: ("农户标准评分卡", "Standard rural household scorecard"),
}
_RECORD = ("record", "信用记录", "Credit record", 10, 5, "clean=10 none=5 short=4 long=0")
_ARREARS = ("worst_arrears", "近12个月最长逾期天数", "Worst arrears in 12 months", 14, 9, "14 1:8 31:3 61:0")
_TENURE = ("tenure_years", "在本行开户年限", "Years with this bank", 6, 3, "1 1:2 3:4 5:6")
_OUTLOOK = ("outlook", "行业前景", "Outlook of the industry", 6, 3, "rising=6 steady=4 falling=1")
_CARDS: dict[CreditKind, tuple[tuple[str, str, str, int, int, str], ...]] = {
    CreditKind.CORPORATE: (
        ("debt_ratio", "资产负债率", "Debt ratio", 12, 6, "12 40:11 50:9 60:7 70:4 80:0"),
        ("current_ratio", "流动比率", "Current ratio", 10, 5, "0 0.8:3 1:5 1.2:7 1.5:9 2:10"),
        ("roe", "净资产收益率", "Return on equity", 10, 5, "0 0:3 5:6 10:8 15:10"),
        ("cash_to_debt", "经营现金流 / 债务", "Operating cash flow / debt", 12, 6, "0 0:3 10:6 25:9 40:12"),
        ("interest_cover", "利息保障倍数", "Interest cover", 10, 5, "0 1:3 2:6 4:8 6:10"),
        ("sales_cagr", "销售三年复合增长", "Sales growth, three years compound", 8, 4, "0 0:4 5:6 10:8"),
        ("settlement_share", "结算归行率", "Part of sales settled through this bank", 8, 4, "1 30:3 60:6 75:8"),
        ("manager_years", "主要管理人从业年限", "Years the manager is in this trade", 6, 3, "1 3:2 8:4 15:6"),
        _OUTLOOK,
        ("top_five_share", "前五大客户占比", "Five largest buyers' part of sales", 6, 3, "6 30:5 50:3 70:1"),
        ("record", "信用记录", "Credit record", 6, 3, "clean=6 none=3 short=2 long=0"),
        ("environment", "环境与安全", "Environment and safety", 6, 3, "a=6 b=4 c=0"),
    ),
    CreditKind.SME: (
        ("debt_ratio", "资产负债率", "Debt ratio", 12, 6, "12 40:10 55:8 65:5 75:2 85:0"),
        ("current_ratio", "流动比率", "Current ratio", 8, 4, "0 0.8:3 1:5 1.3:7 1.8:8"),
        ("sales_margin", "销售利润率", "Profit margin on sales", 10, 5, "0 0:3 3:6 8:8 15:10"),
        ("sales_growth", "销售增长率", "Sales growth", 8, 4, "0 -10:2 0:5 10:8"),
        ("settlement_share", "结算归行率", "Part of sales settled through this bank", 12, 6, "1 30:5 50:8 70:12"),
        _TENURE, _ARREARS,
        ("manager_years", "经营者从业年限", "Years the manager is in this trade", 8, 4, "1 3:3 5:5 10:8"),
        _OUTLOOK,
        ("top_five_share", "前五大客户占比", "Five largest buyers' part of sales", 6, 3, "6 40:4 60:2 80:0"),
        _RECORD,
    ),
    CreditKind.PERSONAL: (
        ("debt_service_share", "月还款额 / 月收入", "Debt payments / income", 20, 8, "20 20:16 35:11 50:5 60:0"),
        ("monthly_income", "月收入", "Monthly income", 14, 6, "2 3000:5 6000:8 10000:11 20000:14"),
        ("deposits_adb", "日均存款", "Deposits (30-day average)", 12, 5, "1 5000:4 20000:7 100000:10 300000:12"),
        ("tenure_years", "在本行开户年限", "Years with this bank", 8, 4, "1 1:3 3:6 8:8"),
        _ARREARS,
        ("age_years", "年龄", "Age", 6, 3, "2 25:4 30:6 55:4 65:1"),
        ("job_years", "现职年限", "Years in the present job", 10, 5, "2 1:4 3:7 8:10"),
        ("housing", "居住情况", "Housing", 6, 3, "own=6 mortgaged=5 family=3 rented=2"),
        _RECORD,
    ),
    CreditKind.HOUSEHOLD: (
        ("household_debt_share", "家庭负债 / 资产", "Debts / assets of the household", 18, 8,
         "18 10:15 25:11 40:6 60:0"),
        ("household_net_income", "家庭净收入", "Net income of the household", 16, 7,
         "0 10000:5 30000:9 60000:13 120000:16"),
        ("deposits_adb", "日均存款", "Deposits (30-day average)", 10, 4, "1 2000:3 10000:6 50000:8 150000:10"),
        _TENURE, _ARREARS,
        ("land_mu", "经营土地", "Land worked", 6, 3, "1 3:3 10:5 30:6"),
        ("household_members", "家庭人口", "Members of the household", 2, 1, "1 2:2"),
        ("repute", "村内口碑", "Standing in the village", 14, 7, "good=14 fair=7 poor=0"),
        ("record", "信用记录", "Credit record", 14, 7, "clean=14 none=7 short=5 long=0"),
    ),
}  # fmt: skip
_QUALITATIVE = {
    "manager_years",
    "outlook",
    "top_five_share",
    "record",
    "environment",
    "job_years",
    "housing",
    "repute",
}


def default_body(kind: CreditKind) -> Mapping[str, Any]:
    """The body of a kind's standard card, in the shape of credit_rating.scorecards."""
    factors, bins = [], []
    for code, zh, en, weight, neutral, text in _CARDS[kind]:
        factors.append({
            "code": code, "label_zh": zh, "label_en": en, "source": code, "weight": str(weight),
            "neutral": str(neutral), "group": "qualitative" if code in _QUALITATIVE else "quantitative",
        })  # fmt: skip
        for part in text.split():
            mark = "=" if "=" in part else ":"
            left, _mark, points = part.rpartition(mark)
            row = {"factor": code, "from": "", "values": "", "points": points}
            bins.append(row | ({"values": left} if mark == "=" else {"from": left}))
    zh, en = TITLES[kind]
    return {"params": {"title_zh": zh, "title_en": en}, "tables": {"factors": factors, "bins": bins}}
