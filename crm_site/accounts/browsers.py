"""What a person signed in with, in words: browser, system and device from what the browser says of itself.

A browser says what it likes, and new ones come: what is not known here stays as it was said, shortened.
"""

from __future__ import annotations

import re

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

SHOWN = 60  # characters of what is not known

# The first that fits counts: most name those they descend from as well (Edge says Chrome, Chrome says Safari).
_BROWSERS = (
    (r"MicroMessenger/(\d+)", gettext_lazy("WeChat")),
    (r"DingTalk/(\d+)", gettext_lazy("DingTalk")),
    (r"(?:Edg|EdgA|EdgiOS|Edge)/(\d+)", "Edge"),
    (r"(?:OPR|Opera)/(\d+)", "Opera"),
    (r"SamsungBrowser/(\d+)", "Samsung Internet"),
    (r"(?:HuaweiBrowser|ArkWeb)/(\d+)", gettext_lazy("Huawei Browser")),
    (r"MiuiBrowser/(\d+)", gettext_lazy("Xiaomi Browser")),
    (r"M?QQBrowser/(\d+)", gettext_lazy("QQ Browser")),
    (r"UCBrowser/(\d+)", gettext_lazy("UC Browser")),
    (r"(?:QIHU 360|360SE|360EE)()", gettext_lazy("360 Browser")),
    (r"(?:Firefox|FxiOS)/(\d+)", "Firefox"),
    (r"(?:Chrome|CriOS|Chromium)/(\d+)", "Chrome"),
    (r"Version/(\d+)[\d.]* (?:Mobile/\S+ )?Safari", "Safari"),
)
_SYSTEMS = (
    (r"OpenHarmony|HarmonyOS", gettext_lazy("HarmonyOS")),
    (r"iPhone|iPad", "iOS"),
    (r"Android", "Android"),
    (r"CrOS", "ChromeOS"),
    (r"Windows NT", "Windows"),
    (r"Macintosh|Mac OS X", "macOS"),
    (r"UOS|Kylin", gettext_lazy("UOS or Kylin")),
    (r"Linux|X11", "Linux"),
)
_DEVICES = (
    (r"iPad|Tablet|Android(?!.*Mobile)", pgettext_lazy("device", "tablet")),
    (r"iPhone|Mobile|Phone", pgettext_lazy("device", "phone")),
    (r"Windows NT|Macintosh|CrOS|X11|Linux", pgettext_lazy("device", "computer")),
)


def say(user_agent: str) -> str:
    """ "Chrome 128 on Windows, computer"; what is not known as it was said, at most SHOWN characters."""
    found = next(((name, m[1]) for rule, name in _BROWSERS if (m := re.search(rule, user_agent))), None)
    system = next((name for rule, name in _SYSTEMS if re.search(rule, user_agent)), None)
    if found is None or system is None:
        return user_agent if len(user_agent) <= SHOWN else f"{user_agent[: SHOWN - 1]}…"
    device = next(name for rule, name in (*_DEVICES, ("", _DEVICES[-1][1])) if re.search(rule, user_agent))
    browser = " ".join(str(part) for part in found if part)
    return _("%(browser)s on %(system)s, %(device)s") % {
        "browser": browser, "system": system, "device": device
    }  # fmt: skip
