"""Industries of GB/T 4754-2017 by name: its twenty sections and ninety-seven divisions.

The core delivers a class ("5211"), sometimes with the section's letter before it ("C13", "A0111"), sometimes the
letter alone. People read the division's name; the code stays beside it, since regulators' reports ask for it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from django.utils.functional import Promise
from django.utils.translation import gettext as _g
from django.utils.translation import gettext_lazy as _

SECTIONS: Mapping[str, Promise] = {
    "A": _("Agriculture, forestry, animal husbandry and fishery"),
    "B": _("Mining"),
    "C": _("Manufacturing"),
    "D": _("Electricity, heat, gas and water supply"),
    "E": _("Construction"),
    "F": _("Wholesale and retail trade"),
    "G": _("Transport, storage and post"),
    "H": _("Accommodation and catering"),
    "I": _("Information transmission, software and IT services"),
    "J": _("Finance"),
    "K": _("Real estate"),
    "L": _("Leasing and business services"),
    "M": _("Scientific research and technical services"),
    "N": _("Water conservancy, environment and public facilities"),
    "O": _("Resident services, repair and other services"),
    "P": _("Education"),
    "Q": _("Health and social work"),
    "R": _("Culture, sports and entertainment"),
    "S": _("Public administration, social security and social organisations"),
    "T": _("International organisations"),
}
DIVISIONS: Mapping[str, Promise] = {
    "01": _("Farming"),
    "02": _("Forestry"),
    "03": _("Animal husbandry"),
    "04": _("Fishery"),
    "05": _("Support activities for agriculture"),
    "06": _("Coal mining and washing"),
    "07": _("Oil and gas extraction"),
    "08": _("Ferrous metal ore mining"),
    "09": _("Non-ferrous metal ore mining"),
    "10": _("Non-metal ore mining"),
    "11": _("Support activities for mining"),
    "12": _("Other mining"),
    "13": _("Processing of farm and side-line food"),
    "14": _("Food manufacturing"),
    "15": _("Wine, beverages and refined tea"),
    "16": _("Tobacco products"),
    "17": _("Textiles"),
    "18": _("Garments and apparel"),
    "19": _("Leather, fur, feather products and footwear"),
    "20": _("Timber, bamboo, rattan and straw products"),
    "21": _("Furniture"),
    "22": _("Paper and paper products"),
    "23": _("Printing and reproduction of media"),
    "24": _("Stationery, crafts, sports and entertainment goods"),
    "25": _("Processing of petroleum, coal and other fuels"),
    "26": _("Chemical materials and products"),
    "27": _("Pharmaceuticals"),
    "28": _("Chemical fibres"),
    "29": _("Rubber and plastics"),
    "30": _("Non-metallic mineral products"),
    "31": _("Smelting and rolling of ferrous metals"),
    "32": _("Smelting and rolling of non-ferrous metals"),
    "33": _("Metal products"),
    "34": _("General-purpose machinery"),
    "35": _("Special-purpose machinery"),
    "36": _("Motor vehicles"),
    "37": _("Railway, ship, aerospace and other transport equipment"),
    "38": _("Electrical machinery"),
    "39": _("Computers, communication and electronic equipment"),
    "40": _("Measuring instruments"),
    "41": _("Other manufacturing"),
    "42": _("Recycling of waste resources"),
    "43": _("Repair of metal products, machinery and equipment"),
    "44": _("Electricity and heat supply"),
    "45": _("Gas production and supply"),
    "46": _("Water production and supply"),
    "47": _("Housing construction"),
    "48": _("Civil engineering"),
    "49": _("Building installation"),
    "50": _("Building decoration and other construction"),
    "51": _("Wholesale trade"),
    "52": _("Retail trade"),
    "53": _("Railway transport"),
    "54": _("Road transport"),
    "55": _("Water transport"),
    "56": _("Air transport"),
    "57": _("Pipeline transport"),
    "58": _("Multimodal transport and forwarding"),
    "59": _("Loading, unloading and storage"),
    "60": _("Post"),
    "61": _("Accommodation"),
    "62": _("Catering"),
    "63": _("Telecommunications, broadcasting and satellite transmission"),
    "64": _("Internet services"),
    "65": _("Software and IT services"),
    "66": _("Monetary and financial services"),
    "67": _("Capital market services"),
    "68": _("Insurance services"),
    "69": _("Other finance"),
    "70": _("Real estate"),
    "71": _("Leasing"),
    "72": _("Business services"),
    "73": _("Research and experimental development"),
    "74": _("Professional technical services"),
    "75": _("Promotion and application of technology"),
    "76": _("Water conservancy"),
    "77": _("Ecological protection and environmental treatment"),
    "78": _("Public facilities"),
    "79": _("Land management"),
    "80": _("Resident services"),
    "81": _("Repair of motor vehicles, electronics and household goods"),
    "82": _("Other services"),
    "83": _("Education"),
    "84": _("Health"),
    "85": _("Social work"),
    "86": _("News and publishing"),
    "87": _("Radio, television, film and sound recording"),
    "88": _("Culture and art"),
    "89": _("Sports"),
    "90": _("Entertainment"),
    "91": _("Organs of the Communist Party of China"),
    "92": _("State organs"),
    "93": _("Political consultative conference and democratic parties"),
    "94": _("Social security"),
    "95": _("Mass and social organisations"),
    "96": _("Self-governing organisations of residents"),
    "97": _("International organisations"),
}
NAMES: Mapping[str, Promise] = {**SECTIONS, **DIVISIONS}
# Section -> its first and last division.
_RANGES = {
    "A": (1, 5), "B": (6, 12), "C": (13, 43), "D": (44, 46), "E": (47, 50), "F": (51, 52), "G": (53, 60), "H": (61, 62),
    "I": (63, 65), "J": (66, 69), "K": (70, 70), "L": (71, 72), "M": (73, 75), "N": (76, 79), "O": (80, 82),
    "P": (83, 83), "Q": (84, 85), "R": (86, 90), "S": (91, 96), "T": (97, 97),
}  # fmt: skip
_CODE = re.compile(r"([A-T]?)(\d\d)?\d*", re.ASCII)


def divisions_of(section: str) -> tuple[str, ...]:
    """The divisions of a section: "A" has 01 to 05."""
    first, last = _RANGES[section]
    return tuple(f"{number:02}" for number in range(first, last + 1))


def key_of(code: str) -> str:
    """The division that a code lies in, else its section; "" for a code of neither. A key of NAMES."""
    match = _CODE.fullmatch(code.strip().upper())
    if not match:
        return ""
    section, division = match[1], match[2] or ""
    return division if division in DIVISIONS else section


def label_of(code: str) -> str:
    """What people read: Retail trade (5211) · 零售业（5211）; an unknown code by itself."""
    key = key_of(code)
    return _g("%(name)s (%(code)s)") % {"name": NAMES[key], "code": code} if key else code


# The division within a code, as text, in SQL ("" for none). No braces and no per cent sign: it goes into facts.
DIVISION_SQL = "coalesce(substring({c}.industry from '^[A-T]?([0-9][0-9])'), '')"


def section_sql(section: str) -> str:
    """True for customers whose industry lies in the section: by its divisions, or by its letter alone."""
    first, last = _RANGES[section]
    by_number = f"{DIVISION_SQL} BETWEEN '{first:02}' AND '{last:02}'"
    return f"({by_number} OR ({DIVISION_SQL} = '' AND left({{c}}.industry, 1) = '{section}'))"
